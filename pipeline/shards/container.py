"""One shard made from the spool, in each container that is asked for: the unit of work of a worker."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.core.errors import OutputError
from pipeline.core.names import PARQUET, WEBDATASET
from pipeline.shards.columns import AFFECTS, ROW_SCHEMA, Batch
from pipeline.shards.parquet import ROW_GROUP_ROWS, count_rows, write_parquet
from pipeline.shards.webdataset_tar import count_samples, write_tar


def _unheard(rows: int) -> None:
    """Say nothing."""


@dataclass(frozen=True, slots=True)
class Container:
    """A way to write a shard.

    `write` takes the file, the shard's name, its batches and what all rows share; `count` reads back how many rows a
    file holds.
    """

    suffix: str
    media_type: str
    write: Callable[[Path, str, Iterable[Batch], dict[str, Any]], None]
    count: Callable[[Path], int]


# Every name that `shard.containers` may hold; each has a folder of its name.
CONTAINERS: Final[Mapping[str, Container]] = {
    PARQUET: Container("parquet", "application/x-parquet", write_parquet, count_rows),
    WEBDATASET: Container("tar", "application/x-tar", write_tar, count_samples),
}


@dataclass(frozen=True, slots=True)
class ShardJob:
    """One shard to write.

    `rows` are `columns.ROW_SCHEMA`; picture i is `lengths[i]` bytes at `offsets[i]` of `spools[files[i]]`. `paths`
    has the file of each container that is written.
    """

    name: str
    rows: pa.Table
    spools: tuple[Path, ...]
    files: npt.NDArray[np.int32]
    offsets: npt.NDArray[np.int64]
    lengths: npt.NDArray[np.int64]
    paths: Mapping[str, Path]
    common: dict[str, Any]
    wrote: Callable[[int], None] = _unheard  # called with the rows of each row group, for each container


def write_shard(job: ShardJob) -> str:
    """Write the containers of one shard, read their counts back, and return its name.

    No more than one row group of pictures is in memory, however many rows a shard has.

    Raises:
        OutputError: what was written does not hold the rows that were given.
    """
    for name, path in job.paths.items():
        container = CONTAINERS[name]
        container.write(path, job.name, _batches(job), job.common)
        if (written := container.count(path)) != len(job.rows):
            raise OutputError(f"{path}: {written} rows were written, {len(job.rows)} were given")
    return job.name


def _batches(job: ShardJob) -> Iterator[Batch]:
    """Yield the rows of each row group and their pictures."""
    opened = {number: os.open(job.spools[number], os.O_RDONLY) for number in np.unique(job.files).tolist()}
    try:
        for start in range(0, len(job.rows), ROW_GROUP_ROWS):
            part = slice(start, start + ROW_GROUP_ROWS)
            places = (column[part].tolist() for column in (job.files, job.offsets, job.lengths))
            images = [os.pread(opened[file], length, offset) for file, offset, length in zip(*places, strict=True)]
            yield job.rows.slice(start, ROW_GROUP_ROWS), images
            job.wrote(len(images))
    finally:
        for descriptor in opened.values():
            os.close(descriptor)


def shard_rows(rows: pa.Table, landmarks: npt.NDArray[np.float32]) -> pa.Table:
    """Return planned rows as `columns.ROW_SCHEMA`: masks and the landmarks (rows, 10) added."""
    for name in AFFECTS:
        # Not a number is not given, whatever wrote it.
        given = pc.fill_null(pc.is_finite(rows[name]), False)
        rows = rows.set_column(rows.column_names.index(name), name, pc.if_else(given, rows[name], None))
    columns = []
    for field in ROW_SCHEMA:
        if field.name == "landmarks":
            points = pa.array(landmarks.reshape(-1), pa.float32())
            column: Any = pa.FixedSizeListArray.from_arrays(points, 10)
        elif field.name.startswith("has_"):
            column = rows[field.name.removeprefix("has_")].is_valid()
        else:
            column = rows[field.name].cast(field.type)
        columns.append(column)
    return pa.Table.from_arrays(columns, schema=ROW_SCHEMA)
