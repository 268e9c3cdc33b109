"""The driver: iterate, resume, extend, fork; the same numbers whether or not it was interrupted."""

import json
import math

import numpy as np
import pytest
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import KernelDensity

import ouroloop as ol
from ouroloop.errors import OuroloopError, PartError, SpecError, StoreError

REAL = np.random.default_rng(0).normal(size=(60, 2))
HELD_OUT = np.random.default_rng(1).normal(size=(50, 2))
TOY = {
    "generator": "gaussian",
    "real": REAL,
    "held_out": HELD_OUT,
    "regime": {"kind": "accumulate", "synthetic_ratio": 0.5},
    "metrics": ["moments", "sliced_w2"],
    "evaluation": {"n": 40},
    "generations": 4,
}


def toy(**changes):
    return ol.Loop(**{**TOY, **changes})


def numbers(loop):
    """Everything that is measured, without the columns that say which run it was."""
    rows = loop.metric_rows()
    return [tuple(repr(r[c]) for c in ("generation", "metric", "value", "low", "high", "floor", "n")) for r in rows]


def test_iterating_gives_every_generation_once_and_running_again_nothing():
    loop = toy()
    assert [info.generation for info in loop] == [0, 1, 2, 3, 4]
    assert list(loop) == []
    assert {r["generation"] for r in loop.metric_rows()} == set(range(5))


def test_memory_and_disk_agree(tmp_path):
    assert numbers(toy().run()) == numbers(toy(out=tmp_path / "run").run())


def cut_and_resumed(path, **parts):
    """A loop left after generation 2, and gone on with by another object."""
    for info in toy(out=path, **parts):
        if info.generation == 2:
            break
    return ol.Loop.resume(path, real=REAL, held_out=HELD_OUT).run()


@pytest.mark.parametrize("generator", ["gaussian", {"kind": "gaussian_mixture", "components": 2}, {"kind": "kde"}])
@pytest.mark.parametrize("regime", ["replace", "fixed_real", "accumulate", "accumulate_subsample", "linear_accumulate"])
def test_an_interrupted_run_ends_with_the_same_numbers(tmp_path, generator, regime):
    parts = {"generator": generator, "regime": regime, "corrector": "transport", "correction_strength": 1.0}
    whole = toy(out=tmp_path / "whole", **parts).run()
    resumed = cut_and_resumed(tmp_path / "cut", **parts)
    assert numbers(resumed) == numbers(whole)
    assert resumed.store.verify() == []


@pytest.mark.parametrize("optimiser_state", ["carry", "reset"])
def test_an_interrupted_run_of_a_network_ends_with_the_same_numbers(tmp_path, optimiser_state):
    """Weights, their running average and the optimiser's moments go on from where they were."""
    network = {"kind": "diffusion", "width": 16, "depth": 1, "steps": 12, "batch_size": 16, "sampling_steps": 3}
    network |= {"ema": 0.9, "learning_rate": 0.01, "optimiser_state": optimiser_state}
    parts = {"generator": network, "start": "previous", "regime": "fixed_real", "corrector": "transport"}
    whole = toy(out=tmp_path / "whole", **parts).run()
    resumed = cut_and_resumed(tmp_path / "cut", **parts)
    assert numbers(resumed) == numbers(whole)
    weights = [(tmp_path / name / "generations/0004/model/model.safetensors").read_bytes() for name in ("cut", "whole")]
    assert weights[0] == weights[1]
    other = {**network, "optimiser_state": {"carry": "reset", "reset": "carry"}[optimiser_state]}
    assert numbers(toy(**{**parts, "generator": other}).run()) != numbers(whole)


def test_a_run_can_be_extended(tmp_path):
    toy(out=tmp_path / "run", generations=2).run()
    longer = ol.Loop.resume(tmp_path / "run", generations=4, real=REAL, held_out=HELD_OUT).run()
    assert numbers(longer) == numbers(toy().run())
    assert ol.RunStore.open(tmp_path / "run").spec["generations"] == 4
    with pytest.raises(SpecError, match="has 4 generations already"):
        ol.Loop.resume(tmp_path / "run", generations=1, real=REAL)


