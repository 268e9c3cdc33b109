from __future__ import annotations

import gc
import json
import os
import shlex
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ouroloop import options
from ouroloop.errors import DataError, PartError, SpecError, StoreError
from ouroloop.generators import process
from ouroloop.generators.command import Command
from ouroloop.generators.command_line import CommandLine
from ouroloop.generators.exchange import read_rows, write_rows
from ouroloop.keys import Key
from ouroloop.pool import Pool
from ouroloop.progress import listening
from ouroloop.samples import Samples
from ouroloop.testing import GeneratorSuite

SCRIPT = shlex.join([sys.executable, str(Path(__file__).with_name("external_generator.py"))])
X = Key(4).rng().standard_normal((60, 2)) * [1, 3] + 5


def command(fit: str = "", sample: str = "", *, format: str = "npy", **more: Any) -> Command:
    return Command(
        fit_command=f"{SCRIPT} fit {{data}} {{model}} --previous {{previous}} --seed {{seed}} {fit}",
        sample_command=f"{SCRIPT} sample {{model}} {{out}} -n {{n}} --seed={{seed}} {sample}",
        format=format,  # type: ignore[arg-type]
        **more,
    )


def fit(part: Command, x: np.ndarray = X, previous: Command | None = None, **columns: np.ndarray) -> Command:
    return part.fit(Pool.of(Samples.of(x, **columns)), key=Key(0), previous=previous)


@pytest.fixture(autouse=True)
def nothing_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Every test runs in its own temporary folder, and only the models of living objects may remain in it."""
    scratch = tmp_path / "temporary files"  # a space in every path
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    yield
    gc.collect()
    assert not [path.name for path in scratch.iterdir() if path.name.startswith("ouroloop-command-")]


class TestSuite(GeneratorSuite):
    def make(self) -> Command:
        script = shlex.join([sys.executable, "-I", "-S", str(Path(__file__).with_name("minimal_generator.py"))])
        return Command(
            fit_command=f"{script} fit {{data}} {{model}}",
            sample_command=f"{script} sample {{model}} {{out}} {{n}} {{seed}}",
            format="npy",
        )

    @pytest.fixture(autouse=True)
    def shared_model_outlives_the_test(self, nothing_is_left_behind: None, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr(tempfile, "tempdir", None)


@pytest.mark.parametrize(
    ("format", "shape"), [("arrow", (2, 3)), ("parquet", (2, 3)), ("npy", (2, 3)), ("arrow", ()), ("parquet", (2,))]
)
def test_every_format_carries_rows_both_ways(format: str, shape: tuple[int, ...]) -> None:
    x = Key(1).rng().standard_normal((500, *shape)) + 10
    drawn = fit(command(format=format), x).sample(2000, key=Key(2)).x
    assert drawn.shape == (2000, *shape)
    error = x.std(axis=0) / np.sqrt(2000)
    assert (np.abs(drawn.mean(axis=0) - x.mean(axis=0)) < 5 * error).all()


@pytest.mark.parametrize("format", ["arrow", "parquet"])
def test_a_condition_is_a_file_and_its_columns_are_copied(format: str) -> None:
    label = np.arange(60) % 2
    part = command("--per-label", "--condition={condition}", format=format)
    model = fit(part, X + 100 * label[:, None], label=label)
    asked = np.array([1, 0, 0, 1])
    drawn = model.sample(4, key=Key(0), condition={"label": asked})
    assert part.conditional
    assert ((drawn.x[:, 0] > 50) == (asked == 1)).all()
    np.testing.assert_array_equal(drawn.label, asked)
    with pytest.raises(DataError, match="4 entries for 3 rows"):
        model.sample(3, key=Key(0), condition={"label": asked})


def test_samples_have_the_datas_precision() -> None:
    assert fit(command(), X.astype(np.float32)).sample(3, key=Key(0)).x.dtype == np.float32


def test_tables_of_different_types_are_joined(tmp_path: Path) -> None:
    tables = [Samples.of(X.astype(np.float32)), Samples.of(X + 1)]
    joined = np.concatenate([table.x for table in tables])
    for format in ("arrow", "parquet", "npy"):
        write_rows(tmp_path / f"rows.{format}", Pool.of(*tables))
        np.testing.assert_array_equal(read_rows(tmp_path / f"rows.{format}", 120, "it").x, joined, strict=True)


def test_the_previous_model_is_passed_on() -> None:
    first = fit(command(), np.zeros((4, 2)))
    tuned, anew = fit(command(), np.full((4, 2), 8.0), first), fit(command(), np.full((4, 2), 8.0))
    np.testing.assert_array_equal(tuned.sample(1, key=Key(0)).x, [[4.0, 4.0]])
    np.testing.assert_array_equal(anew.sample(1, key=Key(0)).x, [[8.0, 8.0]])


def test_a_model_may_be_a_folder(tmp_path: Path) -> None:
    model = fit(command(model_name="checkpoint/"))
    (tmp_path / "saved").mkdir()
    model.save(tmp_path / "saved")
    assert (tmp_path / "saved" / "checkpoint" / "model.json").is_file()
    loaded = command(model_name="checkpoint/").load(tmp_path / "saved")
    np.testing.assert_array_equal(loaded.sample(5, key=Key(3)).x, model.sample(5, key=Key(3)).x)


def test_a_model_goes_with_its_object() -> None:
    model = fit(command())
    assert model.fitted is not None
    path = model.fitted.files.path
    assert path.exists()
    del model
    gc.collect()
    assert not path.parent.exists()


def test_folder_environment_and_arguments_arrive(tmp_path: Path) -> None:
    argv = tmp_path / "argv.json"
    part = command(f"--argv {shlex.quote(str(argv))}", cwd=str(tmp_path), env={"GREETING": "hällo $HOME"})
    model = fit(part)
    arguments, folder, greeting = json.loads(argv.read_text())
    assert (folder, greeting) == (str(tmp_path), "hällo $HOME")
    assert "--previous" not in arguments
    assert str(Key(0).integer()) in arguments
    fit(part, previous=model)
    arguments = json.loads(argv.read_text())[0]
    assert model.fitted is not None
    assert arguments[arguments.index("--previous") + 1] == str(model.fitted.files.path)


def test_time_is_reported() -> None:
    said = []
    part = Command(
        fit_command="sh -c 'sleep 1.3; echo > \"$1\"' - {model} {data}",
        sample_command="true {model} {out} {n} {seed}",
        timeout_s=60,
    )
    with listening(lambda *event: said.append(event)):
        fit(part)
    assert ("fit command, seconds", 1, 60) in said


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that was fitted once, for tests of sampling."""
    directory = tmp_path_factory.mktemp("model")
    fit(command()).save(directory)
    return directory


