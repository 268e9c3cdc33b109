"""forecast, plan, estimate and verify-data through the command line."""

import re
import subprocess
import sys

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from ouroloop.cli import app
from ouroloop.errors import DataError, SpecError
from ouroloop.study import Study, run_study
from ouroloop.theory.verification import classifier_accuracy

RUNNER = CliRunner()
SPEC = {
    "data": {"kind": "gaussian", "n": 60, "held_out": 200},
    "generator": "gaussian",
    "regime": {"kind": "replace", "synthetic_ratio": 1.0},
    "generations": 12,
    "metrics": [{"kind": "moments"}],
    "evaluation": {"n": 100},
}


def call(*arguments):
    result = RUNNER.invoke(app, [str(a) for a in arguments])
    return result.exit_code, result.output


def test_forecast_of_a_specification_prints_and_draws(tmp_path):
    (tmp_path / "spec.yaml").write_text(yaml.safe_dump(SPEC))
    code, text = call("forecast", tmp_path / "spec.yaml", "-o", tmp_path / "f.png", "--set", "generations=7")
    assert code == 0, text
    assert "trace_ratio" in text
    assert "t = 7" in text
    assert "exact" in text
    assert (tmp_path / "f.png").read_bytes().startswith(b"\x89PNG")


def test_forecast_of_a_study_has_every_arm():
    code, text = call("forecast", "scsc-gaussian")
    assert code == 0, text
    for arm in Study.read("scsc-gaussian").arms:
        assert arm.name in text


def test_forecast_of_a_sweep_names_its_parameter(tmp_path):
    code, text = call("forecast", "rmt-size", "-o", tmp_path / "f.svg")
    assert code == 0, text
    assert "n synthetic" in text
    assert "t = " not in text
    assert "synthetic" in (tmp_path / "f.svg").read_text()


def test_forecast_says_when_nothing_is_known(tmp_path):
    spec = {**SPEC, "generator": "kde", "corrector": {"kind": "nearest_real"}, "regime": "real_only"}
    (tmp_path / "spec.yaml").write_text(yaml.safe_dump(spec))
    code, text = call("forecast", tmp_path / "spec.yaml")
    assert code == 0
    assert "no closed form is implemented" in text or "synthetic_ratio" in text


