from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ouroloop.datasets.files import Files, read_rows
from ouroloop.errors import DataError
from ouroloop.keys import Key
from ouroloop.options import resolve_options
from ouroloop.samples import Samples
from ouroloop.tables import write_samples

KEY = Key(0)
ADULT = Path(__file__).parents[3] / "shared" / "data" / "tabular" / "adult.csv.gz"


def numbered(n: int = 100) -> Samples:
    x = np.arange(2.0 * n).reshape(n, 2)
    return Samples.of(x, label=np.arange(n) % 4)


@pytest.fixture(params=[".npz", ".csv", ".parquet", ".arrow", ".csv.gz"])
def path(request, tmp_path) -> Path:
    target = tmp_path / f"rows{request.param}"
    write_samples(target, numbered())
    return target


def test_every_format_gives_the_same_rows(path):
    data = Files(path=str(path)).load(key=KEY)
    assert data.held_out is not None
    assert data.name == "rows"
    assert (len(data.real), len(data.held_out)) == (80, 20)
    both = Samples.concat([data.real, data.held_out])
    order = np.argsort(both.id)
    np.testing.assert_array_equal(both.x[order], numbered().x)
    np.testing.assert_array_equal(both.label[order], numbered().label)
    assert np.bincount(data.held_out.label).tolist() == [5, 5, 5, 5]
    assert not data.has_fresh


def test_the_split_follows_the_key(tmp_path):
    np.save(tmp_path / "rows.npy", numbered().x)
    files = Files(path=str(tmp_path / "rows.npy"))
    one, again, other = (files.load(key=Key(seed)) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one.real.x, again.real.x)
    assert (one.real.x != other.real.x).any()


def test_held_out_rows_from_a_file_of_their_own(tmp_path):
    write_samples(tmp_path / "real.parquet", numbered())
    write_samples(tmp_path / "test.parquet", numbered(10))
    files = Files(path=str(tmp_path / "real.parquet"), held_out_path=str(tmp_path / "test.parquet"))
    data = files.load(key=KEY)
    assert data.held_out is not None
    np.testing.assert_array_equal(data.real.x, numbered().x)
    assert data.held_out.id.tolist() == list(range(100, 110))
    np.save(tmp_path / "test.npy", np.ones((5, 3)))
    with pytest.raises(DataError, match=r"test\.npy has the columns x, but .*real\.parquet has label, x"):
        Files(path=str(tmp_path / "real.parquet"), held_out_path=str(tmp_path / "test.npy")).load(key=KEY)


def test_a_reserve_serves_fresh_rows(tmp_path):
    np.save(tmp_path / "rows.npy", numbered().x)
    data = Files(path=str(tmp_path / "rows.npy"), reserve_share=0.3).load(key=KEY)
    assert data.held_out is not None
    fresh = data.fresh(30, key=KEY.child("generation", 1, "fresh"))
    ids = np.concatenate([data.real.id, data.held_out.id, fresh.id])
    np.testing.assert_array_equal(np.sort(ids), np.arange(100))
    with pytest.raises(DataError, match=r"'rows\.npy' keeps 30 real rows"):
        data.fresh(30, key=KEY.child("generation", 2, "fresh"))


def test_an_unsplit_file_stays_on_disk(tmp_path):
    np.save(tmp_path / "rows.npy", numbered().x)
    data = Files(path=str(tmp_path / "rows.npy"), held_out_share=0).load(key=KEY)
    assert isinstance(data.real.x.base, np.memmap)
    assert data.held_out is None


def test_columns_and_label_by_name(tmp_path):
    (tmp_path / "people.csv").write_text("age,city,income,kind\n" + "30,Bonn,10,a\n40,Köln,20,b\n" * 5)
    rows = read_rows(tmp_path / "people.csv", label_column="kind", columns=("income", "age"))
    np.testing.assert_array_equal(rows.x[:2], [[10, 30], [20, 40]])
    assert rows.label[:2].tolist() == ["a", "b"]
    assert rows.data_columns == ("x", "label")
    with pytest.raises(DataError, match=r"people\.csv: column 'city' holds text, and x takes numbers"):
        read_rows(tmp_path / "people.csv", label_column="kind")
    with pytest.raises(DataError, match=r"people\.csv: no column 'sex'; there are: age, city, income, kind"):
        read_rows(tmp_path / "people.csv", label_column="sex")
    with pytest.raises(DataError, match="no column 'height'"):
        read_rows(tmp_path / "people.csv", columns=("height",))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "cannot be read|no rows|empty"),
        ("a,b\n", "no rows|column 'a'"),
        ("a,b\n1,2\n", "1 rows, of which 0 are held out .* fewer than 2"),
        ("a,b\n1,2\n3,\n5,6\n7,8\n", "column 'b'"),
        ("a,b\n1,2\n3,inf\n5,6\n7,8\n", "infinity in column 'x', row 1"),
        ("a,b\n1,2\n3\n", "cannot be read"),
        ("label\n1\n2\n3\n", "only the label column"),
    ],
)
def test_bad_tables_are_named(tmp_path, content, message):
    path = tmp_path / "bad.csv"
    path.write_text(content)
    with pytest.raises(DataError, match=message) as raised:
        Files(path=str(path)).load(key=KEY)
    assert str(path) in str(raised.value)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("gone.npy", None, "no such file"),
        ("rows.npy", b"not numpy", "cannot be read"),
        ("rows.xlsx", b"PK", "unknown kind of file"),
        ("rows.parquet", b"PAR1", "cannot be read"),
    ],
)
def test_bad_files_are_named(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message) as raised:
        Files(path=str(tmp_path / name)).load(key=KEY)
    assert name in str(raised.value)


def test_object_arrays_are_never_unpickled(tmp_path):
    np.save(tmp_path / "rows.npy", np.array([{"a": 1}, None], object), allow_pickle=True)
    with pytest.raises(DataError, match=r"rows\.npy"):
        Files(path=str(tmp_path / "rows.npy")).load(key=KEY)


@pytest.mark.parametrize(
    "options", [{}, {"held_out_share": 1}, {"reserve_share": -0.1}, {"columns": 3}, {"label": "y"}]
)
def test_wrong_options_are_named(options):
    path = {"path": "rows.npy"} if options else {}
    _, problems = resolve_options("datasets", {"kind": "arrays", **path, **options}, ("data",))
    assert [p[:2] for p, _ in problems] == [("data", next(iter(options), "path"))]


def test_options_survive_yaml(tmp_path):
    write_samples(tmp_path / "rows.csv", numbered())
    given = {"kind": "arrays", "path": str(tmp_path / "rows.csv"), "columns": ["x_1"], "label_column": "label"}
    from ouroloop.options import build

    resolved, problems = resolve_options("datasets", {**given, "columns": ["x"]}, ("data",))
    assert not problems
    assert build("datasets", resolved).columns == ("x",)


@pytest.mark.skipif(not ADULT.is_file(), reason="the adult table is not here")
def test_a_real_table_with_chosen_columns():
    files = Files(path=str(ADULT), label_column="income", columns=("age", "hours_per_week"), reserve_share=0.1)
    data = files.load(key=KEY)
    assert data.held_out is not None
    assert len(data.real) + len(data.held_out) == 48842 - 4884
    assert len(np.unique(data.real.label)) == 2
