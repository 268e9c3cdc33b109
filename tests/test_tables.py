from __future__ import annotations

import gzip
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ouroloop import ipc
from ouroloop.errors import DataError, StoreError
from ouroloop.ipc import ParquetRowsWriter, TableWriter, write_columns
from ouroloop.keys import Key
from ouroloop.pool import Pool
from ouroloop.samples import PROVENANCE, Samples, synthetic_ids
from ouroloop.tables import open_arrow, read_samples, write_arrow, write_samples

FORMATS = [".arrow", ".parquet", ".npz", ".csv", ".csv.gz"]


def rows(n: int = 7, **columns: Any) -> Samples:
    x = Key(1).rng().normal(size=(n, 3))
    ids = synthetic_ids(3, 0, n)
    return Samples.of(
        x, id=ids, parent=ids - 1, origin=np.full(n, 3), verdict=np.arange(n) % 4, label=np.arange(n), **columns
    )


def assert_same(got: Samples, expected: Samples) -> None:
    assert got.columns.keys() == expected.columns.keys()
    for name, column in expected.columns.items():
        np.testing.assert_array_equal(got.columns[name], column, err_msg=name)
        assert got.columns[name].shape == column.shape


@pytest.mark.parametrize("ending", FORMATS)
def test_every_format_keeps_rows_and_provenance(tmp_path: Path, ending: str) -> None:
    samples = rows(name=np.array(["a", "b,c", 'q"', "ä\n", "", "z", "1"]), flag=np.arange(7) % 2 == 0)
    path = tmp_path / f"rows{ending}"
    write_samples(path, samples)
    assert_same(read_samples(path), samples)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("ending", [".arrow", ".parquet", ".npz"])
def test_images_and_narrow_types_keep_shape_and_type(tmp_path: Path, ending: str) -> None:
    columns = {
        "x": np.arange(24, dtype=np.uint8).reshape(2, 3, 4),
        "half": np.ones((2, 2), np.float16),
        "mask": np.array([[True, False], [False, True]]),
        "big": np.array([2**63, 1], np.uint64),
    }
    samples = Samples(columns)
    write_samples(tmp_path / f"a{ending}", samples)
    got = read_samples(tmp_path / f"a{ending}")
    assert_same(got, samples)
    assert {name: got[name].dtype for name in columns} == {name: value.dtype for name, value in columns.items()}


def test_npy_is_mapped_and_holds_x_alone(tmp_path: Path) -> None:
    write_samples(tmp_path / "a.npy", Samples.of(np.ones((4, 2))))
    got = read_samples(str(tmp_path / "a.npy"))
    assert got.x.shape == (4, 2)
    assert not got.x.flags.owndata
    with pytest.raises(DataError, match=r"a\.npy: .*x alone.*label"):
        write_samples(tmp_path / "a.npy", rows())
    assert len(read_samples(tmp_path / "a.npy")) == 4  # the refused write left the old file


dtypes = st.sampled_from(["f8", "f4", "f2", "i8", "i4", "i2", "i1", "u8", "u1", "?"])
shapes = st.lists(st.integers(1, 3), max_size=3).map(tuple)
text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=5)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), n=st.integers(0, 5), ending=st.sampled_from([".arrow", ".parquet"]))
def test_any_columns_come_back(tmp_path: Path, data: st.DataObject, n: int, ending: str) -> None:
    columns: dict[str, np.ndarray] = {}
    for name in data.draw(st.lists(st.sampled_from(["x", "label", "a b", "ä"]), min_size=1, unique=True)):
        if data.draw(st.booleans()):
            columns[name] = np.array(data.draw(st.lists(text, min_size=n, max_size=n)), dtype=str)
        else:
            columns[name] = data.draw(hnp.arrays(data.draw(dtypes), (n, *data.draw(shapes))))
    samples = Samples(columns)
    write_samples(tmp_path / f"a{ending}", samples)
    got = read_samples(tmp_path / f"a{ending}")
    assert_same(got, samples)
    assert all(got[name].dtype == value.dtype for name, value in columns.items() if value.dtype.kind != "U")


