"""The command line, end to end in separate processes or through typer's runner."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

SPEC = """\
name: toy
data: {kind: gaussian, n: 40, held_out: 60}
generator: gaussian
regime: {kind: replace, synthetic_ratio: 1.0}
generations: 3
metrics: [moments, sliced_w2]
evaluation: {n: 60}
"""


def ouroloop(*arguments, cwd, check=True, **environment):
    result = subprocess.run(
        [sys.executable, "-m", "ouroloop.cli", *map(str, arguments)],
        cwd=cwd,
        capture_output=True,
        text=True,
        env={**os.environ, "OUROLOOP_CACHE": str(Path(cwd) / "cache"), **environment},
    )
    if check:
        assert result.returncode == 0, result.stderr
    return result


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "spec.yaml").write_text(SPEC)
    return tmp_path


@pytest.mark.slow
def test_run_resume_fork_verify_report_compare_cite(folder):
    ouroloop("run", "spec.yaml", cwd=folder)
    ouroloop("resume", "runs/toy", "--generations", 5, cwd=folder)
    assert len(list((folder / "runs/toy/generations").glob("0*"))) == 6
    ouroloop("fork", "runs/toy", "--at", 2, "-o", "runs/forked", "--set", "corrector.kind=ideal", cwd=folder)
    assert yaml.safe_load((folder / "runs/forked/spec.yaml").read_text())["corrector"]["kind"] == "ideal"
    assert "ok" in ouroloop("verify", "runs/toy", "runs/forked", cwd=folder).stdout
    page = ouroloop("report", "runs/toy", "-o", "page.html", "--figures", "figures", cwd=folder)
    assert "page.html" in page.stdout
    assert (folder / "page.html").stat().st_size > 10_000
    assert {p.suffix for p in (folder / "figures").iterdir()} == {".png", ".pdf"}
    compared = ouroloop("compare", "runs/toy", "runs/forked", "-o", "c.html", cwd=folder).stdout
    assert "sliced" in compared
    assert (folder / "c.html").is_file()
    bibtex = ouroloop("cite", "runs/forked", cwd=folder).stdout
    assert "2402.07087" in bibtex
    assert "2305.17493" in bibtex


@pytest.mark.parametrize(
    ("given", "change"),
    [
        ({"corrector": "nearest_real"}, "corrector.kind=cluster"),
        ({"generator": {"kind": "diffusion", "steps": 2}}, "generator.kind=kde"),
        ({}, "metrics.0.kind=energy"),
    ],
)
def test_fork_to_a_part_of_another_kind(folder, monkeypatch, given, change):
    from typer.testing import CliRunner

    from ouroloop.cli import app

    monkeypatch.chdir(folder)
    spec = {**yaml.safe_load(SPEC), "generations": 2, **given}
    (folder / "spec.yaml").write_text(yaml.safe_dump(spec))
    assert CliRunner().invoke(app, ["run", "spec.yaml"]).exit_code == 0
    result = CliRunner().invoke(app, ["fork", "runs/toy", "--at", "1", "-o", "runs/forked", "--set", change])
    assert result.exit_code == 0, result.exception
    forked = yaml.safe_load((folder / "runs/forked/spec.yaml").read_text())
    field, _, kind = change.partition("=")
    assert (forked["metrics"][0] if "metrics" in field else forked[field.partition(".")[0]])["kind"] == kind


@pytest.mark.slow
def test_a_run_is_sent_as_one_file(folder):
    ouroloop("run", "spec.yaml", "--set", "generations=1", cwd=folder)
    ouroloop("export", "runs/toy", "toy.tar.gz", cwd=folder)
    assert ouroloop("import", "toy.tar.gz", "received", cwd=folder).stdout.strip() == str(Path("received") / "toy")
    assert "ok" in ouroloop("verify", "received/toy", cwd=folder).stdout
    again = ouroloop("import", "toy.tar.gz", "received", cwd=folder, check=False)
    assert (again.returncode, "exists already" in again.stderr) == (1, True)


def test_verify_names_a_tampered_file(folder):
    ouroloop("run", "spec.yaml", cwd=folder)
    victim = folder / "runs/toy/generations/0002/synthetic.arrow"
    data = bytearray(victim.read_bytes())
    data[len(data) // 2] ^= 1
    victim.write_bytes(data)
    result = ouroloop("verify", "runs/toy", cwd=folder, check=False)
    assert result.returncode == 1
    assert "0002" in result.stdout
    assert "synthetic.arrow" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "missing.yaml"], "missing.yaml: cannot be read"),
        (["run", "spec.yaml", "--set", "regime.synthetic_ratio=-1"], "regime.synthetic_ratio: must be >= 0, got -1"),
        (["run", "spec.yaml", "--set", "generator.colour=red"], "generator.colour: is not a known option"),
        (["run", "spec.yaml", "--set", "name=../../evil"], "name"),
        (["resume", "nowhere"], "nowhere"),
        (["study", "no-such"], "bundled studies"),
        (["report", "nowhere"], "nowhere"),
        (["verify", "nowhere"], "nowhere"),
    ],
)
def test_errors_are_one_clear_message_and_exit_code_one(folder, arguments, message):
    result = ouroloop(*arguments, cwd=folder, check=False)
    assert result.returncode == 1
    assert result.stderr.startswith("error: ")
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert not (folder.parent / "evil").exists()


def test_every_command_has_help_and_examples(folder):
    from typer.main import get_command

    from ouroloop.cli import app

    commands = get_command(app).commands
    expected = "demo run resume fork study compare report correct verify parts cite doctor"
    assert set(commands) >= set(expected.split())
    for name, command in commands.items():
        assert command.help, name
        assert all(p.help for p in command.params if p.name not in ("help", "seed")), name


def test_parts_lists_families_and_options(folder):
    assert "correctors: chain, cluster" in ouroloop("parts", cwd=folder).stdout
    listing = ouroloop("parts", "regimes", cwd=folder).stdout
    assert "synthetic_ratio: synthetic rows drawn per real row" in listing


def test_doctor_finds_a_working_machine(folder):
    assert "ok   loop" in ouroloop("doctor", cwd=folder).stdout


def test_doctor_names_every_extra():
    import tomllib

    from ouroloop.doctor import diagnose

    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
    said = [text for name, _, text in diagnose() if name.startswith("optional")]
    extras = set(project["optional-dependencies"]) - {"dev", "docs"}
    assert len([text for text in said if "installed" in text]) == len(extras)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("importlib.util.find_spec", lambda name: None)
        missing = " ".join(text for name, _, text in diagnose() if name.startswith("optional"))
    assert all(f"'ouroloop[{extra}]'" in missing for extra in extras)


def test_shell_completion_is_offered(folder):
    program = Path(sys.executable).with_name("ouroloop")
    for shell in ("bash", "zsh", "fish"):
        shown = subprocess.run(
            [program], env={**os.environ, "_OUROLOOP_COMPLETE": f"source_{shell}"}, capture_output=True, text=True
        )
        assert shown.returncode == 0, shown.stderr
        assert "_OUROLOOP_COMPLETE=complete_" in shown.stdout


@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("study scsc-g", ["scsc-gaussian"]),
        ("parts corr", ["correctors"]),
        ("correct pile.npy --corrector nea", ["nearest_real"]),
        ("ver", ["verify", "verify-data"]),
        ("study my-own", []),
    ],
)
def test_the_shell_completes_commands_and_names(typed, completed):
    words = ["ouroloop", *typed.split()]
    environment = {"_OUROLOOP_COMPLETE": "complete_bash", "COMP_WORDS": " ".join(words), "COMP_CWORD": len(words) - 1}
    shown = subprocess.run(
        [Path(sys.executable).with_name("ouroloop")],
        env={**os.environ, **{name: str(value) for name, value in environment.items()}},
        capture_output=True,
        text=True,
    )
    assert shown.stdout.split() == completed, shown.stderr


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".npy", ".csv", ".parquet"])
def test_correct_a_pile(folder, suffix):
    rng = np.random.default_rng(0)
    real, pile = rng.normal(size=(200, 2)), rng.normal(size=(100, 2)) * 3
    for name, x in (("real", real), ("pile", pile)):
        if suffix == ".npy":
            np.save(folder / f"{name}.npy", x)
        else:
            import pyarrow as pa
            import pyarrow.csv as pc
            import pyarrow.parquet as pq

            table = pa.table({"a": x[:, 0], "b": x[:, 1]})
            path = str(folder / f"{name}{suffix}")
            pc.write_csv(table, path) if suffix == ".csv" else pq.write_table(table, path)
    result = ouroloop(
        "correct", f"pile{suffix}", "--real", f"real{suffix}", "--corrector", "nearest_real", "-o", "out", cwd=folder
    )
    assert "100 rows:" in result.stdout
    assert "dropped" in result.stdout
    import pyarrow.parquet as pq

    table = pq.read_table(folder / "out" / "corrections.parquet")
    assert table.num_rows == 100
    kept = sum(v.as_py() in ("kept", "changed") for v in table["verdict"])
    assert 10 < kept < 95
    from ouroloop.tables import read_samples

    assert len(read_samples(folder / "out" / f"corrected{suffix}")) == kept
    assert (folder / "out" / "report.html").is_file()
    again = ouroloop(
        "correct",
        f"pile{suffix}",
        "--real",
        f"real{suffix}",
        "--corrector",
        "identity",
        "-o",
        "out",
        cwd=folder,
        check=False,
    )
    assert "is not empty" in again.stderr


def test_progress_lines_say_what_is_left(folder):
    from rich.console import Console

    from ouroloop.backends.local import CellEvent
    from ouroloop.live import LiveProgress

    now = [0.0]
    live = LiveProgress(8, Console(quiet=True), clock=lambda: now[0])
    live.listen(CellEvent("a", 1, 3))
    live.listen(CellEvent("b", -1, 3, "fit", 5, 10))
    assert live.done == 2
    assert live.line() == "2/8 generations, 0 s"  # both were done by an earlier process
    now[0] = 100.0
    live.listen(CellEvent("a", 2, 3))
    assert live.line() == "3/8 generations, 1 min 40 s, about 5 min 50 s left"  # b has 3.5 to do
    live._render()
    live.listen(CellEvent("a", 3, 3, alarm=2))
    assert "collapsing" in str(live._render().renderables[1])
