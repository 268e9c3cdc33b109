from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ouroloop.errors import StoreError
from ouroloop.report.files import read_arrow, read_json, read_parquet, read_yaml


def write(path: Path, table: pa.Table, batch: int | None = None) -> Path:
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=batch)
    return path


def test_missing_json_and_yaml_are_empty(tmp_path: Path) -> None:
    assert read_json(tmp_path / "a.json") is None
    assert read_yaml(tmp_path / "a.yaml") == ({}, "")


@pytest.mark.parametrize(("name", "content"), [("a.json", b'{"a": '), ("a.json", b"\xff\xfe\xff")])
def test_broken_json_is_named(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(StoreError, match=r"a\.json"):
        read_json(tmp_path / name)


def test_broken_yaml_is_named_and_python_objects_are_refused(tmp_path: Path) -> None:
    for content in ("a: [1", "a: !!python/object/apply:os.getcwd []"):
        (tmp_path / "spec.yaml").write_text(content)
        with pytest.raises(StoreError, match=r"spec\.yaml"):
            read_yaml(tmp_path / "spec.yaml")


def test_yaml_that_is_no_mapping_keeps_its_text(tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text("- 1\n")
    assert read_yaml(tmp_path / "spec.yaml") == ({}, "- 1\n")


def test_tensor_columns_keep_their_shape(tmp_path: Path) -> None:
    x = np.arange(5 * 6, dtype=np.float32).reshape(5, 2, 3)
    table = pa.table({"x": pa.FixedShapeTensorArray.from_numpy_ndarray(x), "label": np.arange(5)})
    columns = read_arrow(write(tmp_path / "p.arrow", table), limit=4)
    np.testing.assert_array_equal(columns["x"], x[:4])
    np.testing.assert_array_equal(columns["label"], np.arange(4))


def test_rows_are_taken_across_batches(tmp_path: Path) -> None:
    table = pa.table({"x": np.arange(100)})
    columns = read_arrow(write(tmp_path / "p.arrow", table, batch=7), limit=25)
    np.testing.assert_array_equal(columns["x"], np.arange(25))


def test_fixed_lists_text_and_empty_tables(tmp_path: Path) -> None:
    lists = pa.FixedSizeListArray.from_arrays(pa.array(np.arange(6.0)), 2)
    table = pa.table({"x": lists, "caption": ["a", None, "ü"], "ragged": pa.array([[1], [1, 2], []])})
    columns = read_arrow(write(tmp_path / "p.arrow", table), limit=10)
    assert columns["x"].shape == (3, 2)
    assert columns["caption"].tolist() == ["a", "", "ü"]
    assert columns["ragged"].dtype.kind == "U"
    empty = read_arrow(write(tmp_path / "e.arrow", table.slice(0, 0)), limit=10)
    assert len(empty["caption"]) == 0


def test_truncated_arrow_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "p.arrow", pa.table({"x": np.arange(1000)}))
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(StoreError, match=r"p\.arrow: truncated"):
        read_arrow(path, 10)


@pytest.mark.parametrize("size", [0, 3, 200])
def test_truncated_parquet_is_named(tmp_path: Path, size: int) -> None:
    path = tmp_path / "metrics.parquet"
    pq.write_table(pa.table({"value": np.arange(1000.0)}), path)
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(StoreError, match=r"metrics\.parquet: truncated"):
        read_parquet(path)


def test_parquet_without_a_column_says_which_there_are(tmp_path: Path) -> None:
    pq.write_table(pa.table({"value": [1.0]}), tmp_path / "m.parquet")
    with pytest.raises(StoreError, match=r"no column metric; there are: \['value'\]"):
        read_parquet(tmp_path / "m.parquet", ["metric", "value"])
