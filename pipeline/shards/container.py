"""Writing one shard from the spool in every requested container. One worker thread writes one shard at a time."""

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
from pipeline.core.parallel.pool import finish_units
from pipeline.core.parallel.units import Units
from pipeline.core.parts import digest_of
from pipeline.shards.columns import AFFECTS, ROW_SCHEMA, Batch
from pipeline.shards.parquet import ROW_GROUP_ROWS, count_rows, write_parquet
from pipeline.shards.webdataset_tar import count_samples, write_tar


@dataclass(frozen=True, slots=True)
class Container:
    """A file format for shards.

    Attributes:
        suffix: of its files, without a dot.
        media_type: as `croissant.json` states it.
        write: takes the file, the shard's name, its batches and the values that all rows share.
        count: returns the number of rows in a file, read back from it.
    """

    suffix: str
    media_type: str
    write: Callable[[Path, str, Iterable[Batch], dict[str, Any]], None]
    count: Callable[[Path], int]


# Every value that `shard.containers` may list. Each container is written to a folder of the same name.
CONTAINERS: Final[Mapping[str, Container]] = {
    PARQUET: Container("parquet", "application/x-parquet", write_parquet, count_rows),
    WEBDATASET: Container("tar", "application/x-tar", write_tar, count_samples),
}


@dataclass(frozen=True, slots=True)
class ShardJob:
    """One shard to write.

    Attributes:
        name: such as ``train-00000``.
        rows: N rows of `columns.ROW_SCHEMA`, in the order of the shard.
        spools: the spool file of each part.
        files: (N,) index into `spools` of each picture.
        offsets: (N,) byte offset of each picture in its spool.
        lengths: (N,) size of each picture in bytes.
        containers: names of `CONTAINERS`.
        common: the snapshot id as ``snapshot`` and the contract as ``contract``.
    """

    name: str
    rows: pa.Table
    spools: tuple[Path, ...]
    files: npt.NDArray[np.int32]
    offsets: npt.NDArray[np.int64]
    lengths: npt.NDArray[np.int64]
    containers: tuple[str, ...]
    common: dict[str, Any]


def file_name(container: str) -> str:
    """Return the name of a shard's file among those of its part."""
    return f"shard.{CONTAINERS[container].suffix}"


def key_of(job: ShardJob) -> str:
    """Return the key of a shard; its rows and pictures follow from the id of the snapshot."""
    return key_of_shard(job.common["snapshot"], job.name)


def key_of_shard(snapshot_id: str, name: str) -> str:
    """Return the key of a shard by its name."""
    return digest_of([snapshot_id, name])


def write_shard(job: ShardJob, folder: Path, _: Units) -> bool:
    """Write one shard in each container into a folder; a row is a unit, counted once per container.

    At most one row group of pictures is in memory at a time, whatever the size of the shard.

    Raises:
        OutputError: a file contains another number of rows than the shard, as read back from the file.
    """
    for name in job.containers:
        container, path = CONTAINERS[name], folder / file_name(name)
        container.write(path, job.name, _batches(job), job.common)
        if (written := container.count(path)) != len(job.rows):
            raise OutputError(f"{job.name}.{container.suffix}: {written} rows were written, {len(job.rows)} were given")
    return True


def _batches(job: ShardJob) -> Iterator[Batch]:
    """Yield the rows of each row group with their pictures."""
    opened = {number: os.open(job.spools[number], os.O_RDONLY) for number in np.unique(job.files).tolist()}
    try:
        for start in range(0, len(job.rows), ROW_GROUP_ROWS):
            part = slice(start, start + ROW_GROUP_ROWS)
            places = (column[part].tolist() for column in (job.files, job.offsets, job.lengths))
            images = [os.pread(opened[file], length, offset) for file, offset, length in zip(*places, strict=True)]
            yield job.rows.slice(start, ROW_GROUP_ROWS), images
            finish_units(len(images))
    finally:
        for descriptor in opened.values():
            os.close(descriptor)


def shard_rows(rows: pa.Table, landmarks: npt.NDArray[np.float32]) -> pa.Table:
    """Return planned rows as `columns.ROW_SCHEMA`, with the masks and landmarks added.

    Args:
        rows: N rows of a `plan.Shard`.
        landmarks: (N, 10) x, y of five points in pixels of the crop.
    """
    for name in AFFECTS:
        # NaN and infinity become null, so that `has_…` is false for them. One NaN would spoil the loss of a batch.
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
