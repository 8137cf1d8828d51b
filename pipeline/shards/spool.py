"""Faces on their way from parts to shards: the encoded pictures of one part in one plain file, read back by offset.

Training rows of a shard lie in all parts, so reading the parts once per shard would read everything as often as there
are shards, and holding everything would need its size in memory. The spool costs one sequential write instead, and
memory stays that of one shard.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.core.errors import DataError
from pipeline.core.tables import iter_batches

_BATCH_ROWS = 256


@dataclass(frozen=True, slots=True)
class SpoolJob:
    """Take these rows (ascending) of a part of faces into one file."""

    part: Path
    rows: npt.NDArray[np.int32]
    spool: Path


@dataclass(frozen=True, slots=True)
class Spooled:
    """What came of a job: offset and length in bytes of each picture, and the landmarks (rows, 10) in the source."""

    offsets: npt.NDArray[np.int64]
    lengths: npt.NDArray[np.int64]
    landmarks: npt.NDArray[np.float32]


def spool_part(job: SpoolJob) -> Spooled:
    """Copy the asked pictures of one part into the spool.

    Raises:
        TableError: the part is torn or lacks a column.
        DataError: a picture or its landmarks are missing in the part.
    """
    lengths: list[int] = []
    landmarks = [np.zeros((0, 10), np.float32)]
    start = 0
    with job.spool.open("wb") as stream:
        for batch in iter_batches(job.part, ["image", "landmarks"], _BATCH_ROWS):
            wanted = job.rows[(job.rows >= start) & (job.rows < start + len(batch))] - start
            start += len(batch)
            chosen = batch.take(pa.array(wanted))
            images = chosen.column("image")
            if images.null_count or chosen.column("landmarks").null_count:
                raise DataError(f"{job.part}: a face without picture or landmarks; run align again")
            lengths.extend(stream.write(image.as_buffer()) for image in images)
            points = chosen.column("landmarks").flatten().to_numpy(zero_copy_only=False)
            landmarks.append(points.astype(np.float32).reshape(-1, 10))
    sizes = np.array(lengths, np.int64)
    return Spooled(np.cumsum(sizes) - sizes, sizes, np.concatenate(landmarks))
