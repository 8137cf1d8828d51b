import hashlib
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.core.errors import OutputError, TableError
from pipeline.core.schema import LABELS, SPLIT
from pipeline.core.tables import (
    count_rows,
    digest_rows,
    iter_batches,
    part_name,
    read_table,
    rows_to_table,
    table_files,
    write_table,
)


def split_table(count: int) -> pa.Table:
    rows = [{"sample_id": f"d/{n}#0", "split": "train", "group_id": f"g{n}"} for n in range(count)]
    return rows_to_table(rows, SPLIT)


def test_round_trip_and_same_bytes_twice(tmp_path):
    table = split_table(3000)
    write_table(tmp_path / "a.parquet", table)
    write_table(tmp_path / "b.parquet", table)
    assert read_table(tmp_path / "a.parquet", schema=SPLIT).equals(table)
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_parts_are_read_in_order(tmp_path):
    table = split_table(10)
    write_table(tmp_path / part_name(1), table.slice(4))
    write_table(tmp_path / part_name(0), table.slice(0, 4))
    assert read_table(tmp_path).equals(table)
    assert count_rows(tmp_path) == 10
    assert sum(batch.num_rows for batch in iter_batches(tmp_path, ["split"], rows=3)) == 10


def test_digest_is_of_rows_not_of_the_container(tmp_path):
    table = pa.table(
        {"image": [b"a", None, b""], "x": pa.array([1.5, None, 0.1], pa.float32()), "l": [["a"], [], None]}
    )
    pq.write_table(table, tmp_path / "a.parquet", compression="none", row_group_size=1)
    write_table(tmp_path / part_name(0), table.slice(0, 2))
    write_table(tmp_path / part_name(1), table.slice(2))
    digest = digest_rows(tmp_path / "a.parquet")
    assert digest == digest_rows(tmp_path)
    for column, other in (("image", [b"a", b"", None]), ("x", [1.5, None, 0.2]), ("l", [["a"], None, []])):
        changed = table.set_column(
            table.column_names.index(column), column, pa.array(other, table.schema.field(column).type)
        )
        write_table(tmp_path / "changed.parquet", changed)
        assert digest_rows(tmp_path / "changed.parquet") != digest


def test_digest_of_no_rows_is_defined(tmp_path):
    write_table(tmp_path / "a.parquet", split_table(0))
    assert len(digest_rows(tmp_path / "a.parquet")) == len(hashlib.sha256().hexdigest())


def test_a_missing_table_says_what_was_expected(tmp_path):
    with pytest.raises(TableError, match=r"nowhere: no table here; expected a \.parquet file or a folder with part-\*"):
        table_files(tmp_path / "nowhere")


def test_a_torn_file_is_named(tmp_path):
    path = tmp_path / "a.parquet"
    write_table(path, split_table(100))
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(TableError, match=r"a\.parquet: not a readable Parquet file"):
        read_table(path)
    with pytest.raises(TableError, match=r"a\.parquet: not a readable Parquet file"):
        list(iter_batches(path))


def test_a_table_of_another_schema_names_the_column(tmp_path):
    write_table(tmp_path / "a.parquet", split_table(1))
    with pytest.raises(TableError, match=r"no column 'label'; it has sample_id, split, group_id"):
        read_table(tmp_path / "a.parquet", ["label"])
    with pytest.raises(TableError, match="no column 'dataset'"):
        read_table(tmp_path / "a.parquet", schema=LABELS)
    write_table(tmp_path / "b.parquet", pa.table({"split": [1]}))
    with pytest.raises(TableError, match="column 'split' is int64, not string"):
        read_table(tmp_path / "b.parquet", ["split"], SPLIT)


def test_a_folder_that_cannot_be_written_is_a_clear_error(tmp_path):
    with pytest.raises(OutputError, match="cannot be written"):
        write_table(tmp_path / "no" / "a.parquet", split_table(1))


def test_our_own_processes_make_arrays_without_pandas_and_can_still_load_it(tmp_path):
    code = (
        "import sys, pyarrow as pa\n"
        "from pipeline.core.parallel.pool import map_ordered\n"
        "from tests.pipeline.core.test_tables import loads_pandas\n"
        "if __name__ == '__main__':\n"
        "    print(loads_pandas(0))\n"  # what it is kept from
        "    del sys.modules['pandas']\n"
        "    print(*map_ordered(loads_pandas, [1, 2], 2))\n"
    )
    (tmp_path / "script.py").write_text(code)
    done = subprocess.run([sys.executable, tmp_path / "script.py"], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "False", "False"]


def loads_pandas(_: int) -> bool:
    pa.array(["a"])
    loaded = "pandas" in sys.modules
    assert pa.table({"a": [1, None]}).to_pandas()["a"].isna().tolist() == [False, True]
    return loaded