def test_an_unknown_specification_is_one_clear_line():
    run = subprocess.run(
        [sys.executable, "-m", "ouroloop.cli", "forecast", "nothing-like-it"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 1
    assert run.stderr.startswith("error: nothing-like-it: no such file, and no bundled study")
    assert "Traceback" not in run.stderr


def test_plan_answers_and_draws(tmp_path):
    code, text = call("plan", "--budget", 1.5, "--generations", 20, "--sampler-distortion", 2.5, "-o", tmp_path)
    assert code == 0, text
    for regime in ("replace", "accumulate", "fixed_real", "fresh_real"):
        assert regime in text
    for name in ("phases-loop.png", "phases-budget.png"):  # what they show: tests/theory/test_phases.py
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")


def test_plan_prints_one_answer_for_the_rows_that_there_are():
    """With 30 rows for 20 parameters the limit of many rows breaks the budget in generation 6; these rows do not."""
    code, text = call("plan", "--n-real", 30, "--dimension", 20, "--budget", 1.5)
    assert code == 0, text
    first, second = ([cell.strip() for cell in row.strip("│").split("│")] for row in cells(text, "accumulate"))
    assert first[1:4] == ["1.227", "never", "any"]
    assert second[1] == "any"
    assert second[4:] == ["yes", "exact"]
    assert "real rows' own inputs" in text
    fresh = cells(text, "fresh_real")[1]
    assert "exact" not in fresh  # new rows have new inputs, for which no law is exact
    code, text = call("plan", "--n-real", 30, "--dimension", 20)
    replace = [[cell.strip() for cell in row.strip("│").split("│")] for row in cells(text, "replace")]
    assert (replace[0][3], replace[1][1]) == ("6.7 and more", "201 and more")


@pytest.mark.parametrize("strength", [0, 0.05, 2])
@pytest.mark.parametrize(("model", "own"), [("gaussian", 0.01), ("least_squares", 1 / 98)])
def test_both_tables_of_a_plan_are_of_the_same_correction(model, own, strength):
    code, text = call("plan", "--n-real", 100, "--dimension", 1, "--model", model, "--correction-strength", strength)
    assert code == 0, text
    for regime in ("replace", "accumulate", "accumulate_subsample", "fixed_real", "fresh_real"):
        first, second = ([cell.strip() for cell in row.strip("│").split("│")] for row in cells(text, regime))
        risk, breaks, needed = float(first[1]), first[2], float(first[4])
        assert float(second[3]) == pytest.approx(risk * own, rel=2e-3)
        assert second[4] == ("yes" if breaks == "never" or int(breaks.split()[0]) > 10 else "no")
        if model == "gaussian" or strength:  # least squares without correction has another law than with
            assert (second[4] == "yes") == (strength >= needed)
    assert (f"correction strength {strength:g}" in " ".join(text.split())) == bool(strength)


def test_plan_says_why_no_strength_suffices():
    code, text = call("plan", "--synthetic-ratio", 0.5)
    assert code == 0, text
    assert "none finite" in cells(text, "replace")[0]
    assert "draws of the real data have 2 times the risk" in " ".join(text.split())


def cells(text, regime):
    return [line for line in text.splitlines() if line.startswith("│" + regime + " ")]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--model", "foo"), "model: needs --n-real"),
        (("--model", "gaussian"), "model: needs --n-real"),
        (("--n-real", 50, "--model", "foo"), "model: must be one of least_squares, gaussian"),
        (("--dimension", 5), "dimension: needs --n-real"),
        (("--noise-variance", 2), "noise_variance: needs --n-real"),
        (("--label-noise", 0.1), "label_noise: needs --n-real"),
        (("--signal", 1), "signal: needs --n-real"),
        (("--keep-correct", 1), "keep_correct: needs --n-real"),
        (("--keep-wrong", 0.5), "keep_wrong: needs --n-real"),
        (("--ridge", 1), "ridge: needs --n-real"),
        (("--accuracy", 0.9), "accuracy: needs --n-real"),
        (("--n-real", 50, "--ridge", 0), "ridge: must be > 0"),
        (("--n-real", 50, "--accuracy", 1.5), "accuracy: must be below 1"),
        (("--n-real", 10**25), r"n_real: must be at most 10\^15"),
        (("--n-real", 10, "--rows", 20, "--synthetic-ratio", 1e308), "synthetic_ratio"),
        (("--budget", 1.5, "--risk", 1, "--n-real", 200), "not both"),
    ],
)
def test_plan_refuses_before_it_prints(arguments, message):
    with pytest.raises(SpecError, match=message):
        RUNNER.invoke(app, ["plan", *map(str, arguments)], catch_exceptions=False)
    run = RUNNER.invoke(app, ["plan", *map(str, arguments)])
    assert run.exit_code != 0
    assert "┏" not in run.output


def test_plan_speaks_of_a_classifier_where_one_is_asked_for():
    for model in ("gaussian", "least_squares"):
        assert "classifier" not in call("plan", "--n-real", 200, "--dimension", 5, "--model", model)[1]
    for option in (("--signal", 1), ("--ridge", 0.5), ("--accuracy", 0.6), ("--keep-wrong", 0.3)):
        assert "classifier of 5 features" in call("plan", "--n-real", 200, "--dimension", 5, *option)[1]


def test_plan_of_a_classifier_says_whether_synthetic_rows_help(tmp_path):
    code, text = call("plan", "--n-real", 100, "--dimension", 50, "--label-noise", 0.1, "-o", tmp_path)
    assert code == 0, text
    assert "p*" in text
    assert (tmp_path / "phases-verification.png").exists()
    code, text = call("plan", "--n-real", 100, "--dimension", 50, "--label-noise", 0.9)
    assert code == 0, text
    assert "they do not help" in text


def test_plan_in_rows_says_what_breaks_first(tmp_path):
    code, text = call("plan", "--n-real", 100, "--dimension", 5, "--rows", 500, "--budget", 1.55, "-o", tmp_path)
    assert code == 0, text
    assert "5 (rows)" in text
    assert "up to 400" in text  # synthetic rows beside 100 real ones
    assert (tmp_path / "phases-budget.png").read_bytes().startswith(b"\x89PNG")
    assert max(map(len, text.splitlines()[:8])) <= 100


