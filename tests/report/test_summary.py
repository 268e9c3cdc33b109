from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from rich.console import Console

import ouroloop as ol
from ouroloop.errors import DataError
from ouroloop.report import difference_table, summary_rows, summary_table
from ouroloop.report.differences import baseline_of, difference
from ouroloop.report.load import load
from ouroloop.report.metric_names import diversity_metric, headline_metric, ordered
from ouroloop.report.summary import lead, verdict
from ouroloop.report.wording import number


def written(make_runs: ModuleType, root: Path, arm: str, values: list[list[float]], **more: list[list[float]]) -> None:
    """Runs of an arm, one list of fid values a seed, and further metrics alike."""
    for seed, value in enumerate(values):
        curves = {"fid": {"value": np.array(value)}}
        curves.update({name: {"value": np.array(rows[seed])} for name, rows in more.items()})
        spec = "regime: {name: real_only}\n" if arm == "real" else "regime: {name: replace}\n"
        make_runs.write_run(root / arm / f"seed-{seed}", arm=arm, seed=seed, curves=curves, spec=spec)


def test_a_row_holds_both_ends_with_intervals(digits: Path) -> None:
    row = summary_rows([digits])[0]
    assert (row.label, row.seeds, row.generations, row.metric, row.diversity_metric) == (
        "No correction", 3, 10, "fid", "diversity",
    )  # fmt: skip
    tracks = [run.tracks["fid"] for run in load([digits]).arms[0].runs]
    assert row.first == pytest.approx(np.mean([t.value[0] for t in tracks]))
    assert row.last == pytest.approx(np.mean([t.value[-1] for t in tracks]))
    assert row.last_low < row.last < row.last_high
    assert (row.alarm, row.alarm_seeds, row.alarm_judged) == ("collapsing", 3, 3)
    assert row.synthetic_ratio == 1.0


def test_the_difference_is_paired_by_seed(make_runs: ModuleType, tmp_path: Path) -> None:
    written(make_runs, tmp_path, "a", [[0, 11.0], [0, 22.0], [0, 33.0]])
    written(make_runs, tmp_path, "real", [[0, 10.0], [0, 20.0], [0, 30.0]])
    results = load([tmp_path])
    gap = difference(results.arms[0], results.arms[1], "fid")
    assert gap is not None
    # Gaps 1, 2, 3: mean 2, standard error 1/sqrt(3), t quantile of 2 degrees of freedom 4.30265.
    assert (gap.mean, gap.pairs, gap.generation) == (2.0, 3, 1)
    assert gap.low == pytest.approx(2 - 4.30265 / np.sqrt(3), abs=1e-4)
    assert gap.verdict == "no difference shown"


@pytest.mark.parametrize(
    ("metric", "shift", "verdict_word"),
    [
        ("fid", 1, "worse"),
        ("fid", -1, "better"),
        ("recall", 1, "better"),
        ("recall", -1, "worse"),
        ("odd", 1, "higher"),
    ],
)
def test_what_is_better_depends_on_the_metric(
    make_runs: ModuleType, tmp_path: Path, metric: str, shift: float, verdict_word: str
) -> None:
    noise = [0.01, 0.02, 0.03]
    base = [[5.0], [6.0], [7.0]]
    moved = [[v[0] + shift + e] for v, e in zip(base, noise, strict=True)]
    written(
        make_runs, tmp_path, "a", moved if metric == "fid" else base, **({} if metric == "fid" else {metric: moved})
    )
    written(make_runs, tmp_path, "real", base, **({} if metric == "fid" else {metric: base}))
    results = load([tmp_path])
    gap = difference(results.arms[0], results.arms[1], metric)
    assert gap is not None
    assert gap.verdict == verdict_word


def test_unequal_lengths_are_compared_at_the_last_common_generation(make_runs: ModuleType, tmp_path: Path) -> None:
    written(make_runs, tmp_path, "a", [[1.0, 2.0, 3.0]])
    written(make_runs, tmp_path, "real", [[1.0, 1.5]])
    results = load([tmp_path])
    gap = difference(results.arms[0], results.arms[1], "fid")
    assert gap is not None
    assert (gap.generation, gap.mean, gap.pairs, gap.verdict) == (1, 0.5, 1, "one pair: no interval")
    assert difference(results.arms[0], results.arms[1], "kid") is None