def test_not_contiguous_and_foreign_byte_order(tmp_path: Path) -> None:
    x = np.arange(24, dtype=">f8").reshape(6, 4)[::2, ::-1]
    write_arrow(tmp_path / "a.arrow", Samples.of(x))
    np.testing.assert_array_equal(open_arrow(tmp_path / "a.arrow").x, x)


class TestArrow:
    def test_numbers_are_views_of_the_file(self, tmp_path: Path) -> None:
        write_arrow(tmp_path / "a.arrow", rows())
        before = pa.total_allocated_bytes()
        pool = open_arrow(tmp_path / "a.arrow")
        assert pa.total_allocated_bytes() == before
        for name in ("x", "label", "id", "parent", "origin", "verdict"):
            column = pool.parts[0].columns[name]
            assert not column.flags.owndata, name
            assert not column.flags.writeable, name

    def test_the_map_outlives_a_rename_and_a_deletion(self, tmp_path: Path) -> None:
        pool = write_arrow(tmp_path / "a.arrow", rows())
        (tmp_path / "a.arrow").rename(tmp_path / "b.arrow")
        np.testing.assert_array_equal(pool.x, rows().x)
        (tmp_path / "b.arrow").unlink()
        np.testing.assert_array_equal(pool.x, rows().x)

    def test_small_writes_are_gathered_and_large_ones_cut(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(ipc, "_BATCH_BYTES", 1000)
        samples = rows(500)
        a = write_arrow(tmp_path / "a.arrow", samples)
        b = write_arrow(tmp_path / "b.arrow", samples.batches(1))
        for pool in (a, b):
            assert_same(pool.materialise(), samples)
            largest = max(sum(c.nbytes for c in part.columns.values()) for part in pool.parts)
            assert largest <= 1000
            assert 25 <= len(pool.parts) <= 100  # 500 rows of 53 bytes

    def test_pools_and_streams(self, tmp_path: Path) -> None:
        first, second = rows(3), rows(4)
        pool = Pool.of(first, second)
        assert len(write_arrow(tmp_path / "a.arrow", pool)) == 7
        assert len(write_arrow(tmp_path / "b.arrow", iter([second]))) == 4

    def test_an_empty_table_keeps_its_columns(self, tmp_path: Path) -> None:
        empty = rows().take(slice(0, 0))
        write_arrow(tmp_path / "a.arrow", empty)
        got = open_arrow(tmp_path / "a.arrow")
        assert len(got) == 0
        assert got.x.shape == (0, 3)
        with pytest.raises(DataError, match="nothing was written"):
            write_arrow(tmp_path / "b.arrow", [])

    @pytest.mark.parametrize(
        ("other", "message"),
        [
            (Samples.of(np.zeros((2, 4)), label=np.zeros(2, int)), "column 'x' is .* in the first rows and .* later"),
            (Samples.of(np.zeros((2, 3), np.float32), label=np.zeros(2, int)), "column 'x' is"),
            (Samples.of(np.zeros((2, 3))), "have a column 'label', later ones do not"),
            (Samples.of(np.zeros((2, 3)), label=np.zeros(2, int), extra=np.zeros(2)), "later rows have columns"),
        ],
    )
    def test_batches_that_do_not_fit(
        self, tmp_path: Path, other: Samples, message: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(ipc, "_BATCH_BYTES", 1)  # no gathering: each write is a batch
        with pytest.raises(DataError, match=rf"a\.arrow: .*{message}"):
            write_arrow(tmp_path / "a.arrow", [rows(), other])

    @pytest.mark.parametrize("other", [Samples.of(np.zeros((2, 3))), Samples.of(np.zeros((2, 4)), label=[0, 0])])
    def test_gathered_batches_that_do_not_fit(self, tmp_path: Path, other: Samples) -> None:
        with pytest.raises(DataError, match="column"):
            write_arrow(tmp_path / "a.arrow", [rows(), other])

    @pytest.mark.parametrize(
        ("column", "message"),
        [
            (np.zeros(2, complex), "column 'c' is of type complex128"),
            (np.zeros(2, "datetime64[s]"), "column 'c' is of type datetime64"),
            (np.array([b"a", b"b"]), "column 'c' is of type"),
            (np.zeros((2, 0)), r"column 'c' has rows of shape \(0,\)"),
            (np.array([["a"], ["b"]]), "column 'c' holds text of shape"),
            (np.array(["\ud800", "a"]), "column 'c' holds text that is not valid Unicode"),
            (np.zeros(2, [("a", "f8")]), "column 'c' is of type"),
            (np.zeros(2, np.longdouble), "column 'c' is of type"),
        ],
    )
    @pytest.mark.parametrize("ending", [".arrow", ".parquet"])
    def test_columns_that_cannot_be_stored(self, tmp_path: Path, column: Any, message: str, ending: str) -> None:
        with pytest.raises(DataError, match=message):
            write_samples(tmp_path / f"a{ending}", Samples.of(np.zeros(2), c=column))
        assert list(tmp_path.iterdir()) == []

    def test_damage_is_an_error_that_names_the_file(self, tmp_path: Path) -> None:
        path = tmp_path / "a.arrow"
        write_arrow(path, rows(name=np.array(list("abcdefg"))))
        whole = path.read_bytes()
        for size in [*range(0, 64, 7), *range(64, len(whole), 97), len(whole) - 1]:
            path.write_bytes(whole[:size])
            with pytest.raises(StoreError, match=r"a\.arrow"):
                open_arrow(path)
        with pytest.raises(StoreError, match="missing"):
            open_arrow(tmp_path / "absent.arrow")
        (tmp_path / "a_directory").mkdir()
        with pytest.raises(StoreError, match=r"a_directory"):
            open_arrow(tmp_path / "a_directory")

    def test_flipped_bytes_never_crash_the_reader(self, tmp_path: Path) -> None:
        path = tmp_path / "a.arrow"
        write_arrow(path, rows(name=np.array(list("abcdefg")), flag=np.ones(7, bool)))
        whole = path.read_bytes()
        rng = Key(4).rng()
        refused = []
        for position in rng.integers(0, len(whole), 400):
            damaged = bytearray(whole)
            damaged[position] ^= int(rng.integers(1, 256))
            path.write_bytes(damaged)
            try:
                open_arrow(path).materialise()
            except StoreError as error:
                refused.append(str(error))
        assert len(refused) > 20
        assert all("a.arrow" in message for message in refused)

    def test_a_column_in_the_name_of_provenance(self, tmp_path: Path) -> None:
        write_columns(tmp_path / "a.arrow", {"x": np.zeros(2), "origin": np.array(["USA", "Europe"])})
        with pytest.raises(StoreError, match=r"a\.arrow: column 'origin' .* rename it"):
            open_arrow(tmp_path / "a.arrow")

    def test_an_aborted_writer_leaves_an_unreadable_file(self, tmp_path: Path) -> None:
        writer = TableWriter(tmp_path / "a.arrow")
        writer.write(rows(100_000))
        writer.write(rows(300_000))
        writer.abort()
        with pytest.raises(StoreError, match=r"a\.arrow"):
            open_arrow(tmp_path / "a.arrow")

    def test_a_closed_writer_takes_no_more(self, tmp_path: Path) -> None:
        writer = TableWriter(tmp_path / "a.arrow")
        writer.write(rows())
        assert writer.close() is writer.close()
        assert writer.rows == 7
        with pytest.raises(StoreError, match="already closed"):
            writer.write(rows())


class TestForeignParquet:
    def read(self, tmp_path: Path, **columns: Any) -> Samples:
        pq.write_table(pa.table(columns), tmp_path / "a.parquet")
        return read_samples(tmp_path / "a.parquet")

    def test_lists_of_equal_length_become_rows(self, tmp_path: Path) -> None:
        got = self.read(
            tmp_path,
            x=[[1.0, 2.0], [3.0, 4.0]],
            image=pa.array([[[1, 2, 3], [4, 5, 6]]] * 2),
            fixed=pa.array([[1, 2], [3, 4]], pa.list_(pa.int8(), 2)),
            kind=pa.array(["a", "b"]).dictionary_encode(),
            large=pa.array(["c", "d"], pa.large_string()),
            flag=[True, False],
        )
        assert got.x.tolist() == [[1.0, 2.0], [3.0, 4.0]]
        assert (got["image"].shape, got["fixed"].shape) == ((2, 2, 3), (2, 2))
        assert (got["kind"].tolist(), got["large"].tolist(), got["flag"].tolist()) == (
            ["a", "b"],
            ["c", "d"],
            [True, False],
        )
        assert got.origin.tolist() == [0, 0]

    @pytest.mark.parametrize(
        ("column", "message"),
        [
            ([[1.0], [1.0, 2.0]], "column 'c' is ragged: lists of 1 to 2"),
            ([1.0, None], "column 'c' has 1 missing values"),
            ([[1.0, None], [1.0, 2.0]], "column 'c' has 1 missing values"),
            (["a", None], "column 'c' has 1 missing values"),
            ([[], []], "column 'c' holds empty lists|column 'c' has"),
            ([{"a": 1}, {"a": 2}], "column 'c' is of type struct"),
            ([b"a", b"b"], "column 'c' is of type binary"),
        ],
    )
    def test_columns_that_samples_cannot_have(self, tmp_path: Path, column: Any, message: str) -> None:
        with pytest.raises(DataError, match=rf"a\.parquet: ({message})"):
            self.read(tmp_path, x=[1.0, 2.0], c=column)

    def test_many_row_groups(self, tmp_path: Path) -> None:
        pq.write_table(pa.table({"x": np.arange(100.0)}), tmp_path / "a.parquet", row_group_size=7)
        np.testing.assert_array_equal(read_samples(tmp_path / "a.parquet").x, np.arange(100.0))


class TestCsv:
    def read(self, tmp_path: Path, text: str) -> Samples:
        (tmp_path / "a.csv").write_text(text)
        return read_samples(tmp_path / "a.csv")

    def test_columns_keep_their_names(self, tmp_path: Path) -> None:
        got = self.read(tmp_path, "age,name,when,ok\n3,Ada,2024-01-02,true\n4,Bob,2024-01-03,false\n")
        assert got.data_columns == ("age", "name", "when", "ok")
        assert got["when"].tolist() == ["2024-01-02", "2024-01-03"]
        assert got["ok"].dtype == bool

    def test_x_is_joined_in_order_of_number(self, tmp_path: Path) -> None:
        names = [f"x_{i}" for i in (10, *range(10))]
        got = self.read(tmp_path, ",".join([*names, "label"]) + "\n" + ",".join([*(n[2:] for n in names), "7"]) + "\n")
        assert got.x.tolist() == [list(range(11))]
        assert got.label.tolist() == [7]

    def test_without_a_header(self, tmp_path: Path) -> None:
        assert self.read(tmp_path, "1.5,2\n3,4\n").x.tolist() == [[1.5, 2.0], [3.0, 4.0]]

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("", "a.csv: cannot be read"),
            ("a,b\n1\n", "a.csv: cannot be read"),
            ("x,y\n1,\n2,3\n", "column 'y' has 1 missing"),
            ("x,y\n1,nan\n2,3\n", "column 'y' has 1 missing"),
            ("x_0,x_2\n1,2\n", "no x_1"),
            ("x_0,x_1\n1,a\n", "the columns of x must all be numbers"),
            ("x,x\n1,2\n", "column names repeat"),
            ("x,id\n1,abc\n", "column 'id' .* rename it"),
            ("1,2\na,b\n", "the columns of x must all be numbers"),
        ],
    )
    def test_csv_that_cannot_be_read(self, tmp_path: Path, text: str, message: str) -> None:
        with pytest.raises(DataError, match=message):
            self.read(tmp_path, text)

    def test_a_header_and_no_rows(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"a\.csv"):
            self.read(tmp_path, "x_0,x_1\n")

    def test_numbers_survive_exactly(self, tmp_path: Path) -> None:
        x = np.array([0.1 + 0.2, 1e-308, -1.7976931348623157e308, 5e-324])
        write_samples(tmp_path / "b.csv", Samples.of(x))
        np.testing.assert_array_equal(read_samples(tmp_path / "b.csv").x, x)

    def test_damaged_gzip(self, tmp_path: Path) -> None:
        (tmp_path / "a.csv.gz").write_bytes(gzip.compress(b"x\n" + b"1\n" * 10_000)[:-20])
        with pytest.raises(DataError, match=r"a\.csv\.gz"):
            read_samples(tmp_path / "a.csv.gz")

    def test_images_are_refused(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"a\.csv: CSV cannot hold column 'x' with rows of shape \(2, 2\)"):
            write_samples(tmp_path / "a.csv", Samples.of(np.zeros((1, 2, 2))))


