"""Somebody else's training code, as a script: a Gaussian (one per label, if asked), with many ways to go wrong.

It knows numpy, pyarrow and its own arguments, and nothing of the project that runs it.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np


def read(path):
    if path.suffix == ".npy":
        return {"x": np.load(path)}
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.ipc.open_file(path).read_all() if path.suffix == ".arrow" else pq.read_table(path)
    columns = {}
    for name in table.column_names:
        column = table[name].combine_chunks()
        column = column.chunk(0) if isinstance(column, pa.ChunkedArray) else column
        is_tensor = isinstance(column.type, pa.FixedShapeTensorType)
        columns[name] = column.to_numpy_ndarray() if is_tensor else column.to_numpy(zero_copy_only=False)
    return columns


def write(path, columns):
    if path.suffix == ".npy":
        np.save(path, columns["x"])
        return
    import pyarrow as pa
    import pyarrow.parquet as pq

    x = columns.pop("x")
    values = pa.array(x.reshape(-1))
    rows = pa.FixedShapeTensorArray.from_numpy_ndarray(np.ascontiguousarray(x)) if x.ndim > 1 else values
    table = pa.table({"x": rows, **{name: pa.array(value) for name, value in columns.items()}})
    if path.suffix == ".parquet":
        pq.write_table(table, path)
    else:
        with pa.ipc.new_file(path, table.schema) as file:
            file.write_table(table)


def fit(options):
    columns = read(options.data)
    x = columns["x"].reshape(len(columns["x"]), -1)
    labels = columns["label"] if options.per_label else np.zeros(len(x), int)
    model = {"shape": columns["x"].shape[1:], "classes": {}}
    for label in np.unique(labels):
        rows = x[labels == label]
        model["classes"][str(label)] = [rows.mean(axis=0).tolist(), rows.std(axis=0).tolist()]
    if options.previous:
        old = json.loads(find(options.previous).read_text())
        for label, (mean, _) in model["classes"].items():
            before = old["classes"].get(label, [mean])[0]
            model["classes"][label][0] = [(a + b) / 2 for a, b in zip(mean, before, strict=True)]
    if options.misbehave == "nothing":
        return
    if options.misbehave == "link":
        options.model.symlink_to(__file__)
        return
    if options.misbehave == "change":
        find(options.previous).write_text(json.dumps(model, indent=3))
    find(options.model).write_text(json.dumps(model))


def sample(options):
    model = json.loads(find(options.model).read_text())
    labels = read(options.condition)["label"] if options.condition else np.full(options.n, int(min(model["classes"])))
    mean, spread = (np.array([model["classes"][str(label)][i] for label in labels]) for i in (0, 1))
    rng = np.random.default_rng(options.seed)
    x = (mean + spread * rng.standard_normal(mean.shape)).reshape(options.n, *model["shape"])
    columns = {"x": x}
    mode = options.misbehave
    if mode == "nothing":
        return
    if mode == "garbage":
        options.out.write_bytes(b"ARROW1\0\0 not really \x80\x04 a table")
        return
    if mode == "truncated":
        write(options.out, columns)
        os.truncate(options.out, options.out.stat().st_size // 2)
        return
    if mode == "link":
        options.out.symlink_to(__file__)
        return
    if mode == "half":
        columns["x"] = x[: options.n // 2]
    elif mode == "nan":
        x[-1] = np.nan
    elif mode == "shape":
        columns["x"] = np.concatenate([x, x], axis=1)
    elif mode == "column":
        columns["colour"] = np.arange(options.n)
    elif mode == "text":
        columns["x"] = x.astype(str)[:, 0]
    elif mode == "change":
        find(options.model).write_text(json.dumps(model, indent=3))
    elif mode == "late":  # a child that outlives its parent would still write to the file
        late = f"import time; time.sleep(0.5); open({str(options.marker)!r}, 'w').write('late')"
        subprocess.Popen([sys.executable, "-c", late])
    write(options.out, columns)


def find(path):
    """The model's file, in a folder or by itself."""
    return path / "model.json" if path.is_dir() else path


def misbehave(options):
    mode = options.misbehave
    if mode == "exit":
        print("progress on the output")
        print("\n".join(f"line {i}" for i in range(100)), file=sys.stderr)
        sys.exit(3)
    if mode == "quiet":
        print("only the output speaks")
        sys.exit(1)
    if mode == "unicode":
        sys.stderr.buffer.write("Größe ✗ zu groß ".encode() + b"\xff\xfe\n")
        sys.exit(4)
    if mode == "hang":
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
        options.marker.write_text(f"{os.getpid()} {child.pid}")
        print("still here", file=sys.stderr, flush=True)
        time.sleep(60)
    if mode == "signal":
        os.abort()


def main():
    parser = argparse.ArgumentParser()
    stages = parser.add_subparsers(dest="stage", required=True)
    for name in ("fit", "sample"):
        stage = stages.add_parser(name)
        stage.add_argument("--seed", type=int, default=0)
        stage.add_argument("--misbehave", default="")
        stage.add_argument("--marker", type=Path)
        stage.add_argument("--argv", type=Path, help="write the arguments here")
        if name == "fit":
            stage.add_argument("data", type=Path)
            stage.add_argument("model", type=Path)
            stage.add_argument("--previous", type=Path)
            stage.add_argument("--per-label", action="store_true")
        else:
            stage.add_argument("model", type=Path)
            stage.add_argument("out", type=Path)
            stage.add_argument("-n", type=int, required=True)
            stage.add_argument("--condition", type=Path)
    options = parser.parse_args()
    if options.argv:
        options.argv.write_text(json.dumps([sys.argv, os.getcwd(), os.environ.get("GREETING")]))
    misbehave(options)
    (fit if options.stage == "fit" else sample)(options)


if __name__ == "__main__":
    main()