def test_a_fork_to_another_generator_draws_from_the_old_one_once(tmp_path):
    data = {"real": REAL, "held_out": HELD_OUT}
    toy(out=tmp_path / "run").run()
    ol.Loop.fork(tmp_path / "run", at=2, out=tmp_path / "fork", generator="kde", **data)
    forked = ol.Loop.resume(tmp_path / "fork", **data)  # by another process
    assert type(forked.restore(2).model).__name__ == "Gaussian"
    rows = ol.RunStore.open(tmp_path / "run").synthetic(3)
    forked.run()
    assert np.array_equal(forked.store.synthetic(3).take(np.arange(20)).x, rows.take(np.arange(20)).x)
    assert type(forked.restore(3).model).__name__ == "Kde"
    assert not np.array_equal(forked.store.synthetic(4).take(np.arange(20)).x, rows.take(np.arange(20)).x)
    with pytest.raises(SpecError, match="is of generator 'gaussian', from which a 'kde' cannot be fine-tuned"):
        ol.Loop.fork(tmp_path / "run", at=2, out=tmp_path / "other", generator="kde", start="previous", **data)


def test_a_fork_shares_the_past_and_changes_the_rest(tmp_path):
    toy(out=tmp_path / "run").run()
    forked = ol.Loop.fork(
        tmp_path / "run", at=2, out=tmp_path / "fork", corrector="nearest_real", real=REAL, held_out=HELD_OUT
    ).run()
    before, after = numbers(toy().run()), numbers(forked)
    early = [r for r in before if int(r[0]) <= 2]
    assert after[: len(early)] == early
    assert after[len(early) :] != before[len(early) :]
    assert forked.store.verify() == []


@pytest.mark.parametrize("estimator", [GaussianMixture(2), KernelDensity(bandwidth=0.3)])
def test_scikit_learn_estimators_work_unchanged_and_resume(tmp_path, estimator):
    parameters = dict(estimator.get_params())
    whole = toy(generator=estimator).run()
    for info in toy(generator=estimator, out=tmp_path / "run"):
        if info.generation == 2:
            break
    with pytest.raises(SpecError, match=r"started from Python with the object .*Loop\.resume\(path, generator="):
        ol.Loop.resume(tmp_path / "run", real=REAL, held_out=HELD_OUT)
    resumed = ol.Loop.resume(tmp_path / "run", generator=estimator, real=REAL, held_out=HELD_OUT).run()
    assert numbers(resumed) == numbers(whole)
    assert estimator.get_params() == parameters
    assert not hasattr(estimator, "weights_")
    assert not hasattr(estimator, "tree_")


def test_a_plain_function_is_a_corrector():
    centred = toy(corrector=lambda x: x - x.mean(axis=0), regime="replace").run()
    plain = toy(regime="replace").run()
    assert numbers(centred) != numbers(plain)
    share = [r["value"] for r in centred.metric_rows() if r["metric"] == "corrected_share"]
    assert share == [1.0] * 4


def test_strength_zero_is_the_uncorrected_loop():
    a = toy(corrector="transport", correction_strength=0.0).run()
    b = toy(corrector="identity").run()
    assert numbers(a) == numbers(b)


def test_another_run_in_the_same_directory_is_refused_with_the_differing_fields(tmp_path):
    toy(out=tmp_path / "run", generations=1).run()
    for change, field in (({"seed": 3}, "seed"), ({"regime": "replace"}, "regime.kind"), ({"real": REAL + 1}, "data")):
        with pytest.raises(StoreError, match="made with other settings") as error:
            toy(out=tmp_path / "run", **change)
        assert field in str(error.value)
    toy(out=tmp_path / "run", generations=2, keep={"last": 3}).run()