class TestMisbehaviour:
    """Of a real separate program."""

    def refused(self, match: str, *, fit_mode: str = "", sample_mode: str = "", **more: Any) -> str:
        part = command(
            fit_mode and f"--misbehave {fit_mode}", sample_mode and f"--misbehave {sample_mode}", format="npy", **more
        )
        with pytest.raises(PartError, match=match) as caught:
            fit(part).sample(8, key=Key(0))
        return str(caught.value)

    def test_an_exit_code_comes_with_the_last_lines_of_the_errors(self) -> None:
        message = self.refused("fit command ended with exit code 3", fit_mode="exit")
        lines = message.splitlines()
        assert lines[-40:] == [f"line {i}" for i in range(60, 100)]
        assert "line 59" not in lines
        assert "external_generator.py fit" in lines[0]

    def test_without_errors_the_output_is_shown(self) -> None:
        assert "only the output speaks" in self.refused("exit code 1", sample_mode="quiet")

    def test_errors_in_any_encoding(self) -> None:
        assert "Größe ✗ zu groß \ufffd\ufffd" in self.refused("exit code 4", sample_mode="unicode")

    def test_a_signal_is_named(self) -> None:
        self.refused("was killed by SIGABRT", fit_mode="signal")

    @pytest.mark.parametrize("stage", ["fit", "sample"])
    def test_a_hanging_command_is_stopped_with_all_its_children(self, stage: str, tmp_path: Path) -> None:
        marker = tmp_path / "pids"
        part = command(**{stage: f"--misbehave hang --marker {shlex.quote(str(marker))}"}, timeout_s=5)
        with pytest.raises(PartError, match=rf"{stage} command took longer than 5 s") as caught:
            fit(part).sample(3, key=Key(0))
        assert "still here" in str(caught.value)
        assert not any(_is_running(int(pid)) for pid in marker.read_text().split())

    def test_a_command_that_will_not_end_is_killed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(process, "_GRACE_S", 0.1)
        stubborn = "sh -c 'trap \"\" TERM; while true; do sleep 0.1; done' - {data} {model}"
        part = Command(fit_command=stubborn, sample_command="x {model} {out} {n} {seed}", timeout_s=0.5)
        with pytest.raises(PartError, match=r"longer than 0\.5 s"):
            fit(part)

    def test_what_it_left_running_cannot_write_any_more(self, tmp_path: Path, saved: Path) -> None:
        marker = tmp_path / "late"
        part = command(sample=f"--misbehave late --marker {shlex.quote(str(marker))}")
        part.load(saved).sample(3, key=Key(0))
        time.sleep(0.8)
        assert not marker.exists()

    @pytest.mark.parametrize(
        ("mode", "match"),
        [
            ("nothing", "wrote no file at {out}"),
            ("link", "wrote no file at {out}"),
            ("half", "wrote 4 rows, but 8 were asked for"),
            ("nan", "NaN in column 'x', row 7"),
            ("garbage", "cannot be used"),
            ("truncated", "cannot be used"),
            ("shape", r"rows of shape \(4,\); the training data have float64 and \(2,\)"),
            ("change", "changed the model"),
        ],
    )
    def test_bad_samples_are_refused(self, mode: str, match: str, saved: Path) -> None:
        with pytest.raises(PartError, match=match):
            command(sample=f"--misbehave {mode}").load(saved).sample(8, key=Key(0))

    @pytest.mark.parametrize(
        ("format", "mode", "match"),
        [
            ("arrow", "garbage", "cannot be used"),
            ("arrow", "truncated", "cannot be used"),
            ("parquet", "garbage", "cannot be used"),
            ("parquet", "truncated", "cannot be used"),
            ("parquet", "half", "wrote 4 rows"),
            ("arrow", "column", "wrote the columns x, colour; the training data have x"),
            ("arrow", "text", "column 'x' as <U"),
        ],
    )
    def test_bad_tables_are_refused(self, format: str, mode: str, match: str, saved: Path) -> None:
        with pytest.raises(PartError, match=match):
            command(sample=f"--misbehave {mode}", format=format).load(saved).sample(8, key=Key(0))

    def test_a_fit_that_writes_nothing(self) -> None:
        self.refused("model is missing", fit_mode="nothing")
        self.refused("empty folder", fit_mode="nothing", model_name="folder/")

    def test_a_model_that_is_a_link(self) -> None:
        self.refused("model is a link", fit_mode="link")

    def test_a_fit_that_changes_the_previous_model(self) -> None:
        first = fit(command())
        with pytest.raises(PartError, match="changed the model"):
            fit(command("--misbehave change"), previous=first)

    def test_a_program_that_is_not_there(self) -> None:
        part = Command(fit_command="no-such-program {data} {model}", sample_command="x {model} {out} {n} {seed}")
        with pytest.raises(PartError, match="cannot be started: no-such-program"):
            fit(part)

    def test_a_folder_that_is_not_there(self) -> None:
        with pytest.raises(PartError, match="no such folder"):
            fit(command(cwd="no/such/folder"))

    def test_a_saved_model_that_became_a_link(self, tmp_path: Path, saved: Path) -> None:
        shutil.copytree(saved, tmp_path, dirs_exist_ok=True)
        (tmp_path / "model").unlink()
        (tmp_path / "model").symlink_to(__file__)
        with pytest.raises(PartError, match="a link"):
            command().load(tmp_path)

    @pytest.mark.parametrize("content", ["{}", "[]", '{"columns": {"x": {"dtype": "no", "shape": [2]}}}', "{"])
    def test_a_damaged_description(self, tmp_path: Path, content: str, saved: Path) -> None:
        shutil.copytree(saved, tmp_path, dirs_exist_ok=True)
        (tmp_path / "command.json").write_text(content)
        with pytest.raises(StoreError, match=r"command\.json"):
            command().load(tmp_path)


