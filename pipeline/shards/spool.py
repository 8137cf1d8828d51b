"""The spool: the encoded pictures of one part in one plain file, from which shards read them by offset.

The training rows of a shard come from all parts. Reading the parts for every shard would read all data once per shard,
and keeping all pictures in memory would need the size of the dataset. The spool costs one sequential write instead, and
memory does not grow with the dataset.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.core.errors import DataError
from pipeline.core.parallel.pool import finish_units
from pipeline.core.tables import iter_batches

# 256 crops of 224 px are about 10 MB in memory per thread.
_BATCH_ROWS = 256


@dataclass(frozen=True, slots=True)
class SpoolJob:
    """Copy the pictures of some rows (indices, ascending) of a part of faces into the file `spool`."""

    part: Path
    rows: npt.NDArray[np.int32]
    spool: Path


@dataclass(frozen=True, slots=True)
class Spooled:
    """What a job of N rows wrote: (N,) offset and length of each picture in bytes, and (N, 10) landmarks.

    The landmarks are x, y of five points in pixels of the source picture.
    """

    offsets: npt.NDArray[np.int64]
    lengths: npt.NDArray[np.int64]
    landmarks: npt.NDArray[np.float32]


def spool_part(job: SpoolJob) -> Spooled:
    """Copy the pictures of a job into its spool.

    Raises:
        TableError: the part is damaged or lacks a column.
        DataError: a row has no picture or no landmarks.
    """
    lengths: list[int] = []
    # An empty array first, because a part without any chosen row has nothing to concatenate.
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
    finish_units(len(lengths))
    sizes = np.array(lengths, np.int64)
    return Spooled(np.cumsum(sizes) - sizes, sizes, np.concatenate(landmarks))
