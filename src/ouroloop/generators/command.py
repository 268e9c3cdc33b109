"""A generator that is two command lines, so that any training code in any language can be put into the loop.

The commands see nothing of this project. `fit_command` reads the training rows from ``{data}`` and writes a model,
a file or a folder, to ``{model}``; `sample_command` reads that model and writes ``{n}`` rows to ``{out}``::

    generator:
      kind: command
      fit_command: python train.py {data} {model} --from {previous} --seed {seed}
      sample_command: python draw.py {model} {out} -n {n} --seed {seed}
      format: parquet

Rows have the columns of the data set (``x``, ``label``, ...) and their provenance (``id``, ``parent``, ``origin``,
``verdict``), which may be ignored and need not be written. An npy file is the array ``x`` alone.
"""

from __future__ import annotations

import contextlib
import re
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Self

import numpy as np
from pydantic import Field

from ouroloop.atomic import read_json, write_json
from ouroloop.errors import DataError, PartError, SpecError, StoreError
from ouroloop.generators.command_line import CommandLine
from ouroloop.generators.exchange import Format, read_rows, write_rows
from ouroloop.generators.model_files import ModelFiles, check_model
from ouroloop.generators.process import run_command
from ouroloop.keys import Key
from ouroloop.pool import Pool
from ouroloop.protocols import Condition
from ouroloop.samples import Samples

__all__ = ["Command"]

_FILE = "command.json"
_NAME = r"^\w[\w.-]*/?$"


@dataclass(frozen=True, eq=False)
class _Fitted:
    """A model's files, and the training rows' columns: name -> (dtype, shape of a row)."""

    files: ModelFiles
    columns: dict[str, tuple[np.dtype, tuple[int, ...]]]


