"""One shard made from the spool, as Parquet and as tar: the unit of work of a worker."""

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.core.errors import OutputError
from pipeline.shards.columns import AFFECTS, ROW_SCHEMA, SHARD_SCHEMA, shard_schema
from pipeline.shards.webdataset_tar import Batch, count_members, sample_key, write_tar

# Small groups, so that a reader can mix rows of many shards in little memory: 64 faces of 224 px are 2.5 MB.
ROW_GROUP_ROWS: Final = 64
_PICTURE_COLUMN: Final = "image.bytes"
# A JPEG does not shrink, and a dictionary or minimum of pictures is work for nothing.
_LEAVES: Final = [*(field.name for field in SHARD_SCHEMA if not pa.types.is_nested(field.type)), "image.path"]
_LISTS: Final = [f"{name}.list.element" for name in ("label_probs", "landmarks")]


def _unheard(rows: int) -> None:
    """Say nothing."""


@dataclass(frozen=True, slots=True)
class ShardJob:
    """One shard to write.

    `rows` are `columns.ROW_SCHEMA`; picture i is `lengths[i]` bytes at `offsets[i]` of `spools[files[i]]`. A container
    without a path is not written.
    """

    name: str
    rows: pa.Table
    spools: tuple[Path, ...]
    files: npt.NDArray[np.int32]
    offsets: npt.NDArray[np.int64]
    lengths: npt.NDArray[np.int64]
    parquet: Path | None
    tar: Path | None
    common: dict[str, Any]
    wrote: Callable[[int], None] = _unheard  # called with the rows of each row group, for each container


def write_shard(job: ShardJob) -> str:
    """Write the containers of one shard, read their counts back, and return its name.

    No more than one row group of pictures is in memory, however many rows a shard has.

    Raises:
        OutputError: what was written does not hold the rows that were given.
    """
    if job.parquet is not None:
        write_parquet(job.parquet, job.name, _batches(job), job.common)
        _check_written(job.parquet, pq.read_metadata(job.parquet).num_rows, len(job.rows), "rows")
    if job.tar is not None:
        write_tar(job.tar, job.name, _batches(job), job.common)
        _check_written(job.tar, count_members(job.tar), 2 * len(job.rows), "members")
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


def write_parquet(path: Path, shard: str, batches: Iterable[Batch], common: dict[str, Any]) -> None:
    """Write one Parquet shard: fixed row groups, no clock, the same bytes every time.

    Args:
        path: the file to write.
        shard: the shard's name.
        batches: `columns.ROW_SCHEMA` and the encoded pictures of each row group.
        common: the snapshot id as ``snapshot`` and the contract as ``contract``.
    """
    schema = shard_schema(common["snapshot"], common["contract"])
    codecs = dict.fromkeys([*_LEAVES, *_LISTS], "ZSTD") | {_PICTURE_COLUMN: "NONE"}
    statistics = [name for name in _LEAVES if name != "image.path"]
    first = 0
    with pq.ParquetWriter(
        path, schema, compression=codecs, use_dictionary=["dataset", "subject_id"], write_statistics=statistics
    ) as writer:
        for rows, images in batches:
            names = [f"{sample_key(shard, first + row)}.jpg" for row in range(len(images))]
            pictures = pa.StructArray.from_arrays(
                [pa.array(images, pa.binary()), pa.array(names, pa.string())], names=["bytes", "path"]
            )
            columns = [*(column.combine_chunks() for column in rows.columns), pictures]
            writer.write_table(pa.Table.from_arrays(columns, schema=schema), row_group_size=ROW_GROUP_ROWS)
            first += len(images)


def _check_written(path: Path, written: int, given: int, what: str) -> None:
    if written != given:
        raise OutputError(f"{path}: {written} {what} were written, {given} were given")


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