def test_disk_is_bounded_and_the_run_still_resumes(tmp_path):
    loop = toy(out=tmp_path / "run", regime="replace", generations=6, keep={"last": 2, "every": 4}).run()
    models = sorted(p.parent.name for p in (tmp_path / "run").glob("generations/*/model"))
    assert models == ["0000", "0004", "0005", "0006"]
    assert loop.store.verify() == []
    longer = ol.Loop.resume(tmp_path / "run", generations=8, real=REAL, held_out=HELD_OUT).run()
    assert numbers(longer) == numbers(toy(regime="replace", generations=8).run())


def test_a_corrector_never_sees_the_held_out_rows():
    class Spy:
        def fit(self, reference, *, key):
            assert reference.held_out is None
            return self

        def correct(self, synthetic, *, key):
            return ol.Correction.unchanged(synthetic)

    toy(corrector=Spy(), generations=1).run()


@pytest.mark.parametrize(
    ("changes", "error", "match"),
    [
        ({"real": np.full((5, 2), np.nan)}, OuroloopError, "NaN"),
        ({"real": np.zeros((0, 2))}, OuroloopError, "row"),
        ({"real": [[1.0], [1.0, 2.0]]}, OuroloopError, "ragged"),
        ({"regime": "replac"}, SpecError, "must be one of"),
        ({"regime": {"kind": "replace", "synthetic_ratio": -1}}, SpecError, "must be >= 0, got -1"),
        ({"colour": "red"}, SpecError, r"unknown field\(s\) colour"),
        ({"generations": -1}, SpecError, "generations: must be >= 0"),
        ({"callbacks": [3]}, SpecError, "a callback is"),
        ({"corrector": lambda x: x[:-1]}, PartError, "shape"),
        ({"generator": 3}, OuroloopError, "fit"),
    ],
)
def test_bad_input_is_told_clearly(changes, error, match):
    with pytest.raises(error, match=match):
        toy(**changes).run()


def test_an_error_loses_no_committed_generation(tmp_path):
    def fails_late(x, count=[]):  # noqa: B006  counts calls on purpose
        count.append(1)
        if len(count) == 3:
            raise RuntimeError("no luck")
        return x * 0.9

    with pytest.raises(PartError, match="no luck"):
        toy(out=tmp_path / "run", corrector=fails_late).run()
    store = ol.RunStore.open(tmp_path / "run")
    assert store.generations() == [0, 1, 2]
    assert [e["event"] for e in store.events()][-1] == "error"
    done = ol.Loop.resume(tmp_path / "run", corrector=fails_late, real=REAL, held_out=HELD_OUT).run()
    assert numbers(done) == numbers(toy(corrector=lambda x: x * 0.9).run())


def test_callbacks_are_called_and_may_stop():
    seen = []
    loop = toy(callbacks=[lambda info: seen.append(info.generation), lambda info: info.generation == 2])
    loop.run()
    assert seen == [0, 1, 2]


def test_stop_on_the_alarm_ends_a_collapsing_run():
    loop = toy(regime="replace", generator={"kind": "gaussian"}, real=REAL[:12], generations=200, stop_on="collapsing")
    infos = list(loop)
    assert infos[-1].generation < 200
    assert infos[-1].alarm == 2


def test_rows_hold_values_floors_and_forecast_columns():
    rows = toy().run().metric_rows()
    assert {"arm", "seed", "generation", "metric", "value", "low", "high", "floor", "forecast", "n"} <= rows[0].keys()
    sliced = [r for r in rows if r["metric"] == "sliced_w2"]
    assert all(r["low"] <= r["value"] <= r["high"] and r["floor"] > 0 and r["n"] == 40 for r in sliced)
    ratio = [r["value"] for r in rows if r["metric"] == "synthetic_ratio"]
    assert ratio == [0.0, 0.5, 1.0, 1.5, 2.0]


