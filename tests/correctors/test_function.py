import numpy as np
import pytest

from ouroloop.correction import Correction
from ouroloop.correctors.function import adapt
from ouroloop.correctors.identity import Identity
from ouroloop.errors import DataError, PartError
from ouroloop.keys import Key
from ouroloop.samples import Samples, Verdict

KEY = Key(0, ("test",))
ROWS = Samples.of(np.arange(6.0).reshape(3, 2), label=np.array([0, 1, 1]))


def correct(function, rows=ROWS):
    return adapt(function).correct(rows, key=KEY)


def by_annotation(table: Samples) -> Samples:
    return table.replace(x=table.x + table.label[:, None])


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda x: x * 2, ROWS.x * 2),
        (lambda samples: samples.replace(x=samples.x + 1), ROWS.x + 1),
        (by_annotation, ROWS.x + np.array([[0], [1], [1]])),
        (lambda x, label: x * label[:, None], ROWS.x * [[0], [1], [1]]),
        (lambda x, rng: x + rng.random(x.shape), ROWS.x + KEY.child("function").rng().random((3, 2))),
        (lambda x, *, key: x + key.rng().random(), ROWS.x + KEY.child("function").rng().random()),
        (lambda x: x.tolist(), ROWS.x),
        (np.sqrt, np.sqrt(ROWS.x)),
        (np.round, ROWS.x),
    ],
)
def test_what_a_function_may_take_and_return(function, expected):
    answer = correct(function)
    np.testing.assert_array_equal(answer.proposed.x, expected)
    np.testing.assert_allclose(answer.distance, np.linalg.norm(expected - ROWS.x, axis=1))
    np.testing.assert_array_equal(answer.verdict, answer.distance > 0)


def test_a_function_may_work_in_place_and_change_labels():
    def swap(samples):
        samples.x[:] = 0.0
        return samples.replace(label=1 - samples.label)

    before = ROWS.x.copy()
    answer = correct(swap)
    np.testing.assert_array_equal(ROWS.x, before)
    assert answer.proposed.label.tolist() == [1, 0, 0]


def test_a_function_may_return_verdicts():
    def drop_second(samples):
        return Correction(samples, samples, np.array([0, 2, 0]), np.zeros(3))

    assert correct(drop_second).survivors().id.tolist() == [0, 2]


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda x: x[:2], r"shape \(3, 2\) .* returned \(2, 2\)"),
        (lambda x: x[:, :1], r"returned \(3, 1\)"),
        (lambda x: None, "returned"),
        (lambda x: [[1.0], [2.0, 3.0], [4.0]], "different shapes"),
        (lambda x: x.astype(str), "returned"),
        (lambda x: 1 / 0, "raised ZeroDivisionError: division by zero"),
        (lambda samples: Samples.of(samples.x), "lost the columns label"),
        (lambda samples: samples.take([0, 1]), "returned"),
        (lambda samples: Correction.unchanged(samples.take([0, 1])), "given 3 rows"),
    ],
)
def test_broken_functions_are_named(function, message):
    with pytest.raises(PartError, match=message):
        correct(function)


def test_the_message_names_the_function():
    def my_repair(x):
        raise KeyError("joint")

    with pytest.raises(PartError, match=r"my_repair.*KeyError"):
        correct(my_repair)


def test_rows_that_come_back_with_nan_fail_and_keep_their_content():
    def divide(x):
        with np.errstate(divide="ignore", invalid="ignore"):
            return x / (x - 2.0)

    answer = correct(divide)
    assert answer.verdict.tolist() == [Verdict.CHANGED, Verdict.FAILED, Verdict.CHANGED]
    assert answer.distance[1] == 0
    np.testing.assert_array_equal(answer.survivors("keep_raw").x[1], ROWS.x[1])


def test_rows_with_nan_are_not_shown():
    x = ROWS.x.copy()
    x[1, 0] = np.nan
    answer = correct(lambda x: x + len(x), ROWS.replace(x=x))
    assert answer.verdict.tolist() == [Verdict.CHANGED, Verdict.FAILED, Verdict.CHANGED]
    np.testing.assert_array_equal(answer.proposed.x[[0, 2]], ROWS.x[[0, 2]] + 2)


@pytest.mark.parametrize(
    ("dtype", "expected"), [(np.uint8, [[0, 2], [255, 255]]), (np.float32, [[-1.5, 1.6], [300.0, 255.0]])]
)
def test_the_type_of_the_rows_is_kept(dtype, expected):
    rows = Samples.of(np.array([[0, 2], [3, 255]], dtype))
    answer = correct(lambda x: np.array([[-1.5, 1.6], [300.0, 255.0]]), rows)
    assert answer.proposed.x.dtype == dtype
    np.testing.assert_array_equal(answer.proposed.x, np.array(expected, dtype))


def test_text_is_corrected_too():
    rows = Samples.of(np.array(["helo", "world"]))
    answer = correct(lambda x: np.array(["hello", "world"]), rows)
    assert answer.proposed.x.tolist() == ["hello", "world"]
    assert answer.verdict.tolist() == [Verdict.CHANGED, Verdict.KEPT]


def test_adapt_passes_correctors_through_and_refuses_the_rest():
    part = Identity()
    assert adapt(part) is part
    with pytest.raises(PartError, match=r"give an instance of it: Identity\(\)"):
        adapt(Identity)
    with pytest.raises(PartError, match="got int"):
        adapt(3)


def test_a_label_that_is_asked_for_and_missing_is_named():
    with pytest.raises(DataError, match="no column 'label'"):
        correct(lambda x, label: x, Samples.of(np.zeros((2, 1))))