def test_the_baseline_is_the_real_only_control_unless_named(digits: Path) -> None:
    results = load([digits])
    assert baseline_of(results).name == "real_only"
    assert baseline_of(results, "cluster").name == "cluster"
    assert baseline_of(results, "Cluster correction").name == "cluster"
    with pytest.raises(DataError, match=r"no arm 'x'.*no_correction, cluster, real_only"):
        baseline_of(results, "x")


def test_the_alarm_is_the_commonest_status_and_the_worse_in_a_tie(make_runs: ModuleType, tmp_path: Path) -> None:
    for name, last in {"tie": [0, 2], "most": [0, 0, 2], "unknown": [np.nan]}.items():
        written(make_runs, tmp_path, name, [[1.0]] * len(last), alarm=[[v] for v in last])
    rows = {row.arm: (row.alarm, row.alarm_seeds, row.alarm_judged) for row in summary_rows([tmp_path])}
    assert rows == {"tie": ("collapsing", 1, 2), "most": ("healthy", 2, 3), "unknown": ("not judged", 0, 0)}


def test_the_verdict_says_what_the_numbers_say(digits: Path) -> None:
    results = load([digits])
    rows = summary_rows([digits])
    assert lead(results) == (
        "At generation 10, by the collapse alarm, No correction is collapsing; "
        "Cluster correction and Real data only are healthy. "
        f"Fréchet distance ends lowest for Real data only ({number(rows[2].last)}) and highest for No correction "
        f"({number(rows[0].last)})."
    )
    first, _, control = verdict(results)
    row = summary_rows([digits])[0]
    assert (first.status, first.who) == ("collapsing", "3 of 3 seeds")
    assert f"to {row.last:.1f} ({row.last_low:.1f} to {row.last_high:.1f}) at generation 10" in first.text
    assert f"{row.last / row.floor:.0f} times the real-versus-real floor" in first.text
    assert "above Real data only" in first.text
    assert "real data alone" in control.text


def test_few_seeds_cannot_tell_equal_arms_apart(make_runs: ModuleType, tmp_path: Path) -> None:
    written(make_runs, tmp_path, "a", [[1.0], [2.0]])
    written(make_runs, tmp_path, "real", [[1.5], [1.4]])
    assert "2 pairs of seeds cannot tell the two apart" in verdict(load([tmp_path]))[0].text


def test_nothing_measured_is_said(tmp_path: Path) -> None:
    (tmp_path / "r" / "generations" / "0000").mkdir(parents=True)
    results = load([tmp_path / "r"])
    assert "not measured" in lead(results)
    assert "nothing more can be said" in verdict(results)[0].text
    assert np.isnan(summary_rows([tmp_path / "r"])[0].last)


def test_metric_choice_and_order() -> None:
    assert headline_metric(["alarm", "recall", "kid", "fid"]) == "fid"
    assert headline_metric(["kid", "fid"], wanted="kid") == "kid"
    assert headline_metric(["alarm", "training_rows", "mine"]) == "mine"
    assert headline_metric(["alarm"]) is None
    assert diversity_metric(["fid", "recall"], "fid") == "recall"
    assert diversity_metric(["fid"], "fid") is None
    names = ["synthetic_ratio", "mine", "recall", "alarm", "kid", "fid", "kid"]
    assert ordered(names, "kid") == ["kid", "fid", "recall", "mine", "synthetic_ratio"]


def shown(table: object) -> str:
    console = Console(width=200, record=True, file=None, force_terminal=False)
    with console.capture() as capture:
        console.print(table)
    return capture.get()


def test_the_terminal_tables_show_rows_and_escape_markup(make_runs: ModuleType, digits: Path, tmp_path: Path) -> None:
    text = shown(summary_table([digits]))
    assert "Cluster correction" in text
    assert "collapsing 3/3" in text
    text = shown(difference_table([digits], baseline="no_correction"))
    assert "Difference from No correction" in text
    assert "better" in text
    written(make_runs, tmp_path, "[bold]x[/nope]", [[1.0]])
    assert "[bold]x[/nope]" in shown(summary_table([tmp_path]))


def test_the_ratio_of_a_run_without_real_rows_is_infinite_not_that_of_generation_zero(tmp_path: Path) -> None:
    real = np.random.default_rng(0).normal(size=(30, 2))
    ol.Loop("gaussian", real, regime="replace", generations=2, out=tmp_path / "run").run()
    assert summary_rows([tmp_path / "run"])[0].synthetic_ratio == float("inf")