def _is_running(pid: int) -> bool:
    """Whether a process can still do something; one that is dead and not yet collected cannot."""
    try:
        os.kill(pid, 0)
        if not Path("/proc/self/stat").exists():
            return True
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False


class TestTemplates:
    def line(self, template: str) -> CommandLine:
        return CommandLine.parse(template, "fit_command", required={"data"}, optional={"previous", "seed"})

    @pytest.mark.parametrize(
        ("template", "message"),
        [
            ("train {data} {modle}", "unknown placeholder {modle}; there are {data}, {previous}, {seed}"),
            ("train {}", "expected a name in braces"),
            ("train {data:>5}", "'{data:>5}' is no placeholder"),
            ("train {data!r}", "'{data!r}' is no placeholder"),
            ("train {data.__class__}", "unknown placeholder {data.__class__}"),
            ("train {data[0]}", "unknown placeholder"),
            ("train {data", "expected '}'"),
            ("train }", "Single '}'"),
            ("train 'x {data}", "No closing quotation"),
            ("train --seed {seed}", "needs {data}"),
            ("  ", "an empty command line"),
        ],
    )
    def test_bad_templates_are_refused(self, template: str, message: str) -> None:
        with pytest.raises(SpecError) as caught:
            self.line(template)
        assert message in str(caught.value)
        assert str(caught.value).startswith("fit_command: ")

    def test_without_a_flag_the_previous_model_moves_what_stands_behind_it(self) -> None:
        values = {"data": "d", "previous": None, "seed": 1}
        assert self.line("train {data} {previous} {seed}").render(values) == ["train", "d", "1"]
        for safe in ("--from {previous} {seed}", "--from={previous} {seed}", "{seed} {previous}"):
            assert self.line(f"train {{data}} {safe}").render(values) == ["train", "d", "1"]
            assert len(self.line(f"train {{data}} {safe}").render({**values, "previous": "p"})) > 3

    @given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1))
    def test_a_value_is_one_argument_whatever_it_holds(self, value: str) -> None:
        rendered = self.line("train {data} --out=x{data}y {{data}}").render({"data": value})
        assert rendered == ["train", value, f"--out=x{value}y", "{data}"]

    @pytest.mark.parametrize(
        ("template", "expected"),
        [
            ("t {data} --from {previous}", ["t", "d"]),
            ("t {data} --from={previous}", ["t", "d"]),
            ("t {previous} {data}", ["t", "d"]),
            ("t {data} a {previous} b", ["t", "d", "a", "b"]),
            ("t --fast --from {previous} {data}", ["t", "--fast", "d"]),
            ("t --fast --from={previous} {data}", ["t", "--fast", "d"]),
            ("t --a {previous} {previous} {data}", ["t", "d"]),
            ("t --in={data} {previous}", ["t", "--in=d"]),
            ("t {data} ''", ["t", "d", ""]),
        ],
    )
    def test_what_has_no_value_vanishes(self, template: str, expected: list[str]) -> None:
        assert self.line(template).render({"data": "d", "previous": None}) == expected

    def test_nothing_is_interpreted_by_a_shell(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        evil = tmp_path / "a; touch hacked; $(touch hacked) `touch hacked` --misbehave exit"
        evil.mkdir()
        monkeypatch.setattr(tempfile, "tempdir", str(evil))
        monkeypatch.chdir(tmp_path)
        drawn = fit(command(env={"X": "$(touch hacked)"})).sample(2, key=Key(0))
        assert len(drawn) == 2
        assert not (tmp_path / "hacked").exists()

    @pytest.mark.parametrize("missing", ["{model}", "{out}", "{n}", "{seed}"])
    def test_needed_placeholders_of_the_sample_command(self, missing: str) -> None:
        template = "draw {model} {out} {n} {seed}".replace(missing, "")
        with pytest.raises(SpecError, match=f"sample_command: needs {missing}"):
            Command(fit_command="fit {data} {model}", sample_command=template)

    def test_npy_has_no_condition(self) -> None:
        with pytest.raises(SpecError, match="npy file has no columns"):
            command(sample="{condition}", format="npy")

    @pytest.mark.parametrize("name", ["../model", "a/b", "", ".", "..", "command.json", "/etc/x", ".hidden", "a\n"])
    def test_a_models_name_stays_inside(self, name: str) -> None:
        with pytest.raises(SpecError, match="model_name"):
            command(model_name=name)


def test_it_is_configured_from_a_mapping() -> None:
    given = {
        "kind": "command",
        "fit_command": "train {data} {model}",
        "sample_command": "draw {model} {out} {n} {seed}",
        "env": {"A": "1"},
    }
    resolved, problems = options.resolve_options("generators", given, ("generator",))
    assert not problems
    part = options.build("generators", resolved)
    assert (part.env, part.format, part.timeout_s) == ({"A": "1"}, "arrow", None)
    _, problems = options.resolve_options("generators", {**given, "timeout_s": 0, "format": "csv"}, ("generator",))
    assert {path[-1] for path, _ in problems} == {"timeout_s", "format"}
