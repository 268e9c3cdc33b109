"""The pure step, with parts that are as small as can be."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from ouroloop import regimes
from ouroloop.correction import Correction
from ouroloop.errors import DataError, GuardError, PartError
from ouroloop.keys import Key
from ouroloop.pool import Pool
from ouroloop.previews import preview_of
from ouroloop.protocols import Measurement, Reference
from ouroloop.samples import Samples, Verdict
from ouroloop.step import Step


@dataclass(frozen=True)
class Normal:
    mean: float = 0.0
    labelled: bool = False
    returns: int | None = None
    bad: bool = False

    def fit(self, training, *, key, previous=None):
        base = previous.mean if previous is not None else 0.0
        return replace(self, mean=float(training.x.mean()) + 100 * base * (previous is not None))

    def sample(self, n, *, key, condition=None):
        x = self.mean + key.rng().standard_normal((n if self.returns is None else self.returns, 1))
        if self.bad:
            x[0] = np.nan
        extra = dict(condition) if self.labelled and condition else {}
        return Samples.of(x, **extra)


@dataclass(frozen=True)
class Identity:
    def fit(self, reference, *, key):
        assert reference.held_out is None
        return self

    def correct(self, synthetic, *, key):
        return Correction.unchanged(synthetic)


@dataclass(frozen=True)
class Chooser:
    """Drops, fails, changes or keeps rows by position modulo four."""

    def correct(self, synthetic, *, key):
        verdict = np.arange(len(synthetic)) % 4
        order = np.array([Verdict.KEPT, Verdict.CHANGED, Verdict.DROPPED, Verdict.FAILED])[verdict]
        moved = np.where(order == Verdict.CHANGED, 2.0, 0.0)
        return Correction(synthetic, synthetic.replace(x=synthetic.x + 2.0), order, moved)


@dataclass(frozen=True)
class Mean:
    name: str = "mean"

    def measure(self, generated, *, generator, key):
        key.rng().random(5)
        return [Measurement(self.name, float(generated.x.mean()), n=len(generated))]


def step(**parts):
    real = Samples.of(np.random.default_rng(0).normal(size=(40, 1)), label=np.arange(40) % 4)
    known = {
        "reference": Reference(real),
        "generator": Normal(),
        "regime": regimes.FixedReal(synthetic_ratio=0.5),
        "corrector": Identity(),
        "evaluation_rows": 30,
    }
    return Step(**{**known, **parts})


def walk(a_step, generations=3, seed=0):
    state, info = a_step.start(Key(seed))
    infos = [info]
    for _ in range(generations):
        state, info = a_step(state, Key(seed))
        infos.append(info)
    return state, infos


def test_the_step_is_pure():
    s = step(metrics=[Mean()])
    state, _ = walk(s, 2)
    once, twice = s(state, Key(0)), s(state, Key(0))
    assert np.array_equal(once[1].synthetic.x, twice[1].synthetic.x)
    assert once[0].model == twice[0].model
    assert repr(once[1].metrics) == repr(twice[1].metrics)  # NaN is no equal of itself
    assert s(state, Key(1))[0].model != once[0].model


def test_adding_a_metric_changes_no_sample_and_no_other_metric():
    few, many = walk(step(metrics=[Mean()]))[1], walk(step(metrics=[Mean(), Mean("again")]))[1]
    for a, b in zip(few, many, strict=True):
        assert repr(a.metrics["mean"]) == repr(b.metrics["mean"])
        if a.synthetic is not None:
            assert np.array_equal(a.synthetic.x, b.synthetic.x)


def test_rows_carry_ids_origins_and_verdicts():
    _, infos = walk(step(corrector=Chooser(), regime=regimes.Accumulate(synthetic_ratio=0.5)), 2)
    rows = infos[2].synthetic.materialise()
    raw = (2 << 40) | np.arange(20)
    assert (rows.origin == 2).all()
    assert rows.id.tolist() == [i | (1 << 39 if k % 4 == 1 else 0) for k, i in enumerate(raw) if k % 4 < 2]
    assert rows.parent.tolist() == [i if k % 4 == 1 else -1 for k, i in enumerate(raw) if k % 4 < 2]
    assert infos[2].verdicts == {"kept": 5, "changed": 5, "dropped": 5, "failed": 5}
    assert infos[2].metrics["distance_moved"].value == pytest.approx(0.5)
    assert infos[2].training.n_real == 40
    assert len(infos[2].training) == 60


def test_failed_rows_may_be_kept_raw():
    _, infos = walk(step(corrector=Chooser(), on_failure="keep_raw"), 1)
    rows = infos[1].synthetic.materialise()
    assert np.count_nonzero(rows.verdict == Verdict.FAILED) == 5
    assert len(rows) == 15


def test_shards_cover_all_rows_once():
    whole, parts = (walk(step(shard_rows=size), 1)[1][1].synthetic.materialise() for size in (1000, 7))
    assert len(np.unique(parts.id)) == len(parts) == len(whole) == 20


def test_real_only_draws_nothing_but_keeps_labels():
    _, infos = walk(step(regime=regimes.RealOnly(), generator=Normal(labelled=True)))
    assert all(len(i.training) == 40 for i in infos)
    assert "label" in infos[3].training.data_columns


def test_unconditional_generators_train_without_labels():
    assert walk(step())[1][1].training.data_columns == ("x",)
    assert set(walk(step(generator=Normal(labelled=True)))[1][1].training.data_columns) == {"x", "label"}


@pytest.mark.parametrize("mode", ["balanced", "empirical"])
def test_labels_asked_for(mode):
    labels = walk(step(generator=Normal(labelled=True), condition=mode), 1)[1][1].synthetic.column("label")
    if mode == "balanced":
        assert labels.tolist() == [0, 1, 2, 3] * 5
    else:
        assert set(labels) <= {0, 1, 2, 3}


@dataclass(frozen=True)
class Captioned(Normal):
    """Names the columns that it is conditioned on."""

    condition_columns: tuple[str, ...] = ("caption", "length")
    labelled: bool = True


@pytest.mark.parametrize("mode", ["balanced", "empirical"])
def test_a_generator_is_asked_for_whole_conditions_of_real_rows(mode):
    names = np.array([f"clip {i}" for i in range(40)])
    real = Samples.of(np.zeros((40, 1)), caption=names, length=np.arange(40) + 10)
    a_step = step(reference=Reference(real), generator=Captioned(), condition=mode)
    drawn = walk(a_step, 1)[1][1].synthetic
    rows = drawn.take(np.arange(len(drawn)))
    position = rows["length"] - 10
    np.testing.assert_array_equal(rows["caption"], names[position])
    distinct = len(np.unique(position))
    assert (distinct == len(rows)) if mode == "balanced" else (distinct < len(rows))


def test_evaluation_asks_for_conditions_that_the_model_was_not_trained_on():
    def captioned(prefix, n):
        return Samples.of(np.zeros((n, 1)), caption=np.array([f"{prefix} {i}" for i in range(n)]), length=np.ones(n))

    seen = []

    class Spy(Mean):
        def measure(self, generated, *, generator, key):
            seen.extend(generated["caption"])
            return super().measure(generated, generator=generator, key=key)

    reference = Reference(captioned("real", 40), captioned("held out", 7))
    walk(step(reference=reference, generator=Captioned(), metrics=(Spy(),)), 1)
    assert set(seen) == {f"held out {i}" for i in range(7)}


def test_fine_tuning_hands_on_the_previous_model():
    anew, tuned = (walk(step(fine_tune=f), 2)[0].model.mean for f in (False, True))
    assert abs(anew) < 1
    assert abs(tuned) > 10 * abs(anew)


def test_guard_stops_or_subsamples():
    guarded = step(min_real_share=0.9, metrics=[Mean()])
    with pytest.raises(GuardError, match=r"40 real of 60 rows, a share of 0\.667 below guards\.min_real_share = 0\.9"):
        walk(guarded)
    training = walk(replace(guarded, subsample=True))[1][1].training
    assert training.n_real == 40
    assert training.n_real / len(training) >= 0.9
    assert len(training) == 44
    with pytest.raises(GuardError):
        walk(step(min_real_share=0.1, subsample=True, regime=regimes.Replace()))


@pytest.mark.parametrize(
    ("parts", "error", "match"),
    [
        ({"generator": Normal(returns=3)}, PartError, "asked for 20 rows and returned 3"),
        ({"generator": Normal(bad=True)}, DataError, "rows drawn from the generator: NaN in column 'x', row 0"),
        ({"regime": regimes.Replace(synthetic_ratio=0.0)}, PartError, "generation 1: no rows to train on"),
        ({"regime": regimes.FreshReal()}, DataError, "needs fresh real rows"),
    ],
)
def test_broken_parts_are_named(parts, error, match):
    with pytest.raises(error, match=match):
        walk(step(**parts), 1)


def test_a_corrector_that_drops_all_ends_replace_with_a_clear_error():
    class Nothing(Identity):
        def correct(self, synthetic, *, key):
            return Correction(synthetic, synthetic, np.full(len(synthetic), Verdict.DROPPED), np.zeros(len(synthetic)))

    with pytest.raises(PartError, match="the corrector dropped all synthetic rows"):
        walk(step(corrector=Nothing(), regime=regimes.Replace()), 1)


def test_measured_only_when_due_and_at_the_end():
    _, infos = walk(step(metrics=[Mean()], evaluate_every=3, last_generation=5), 5)
    assert [i.generation for i in infos if "mean" in i.metrics] == [0, 3, 5]
    assert all("synthetic_ratio" in i.metrics for i in infos)


def test_fresh_rows_differ_between_generations_and_repeat_between_runs():
    def fresh(n, *, key):
        return Samples.of(key.rng().normal(size=(n, 1)))

    s = step(reference=Reference(Samples.of(np.zeros((10, 1))), fresh=fresh), regime=regimes.FreshReal())
    _, first = walk(s, 2)
    _, again = walk(s, 2)
    real = [i.training.take(np.arange(10)).x for i in first]
    assert not np.array_equal(real[1], real[2])
    assert np.array_equal(real[2], again[2].training.take(np.arange(10)).x)
    assert Pool.of(first[1].training).n_real == 10


def test_previews_hold_fewer_of_large_rows():
    small, large = (Samples.of(np.zeros((120, *shape), np.float32)) for shape in ((2,), (196, 263)))
    assert len(preview_of(small)["x"]) == 100
    assert len(preview_of(large)["x"]) == (4 << 20) // (196 * 263 * 4)
    assert len(preview_of(Samples.of(np.zeros((9, 1 << 20))))["x"]) == 8