class Planted:
    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("planted"),))


@pytest.mark.parametrize("ending", [".npy", ".npz"])
def test_nothing_is_unpickled(tmp_path: Path, ending: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    array = np.array([Planted()], dtype=object)
    if ending == ".npy":
        np.save(tmp_path / "a.npy", array, allow_pickle=True)
    else:
        np.savez(tmp_path / "a.npz", x=array, allow_pickle=True)
    with pytest.raises(DataError, match=rf"a\{ending}"):
        read_samples(tmp_path / f"a{ending}")
    (tmp_path / "b.npy").write_bytes(pickle.dumps(Planted()))
    with pytest.raises(DataError, match=r"b\.npy"):
        read_samples(tmp_path / "b.npy")
    assert not (tmp_path / "planted").exists()


@pytest.mark.parametrize("ending", [".arrow", ".parquet", ".npy", ".npz", ".csv"])
def test_files_that_cannot_be_read_name_themselves(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"a{ending}"
    with pytest.raises(DataError, match=rf"a\{ending}: no such file"):
        read_samples(path)
    path.mkdir()
    with pytest.raises(DataError, match=rf"a\{ending}: not a file"):
        read_samples(path)
    path.rmdir()
    path.write_bytes(b"\x00\x01\xff\xfe" * 40)
    with pytest.raises(DataError, match=rf"a\{ending}"):
        read_samples(path)


@pytest.mark.parametrize("ending", [".npy", ".npz", ".parquet"])
def test_truncated_files_name_themselves(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"a{ending}"
    write_samples(path, Samples.of(Key(0).rng().normal(size=(50, 2))))
    whole = path.read_bytes()
    for size in (10, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        with pytest.raises(DataError, match=rf"a\{ending}"):
            read_samples(path)


def test_unknown_endings(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"unknown kind of file '\.pkl'; known are \.arrow, \.parquet"):
        read_samples(tmp_path / "a.pkl")
    with pytest.raises(DataError, match=r"unknown kind of file '\.pt'"):
        write_samples(tmp_path / "a.pt", rows())


def test_npz_with_one_array_is_x(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", whatever=np.zeros((3, 2)))
    assert read_samples(tmp_path / "a.npz").x.shape == (3, 2)
    with zipfile.ZipFile(tmp_path / "b.npz", "w") as archive:
        archive.writestr("../../x.npy", b"no array")
    with pytest.raises(DataError, match=r"b\.npz"):
        read_samples(tmp_path / "b.npz")


def test_rows_writer_refuses_other_columns(tmp_path: Path) -> None:
    writer = ParquetRowsWriter(tmp_path / "a.parquet", {"id": np.dtype(np.int64), "distance": np.dtype(np.float64)})
    with pytest.raises(DataError, match="expected id, distance"):
        writer.write({"id": np.arange(2)})
    writer.write({"distance": np.ones(2), "id": np.arange(2)})
    writer.close()
    writer.close()
    assert pq.read_table(tmp_path / "a.parquet").to_pylist() == [{"id": i, "distance": 1.0} for i in range(2)]


def test_the_provenance_types_are_those_of_samples(tmp_path: Path) -> None:
    write_columns(tmp_path / "a.arrow", {"x": np.zeros(2), "id": np.arange(2, dtype=np.uint8)})
    got = open_arrow(tmp_path / "a.arrow").parts[0]
    assert {name: got.columns[name].dtype for name in PROVENANCE} == PROVENANCE