def test_plan_of_too_few_rows_promises_nothing():
    code, text = call("plan", "--n-real", 30, "--dimension", 30)
    assert code == 0, text
    assert "30 rows do not determine 30 coefficients; 32 are the fewest" in text
    rows = [line.split("│")[5].strip() for line in text.splitlines() if line.count("│") == 7]
    assert rows == ["unknown"] * 5


def test_plan_takes_a_risk_itself():
    relative = call("plan", "--n-real", 100, "--dimension", 5, "--budget", 1.88)
    assert relative[0] == 0, relative[1]
    assert call("plan", "--n-real", 100, "--dimension", 5, "--risk", 0.1)[1] == relative[1]  # one fit has 5 / 94
    assert call("plan", "--n-real", 100, "--dimension", 5, "--risk", 0.094, "--model", "gaussian")[0] == 0
    for arguments, match in (
        (("--n-real", 100, "--dimension", 5, "--risk", 0.05), "you need at least 107 real rows"),
        (("--risk", 0.05), "risk: needs --n-real"),
        (("--rows", 50), "rows: needs --n-real"),
        (("--n-real", 100, "--rows", 50), "fewer than the 100 real rows"),
        (("--n-real", 100, "--risk", 5, "--budget", 2), "not both"),
        (("--n-real", 100, "--risk", 5, "--model", "forest"), "model: must be one of"),
    ):
        with pytest.raises(SpecError, match=match):
            RUNNER.invoke(app, ["plan", *map(str, arguments)], catch_exceptions=False)


def test_plan_says_how_good_a_verifier_must_be():
    setting = ("plan", "--n-real", 200, "--label-noise", 0.3, "--keep-correct", 0.9)
    code, text = call(*setting)
    assert code == 0, text
    bound = float(re.findall(r"do no harm *│ at most ([0-9.]+)", text)[0])
    accuracy = [classifier_accuracy(200, 200, 100, 1.0, 0.3, 0.9, bound + d, 1.0) for d in (-1e-3, 1e-3)]
    assert accuracy[0] > classifier_accuracy(200, 0, 100, 1.0, 0.3, 0.9, 1.0, 1.0) > accuracy[1]
    assert "none does: keep_wrong 0 reaches" in call(*setting, "--accuracy", 0.84)[1]
    assert "any; yours 1" in call(*setting, "--accuracy", 0.6)[1]
    assert "do no harm" not in call(*setting, "--synthetic-ratio", 0)[1]


@pytest.mark.parametrize("option", [("--budget", "0.5"), ("--generations", "0"), ("--label-noise", "1.5")])
def test_plan_refuses_what_makes_no_sense(option):
    assert call("plan", *option)[0] != 0


def test_estimate_predicts_generations_that_it_was_not_fitted_to(tmp_path):
    path = tmp_path / "study.yaml"
    base = {**SPEC, "regime": {"kind": "fixed_real", "synthetic_ratio": 1.0}}
    arms = [{"name": "mixed"}, {"name": "real", "role": "control", "set": {"regime": {"kind": "real_only"}}}]
    path.write_text(yaml.safe_dump({"name": "toy", "seeds": [0, 1, 2, 3], "base": base, "arms": arms}))
    run_study(Study.read(path), tmp_path / "out", workers=1)
    code, text = call("estimate", tmp_path / "out", "--metric", "mean_error", "--fit", 6)
    assert code == 0, text
    assert "mean_error" in text
    assert "0 to 5" in text
    assert "sampler distortion" in text
    assert "error over that of 'nothing changes'" in text
    code, text = call("forecast", "--from", tmp_path / "out" / "mixed", "--set", "generations=20", "--fit", 6)
    assert code == 0, text
    assert "t = 20" in text
    assert "heuristic" in text
    assert "held-out generations (RMS)" in text
    (tmp_path / "spec.yaml").write_text(yaml.safe_dump({**SPEC, "regime": {"kind": "accumulate"}}))
    mixed = ("--from", tmp_path / "out" / "mixed", "-o", tmp_path / "f.svg")
    code, text = call("forecast", tmp_path / "spec.yaml", *mixed)
    assert code == 0, text
    assert "exact" in text  # its closed forms are there as well
    assert "estimated, s² of generation 0" in text
    assert "held-out generations" not in text  # another loop than the run's
    assert (tmp_path / "f.svg").stat().st_size > 5000
    with pytest.raises(SpecError, match="give a specification, or --from"):
        RUNNER.invoke(app, ["forecast"], catch_exceptions=False)
    with pytest.raises(Exception, match=r"--fit 12: no arm has enough measured generations.* most there are is 13"):
        RUNNER.invoke(app, ["estimate", str(tmp_path / "out"), "--fit", "12"], catch_exceptions=False)
    assert call("estimate", tmp_path / "out", "--fit", 3)[0] == 2  # four points are the fewest that say anything