def test_run_directory_is_readable_without_us(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq
    import yaml

    toy(out=tmp_path / "run").run()
    run = tmp_path / "run"
    assert yaml.safe_load((run / "spec.yaml").read_text())["regime"]["synthetic_ratio"] == 0.5
    assert json.loads((run / "environment.json").read_text())["packages"]["numpy"]
    assert pq.read_table(run / "metrics.parquet").num_rows > 0
    with pa.memory_map(str(run / "generations" / "0003" / "synthetic.arrow")) as source:
        table = pa.ipc.open_file(source).read_all()
    assert table.num_rows == 30
    assert set(table["origin"].to_pylist()) == {3}
    corrections = pq.read_table(run / "generations" / "0003" / "corrections.parquet")
    assert corrections.column_names == ["id", "parent", "verdict", "distance"]
    assert not list(run.rglob("*.pkl"))


def test_missing_values_in_metrics_are_nan_not_null():
    rows = toy(metrics=[]).run().metric_rows()
    assert all(isinstance(r["low"], float) and math.isnan(r["low"]) for r in rows)


def test_strength_is_heard_wherever_it_is_given(tmp_path):
    by_argument = toy(corrector="transport", correction_strength=0.5).run()
    by_mapping = toy(corrector={"kind": "transport", "correction_strength": 0.5}).run()
    assert numbers(by_argument) == numbers(by_mapping)
    assert by_argument.spec["corrector"]["correction_strength"] == 0.5
    assert toy(corrector="histogram", correction_strength=0.5).spec["corrector"]["correction_strength"] == 0.5
    by_argument = toy(corrector="transport", correction_strength=0.5, out=tmp_path / "run").run()
    data = {"real": REAL, "held_out": HELD_OUT}
    forked = ol.Loop.fork(tmp_path / "run", at=1, out=tmp_path / "fork", correction_strength=3.0, **data)
    assert forked.spec["corrector"] == {**by_argument.spec["corrector"], "correction_strength": 3.0}


def test_misspelt_arguments_are_refused(tmp_path):
    toy(out=tmp_path / "run", generations=1).run()
    with pytest.raises(SpecError, match="corector"):
        ol.Loop.fork(tmp_path / "run", at=0, out=tmp_path / "fork", corector="transport", real=REAL)
    with pytest.raises(SpecError, match="unknown argument"):
        ol.Loop.resume(tmp_path / "run", real=REAL, held_out=HELD_OUT, generatr=3)


def test_resuming_with_another_object_is_refused(tmp_path):
    toy(generator=GaussianMixture(2), out=tmp_path / "run", generations=1).run()
    for other, differing in (
        (GaussianMixture(3), r"in:\n  generator\.parameters\.n_components: got 3, stored 2$"),
        (KernelDensity(), r"generator\.object: got 'sklearn.*KernelDensity', stored 'sklearn.*GaussianMixture'"),
    ):
        with pytest.raises(SpecError, match=differing):
            ol.Loop.resume(tmp_path / "run", generations=2, generator=other, real=REAL, held_out=HELD_OUT)


def test_an_early_stop_is_remembered(tmp_path):
    fields = {"regime": "replace", "real": REAL[:12], "generations": 200, "stop_on": "collapsing"}
    first = list(toy(out=tmp_path / "run", **fields))
    assert 0 < first[-1].generation < 200
    assert list(toy(out=tmp_path / "run", **fields)) == []


def test_pruning_keeps_what_a_refit_of_the_past_needs(tmp_path):
    fields = {"generator": GaussianMixture(2), "regime": "replace", "start": "previous", "keep": {"last": 1}}
    for info in toy(out=tmp_path / "run", **fields):
        if info.generation == 3:
            break
    resumed = ol.Loop.resume(tmp_path / "run", generator=GaussianMixture(2), real=REAL, held_out=HELD_OUT).run()
    assert numbers(resumed) == numbers(toy(**fields).run())