@dataclass(frozen=True, kw_only=True)
class Command:
    """Fits and samples by running programs, without a shell.

    A command line is split into arguments before anything is put in, so values with spaces stay one argument.
    For pipes or several commands start a shell yourself: ``sh -c 'a "$1" | b' - {data}``. Where there is no previous
    model, an argument that contains ``{previous}`` is left out, with the option before it if it stands alone (see
    `CommandLine`); so it is with ``{condition}``.

    Output counts only if the exit code is 0 and the file holds exactly n finite rows with the data's columns;
    a command that fails, hangs or writes half a file leaves nothing behind. The commands must not change a model that
    they are given. Without a ``{seed}`` in the fit command the fit should be deterministic.

    Raises:
        SpecError: an unknown or missing placeholder, a bad `model_name`.
    """

    fit_command: Annotated[
        str, Field(description="fits: {data} and {model} are needed; {seed}, and {previous} for fine-tuning, optional")
    ]
    sample_command: Annotated[
        str, Field(description="samples: {model}, {out}, {n} and {seed} are needed; {condition}, a file, is optional")
    ]
    format: Annotated[Format, Field(description="kind of the files {data}, {out} and {condition}")] = "arrow"
    model_name: Annotated[
        str,
        Field(pattern=_NAME, description="name that {model} ends with, such as model.npz; with '/' behind, a folder"),
    ] = "model"
    timeout_s: Annotated[float | None, Field(gt=0, description="seconds that a command may take; None: no limit")] = (
        None
    )
    cwd: Annotated[str | None, Field(description="folder to run in; None: the current one")] = None
    env: Annotated[Mapping[str, str], Field(description="environment variables to set besides the present ones")] = (
        field(default_factory=dict)
    )
    fitted: _Fitted | None = field(init=False, default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not re.fullmatch(_NAME, self.model_name) or self.model_name.rstrip("/") == _FILE:
            raise SpecError(
                f"model_name: must be a plain file name (or a folder's, with '/' behind) other than '{_FILE}', "
                f"got {self.model_name!r}"
            )
        lines = self._fit_line, self._sample_line
        if self.format == "npy" and lines[1].uses("condition"):
            raise SpecError("sample_command: an npy file has no columns for {condition}; use format arrow or parquet")

    @property
    def _fit_line(self) -> CommandLine:
        return CommandLine.parse(
            self.fit_command, "fit_command", required={"data", "model"}, optional={"previous", "seed"}
        )

    @property
    def _sample_line(self) -> CommandLine:
        return CommandLine.parse(
            self.sample_command, "sample_command", required={"model", "out", "n", "seed"}, optional={"condition"}
        )

    @property
    def conditional(self) -> bool:
        """Whether samples follow a condition's columns."""
        return self._sample_line.uses("condition")

    def fit(self, training: Pool, *, key: Key, previous: Self | None = None) -> Self:
        """Write the rows to a temporary file and run the fit command.

        Raises:
            DataError: no rows, NaN or infinity, or columns that the format cannot hold.
            PartError: the command failed, took too long, wrote no model, or changed the previous one.
        """
        if len(training) == 0:
            raise DataError("no rows to fit on")
        for batch in training.batches():
            batch.check_finite("training data")
        files = ModelFiles(self.model_name)
        before = previous.fitted.files if isinstance(previous, Command) and previous.fitted is not None else None
        with _scratch() as folder:
            data = folder / f"data.{self.format}"
            write_rows(data, training)
            values = {
                "data": str(data),
                "model": str(files.path),
                "previous": None if before is None else str(before.path),
                "seed": key.integer(),
            }
            self._run("fit", self._fit_line, values, folder, before)
        check_model(files.path, "the fit command's model")
        columns = {
            name: (np.result_type(*(part[name].dtype for part in training.parts)), training.parts[0][name].shape[1:])
            for name in training.data_columns
        }
        return self._with(_Fitted(files, columns))

    def sample(self, n: int, *, key: Key, condition: Condition | None = None) -> Samples:
        """Run the sample command and read the n rows that it wrote.

        Floating columns get the training data's precision. For n = 0 no command is run.

        Raises:
            PartError: not fitted; the command failed, took too long, changed the model, or wrote something else than n
                finite rows with the training data's columns ('x' at least).
            DataError: n < 0, or a condition of another length.
        """
        if self.fitted is None:
            raise PartError("Command is not fitted yet: use what fit(...) returns")
        if n < 0:
            raise DataError(f"cannot draw {n} rows")
        columns = {name: np.asarray(value) for name, value in (condition or {}).items()} if self.conditional else {}
        for name, value in columns.items():
            if len(value) != n:
                raise DataError(f"condition '{name}' has {len(value)} entries for {n} rows")
        if n == 0:
            empty = {name: np.empty((0, *shape), dtype) for name, (dtype, shape) in self._main_column().items()}
            return Samples({**empty, **columns})
        return self._draw(self.fitted, n, key, columns)

    def save(self, directory: Path) -> None:
        """Copy the model's files into `directory`."""
        if self.fitted is None:
            raise PartError("Command is not fitted yet: use what fit(...) returns")
        self.fitted.files.copy_to(Path(directory) / self.model_name.rstrip("/"))
        columns = {name: {"dtype": dtype.str, "shape": shape} for name, (dtype, shape) in self.fitted.columns.items()}
        write_json(Path(directory) / _FILE, {"columns": columns})

    def load(self, directory: Path) -> Self:
        """A fitted copy with a copy of the model in `directory`.

        Raises:
            StoreError: something is missing or malformed. PartError: the model holds links.
        """
        path = Path(directory) / _FILE
        try:
            columns = {
                name: (np.dtype(column["dtype"]), tuple(map(int, column["shape"])))
                for name, column in read_json(path)["columns"].items()
            }
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise StoreError(f"{path}: not what Command.save wrote ({error!r})") from error
        files = ModelFiles.copied(self.model_name, Path(directory) / self.model_name.rstrip("/"))
        return self._with(_Fitted(files, columns))

    def _with(self, fitted: _Fitted) -> Self:
        copy = replace(self)
        object.__setattr__(copy, "fitted", fitted)
        return copy

    def _draw(self, fitted: _Fitted, n: int, key: Key, columns: dict[str, np.ndarray]) -> Samples:
        with _scratch() as folder:
            out, asked = folder / f"out.{self.format}", folder / f"condition.{self.format}"
            if columns:
                write_rows(asked, Pool.of(Samples(columns)))
            values = {
                "model": str(fitted.files.path),
                "out": str(out),
                "n": n,
                "seed": key.integer(),
                "condition": str(asked) if columns else None,
            }
            self._run("sample", self._sample_line, values, folder, fitted.files)
            drawn = read_rows(out, n, "the sample command")
        return Samples({**self._checked(fitted, drawn), **columns})

    def _run(
        self, stage: str, line: CommandLine, values: Mapping[str, Any], folder: Path, given: ModelFiles | None
    ) -> None:
        before = None if given is None else given.signature()
        run_command(line.render(values), stage, folder, timeout_s=self.timeout_s, cwd=self.cwd, env=self.env)
        if given is not None and given.signature() != before:
            raise PartError(
                f"the {stage} command changed the model that it was given ({given.path.name}); later generations would "
                "differ from a resumed run: let it write to {model} or {out} only"
            )

    def _main_column(self) -> dict[str, tuple[np.dtype, tuple[int, ...]]]:
        """The columns that samples must have: x, or all of them in a data set without one."""
        assert self.fitted is not None
        columns = self.fitted.columns
        return {"x": columns["x"]} if "x" in columns else columns

    def _checked(self, fitted: _Fitted, drawn: Samples) -> dict[str, np.ndarray]:
        """The drawn columns in the training data's precision.

        Raises:
            PartError: a column is missing, unknown, of another shape or kind.
        """
        missing = [name for name in self._main_column() if name not in drawn.data_columns]
        unknown = [name for name in drawn.data_columns if name not in fitted.columns]
        if missing or unknown:
            raise PartError(
                f"the sample command wrote the columns {', '.join(drawn.data_columns)}; the training data have "
                f"{', '.join(fitted.columns)}"
            )
        result = {}
        for name in drawn.data_columns:
            (dtype, shape), column = fitted.columns[name], drawn[name]
            same_kind = (column.dtype.kind in "biuf") == (dtype.kind in "biuf")
            if column.shape[1:] != shape or not same_kind:
                raise PartError(
                    f"the sample command wrote column '{name}' as {column.dtype} with rows of shape "
                    f"{column.shape[1:]}; the training data have {dtype} and {shape}"
                )
            with np.errstate(over="ignore"):  # infinity is refused wherever rows enter the loop
                result[name] = column.astype(dtype, copy=False) if dtype.kind == "f" else column
        return result


@contextlib.contextmanager
def _scratch() -> Iterator[Path]:
    """A temporary folder, deleted with everything in it at the end of the block."""
    with tempfile.TemporaryDirectory(prefix="ouroloop-command-", ignore_cleanup_errors=True) as name:
        yield Path(name)