def test_verify_data_writes_a_sheet_of_a_run_and_reads_it(tmp_path):
    spec = {
        "data": {"kind": "digits"},
        "generator": {"kind": "gaussian", "per_class": True, "regularisation": 0.01},
        "regime": "fixed_real",
        "corrector": {"kind": "verifier"},
        "generations": 2,
    }
    (tmp_path / "spec.yaml").write_text(yaml.safe_dump(spec))
    assert call("run", tmp_path / "spec.yaml", "-o", tmp_path / "run")[0] == 0
    with pytest.raises(DataError, match="no column 'truth' with the right labels"):
        RUNNER.invoke(app, ["verify-data", str(tmp_path / "run")], catch_exceptions=False)
    sheet = tmp_path / "sheet.csv"
    code, text = call("verify-data", tmp_path / "run", "--sheet", sheet, "--generations", 1)
    assert code == 0, text
    assert text.startswith("64 rows")
    head, *lines = sheet.read_text().splitlines()
    cells = [line.split(",") for line in lines]
    filled = [
        [*row[:-1], str(int(row[-3]) if place % 3 else (int(row[-3]) + 1) % 10)] for place, row in enumerate(cells)
    ]
    sheet.write_text("\n".join([head, *(",".join(row) for row in filled)]))
    code, text = call("verify-data", sheet)
    assert code == 0, text
    assert "64 of 64 rows checked, generation 1, 95% intervals" in " ".join(text.split())
    for options, match in (
        (["--label", "mine"], "--label need a table"),
        (["--kept", "k", "--label", "l"], "--label and --kept need a table"),
        (["--sheet", "new.csv", "--truth", "right"], "--truth need a table"),
    ):
        with pytest.raises(SpecError, match=match):
            RUNNER.invoke(app, ["verify-data", str(tmp_path / "run"), *options], catch_exceptions=False)
    with pytest.raises(SpecError, match="need a run directory"):
        RUNNER.invoke(app, ["verify-data", str(sheet), "--generations", "1"], catch_exceptions=False)


def test_verify_data_reads_a_table(tmp_path):
    rng = np.random.default_rng(0)
    truth = rng.integers(2, size=400)
    label = np.where(rng.random(400) < 0.2, 1 - truth, truth)
    kept = (rng.random(400) < np.where(label == truth, 0.9, 0.2)).astype(int)
    rows = "\n".join(f"{a},{b},{c}" for a, b, c in zip(label, truth, kept, strict=True))
    (tmp_path / "checked.csv").write_text(f"label,truth,kept\n{rows}\n")
    code, text = call("verify-data", tmp_path / "checked.csv")
    assert code == 0, text
    assert "keep_correct" in text
    assert "enough kept rows help" in text
    (tmp_path / "mixed.csv").write_text("label,truth,kept\n1,one,1\n0,zero,0\n")
    with pytest.raises(Exception, match="one holds text and one numbers"):
        RUNNER.invoke(app, ["verify-data", str(tmp_path / "mixed.csv")], catch_exceptions=False)
    with pytest.raises(Exception, match="no column 'gold'"):
        RUNNER.invoke(app, ["verify-data", str(tmp_path / "checked.csv"), "--truth", "gold"], catch_exceptions=False)
