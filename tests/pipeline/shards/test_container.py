"""One shard made from the spool."""

import tracemalloc
from dataclasses import replace
from typing import get_args

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.core.errors import OutputError
from pipeline.core.parallel.units import Units
from pipeline.core.params.preparation import Container
from pipeline.shards.columns import ROW_SCHEMA
from pipeline.shards.container import CONTAINERS, ShardJob, file_name, write_shard
from pipeline.shards.parquet import ROW_GROUP_ROWS
from pipeline.shards.webdataset_tar import write_tar

ROWS, BYTES = 1500, 20_000


@pytest.fixture
def job(tmp_path):
    """1,500 pictures of 20 kB each, 30 MB in all, in the order of their place in the spool and back again."""
    (tmp_path / "spool").write_bytes(np.random.default_rng(0).bytes(ROWS * BYTES))
    row = dict.fromkeys(ROW_SCHEMA.names) | {"label": 4, "dataset": "d", "weight": 1.0, "copy": 0}
    rows = [row | {"sample_id": f"d/{number}#0"} for number in range(ROWS)]
    return ShardJob(
        name="train-00000",
        rows=pa.Table.from_pylist(rows, schema=ROW_SCHEMA),
        spools=(tmp_path / "spool",),
        files=np.zeros(ROWS, np.int32),
        offsets=np.arange(ROWS)[::-1].astype(np.int64) * BYTES,
        lengths=np.full(ROWS, BYTES),
        containers=("parquet", "webdataset"),
        common={"snapshot": "0" * 64, "contract": {}},
    )


def test_a_large_shard_needs_the_memory_of_a_row_group(job, tmp_path):
    pool, before = pa.proxy_memory_pool(pa.default_memory_pool()), pa.default_memory_pool()
    pa.set_memory_pool(pool)
    tracemalloc.start()
    try:
        write_shard(job, tmp_path, Units())
        peak = tracemalloc.get_traced_memory()[1] + pool.max_memory()
    finally:
        tracemalloc.stop()
        pa.set_memory_pool(before)
    # Pictures as Python has them, as Arrow has them and as Parquet writes them.
    assert peak < 6 * ROW_GROUP_ROWS * BYTES < ROWS * BYTES / 3


def test_row_groups_hold_the_pictures_in_their_order(job, tmp_path):
    write_shard(job, tmp_path, Units())
    file = pq.ParquetFile(tmp_path / file_name("parquet"))
    sizes = [file.metadata.row_group(number).num_rows for number in range(file.num_row_groups)]
    assert sizes == [ROW_GROUP_ROWS] * (ROWS // ROW_GROUP_ROWS) + [ROWS % ROW_GROUP_ROWS]
    spool, pictures = job.spools[0].read_bytes(), file.read()["image"]
    for row in (0, ROW_GROUP_ROWS - 1, ROW_GROUP_ROWS, ROWS - 1):
        picture = pictures[row].as_py()
        assert picture["path"] == f"train-00000-{row:05d}.jpg"
        assert picture["bytes"] == spool[(ROWS - 1 - row) * BYTES :][:BYTES]


def test_every_container_of_the_parameter_has_its_writer():
    assert set(CONTAINERS) == set(get_args(Container))


def test_a_tar_that_lost_a_member_is_noticed(job, tmp_path, monkeypatch):
    def cut(path, shard, batches, common):
        write_tar(path, shard, batches, common)
        path.write_bytes(path.read_bytes()[:512] + bytes(1024))  # one header, then the end

    monkeypatch.setitem(CONTAINERS, "webdataset", replace(CONTAINERS["webdataset"], write=cut))
    with pytest.raises(OutputError, match=rf"train-00000\.tar: -?\d+ rows were written, {ROWS} were given"):
        write_shard(job, tmp_path, Units())
