"""Duplicates in the parts of all datasets, which are read once for patches and again for the pixels of candidates."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.core.graph import components, same_value
from pipeline.core.parallel.pool import Progress, no_progress
from pipeline.core.parts import PartStore
from pipeline.core.tables import count_rows, read_part
from pipeline.geometry.margin import read_margin
from pipeline.split.duplicates.confirm import FINE, Bands, Level, build_detail, confirm
from pipeline.split.duplicates.hashes import decode_small, read_hashes
from pipeline.split.duplicates.neighbours import Pairs, candidate_pairs
from pipeline.split.duplicates.patches import SIDE_PX
from pipeline.split.duplicates.registration import resembling

DUPLICATES: Final = pa.schema(
    [
        pa.field("first", pa.string(), nullable=False),
        pa.field("second", pa.string(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),  # pixels: the same ones; near: the same picture, changed
        pa.field("similarity", pa.float32(), nullable=False),  # 1 for the same pixels
        pa.field("mirrored", pa.bool_(), nullable=False),
    ]
)


@dataclass(frozen=True, slots=True)
class Duplicates:
    """Pairs of faces that are one picture; `table` has the columns of `DUPLICATES` and is sorted."""

    table: pa.Table

    def pairs(self, rows: Mapping[str, int]) -> NDArray[np.int64]:
        """Return (K, 2) row numbers, given the row of each sample id."""
        columns = [[rows[name] for name in self.table[column].to_pylist()] for column in ("first", "second")]
        return np.array(columns, np.int64).T.reshape(-1, 2)


def find_duplicates(
    parts: Sequence[Path],
    *,
    near: bool,
    threshold: float,
    together: Mapping[str, int] | None = None,
    workers: int,
    store: PartStore | None = None,
    progress: Progress = no_progress,
) -> Duplicates:
    """Find faces that are one picture, within and across datasets.

    Args:
        parts: Parquet files of aligned faces, each in a folder with the snapshot of align.
        near: search for changed copies, too, not only for identical pixels.
        threshold: lowest similarity of two copies after registration, 0..1.
        together: the groups that samples are already in; a pair within one group is not compared, because it would
            change nothing.
        workers: processes and threads; the result does not depend on it.
        store: where what is read of each part is kept, to be taken over by the next run; None: it is not kept.
        progress: called with faces read.

    Raises:
        TableError: a part is torn, or holds a face that cannot be decoded.
        LineageError: a folder does not say how its faces were aligned.
    """
    total = sum(map(count_rows, parts))
    progress(0, total, "faces hashed")
    read = read_hashes(parts, workers, lambda done: progress(done, total, "faces hashed"), store)
    ids: list[str] = []
    digests: list[bytes] = []
    sizes = [0]
    patches = np.empty((total, SIDE_PX, SIDE_PX), np.int8)  # filled part by part: a million take 0.9 GB once, not twice
    for part in read:
        patches[len(ids) : len(ids) + len(part.ids)] = part.patches
        ids += part.ids
        digests += part.digests
        sizes.append(len(part.ids))
    rows = _same_pixels(digests)
    table = _table(ids, rows, np.ones(len(rows)), "pixels")
    if not near or not ids:
        return Duplicates(table)
    candidates, cosines = candidate_pairs(patches, workers=workers)
    apart = _not_together(candidates, ids, rows, together or {})
    candidates, warps = resembling(candidates[apart], cosines[apart], patches, workers=workers)
    scores = confirm(candidates, warps, _Details(parts, np.cumsum(sizes), workers), workers=workers)
    # Pairs below the threshold are not written: the certificate and `contradictions` only need those above it.
    kept = scores >= threshold
    near_table = _table(ids, candidates[kept], scores[kept], "near")
    order = [("first", "ascending"), ("second", "ascending"), ("mirrored", "ascending")]
    return Duplicates(pa.concat_tables([table, near_table]).sort_by(order).combine_chunks())


def _same_pixels(digests: Sequence[bytes]) -> Pairs:
    """Return pairs (K, 3) that chain the rows with the same digest, none mirrored.

    A chain is enough to put them into one group, and n equal pictures give n - 1 pairs instead of n² / 2.
    """
    last: dict[bytes, int] = {}
    pairs = []
    for row, digest in enumerate(digests):
        if digest in last:
            pairs.append((last[digest], row, 0))
        last[digest] = row
    return np.array(pairs, np.int64).reshape(-1, 3)


def _not_together(pairs: Pairs, ids: Sequence[str], same: Pairs, together: Mapping[str, int]) -> NDArray[np.bool_]:
    known = same_value([None if key not in together else str(together[key]) for key in ids])
    group = components(len(ids), [known, same[:, :2]])
    return np.asarray(group[pairs[:, 0]] != group[pairs[:, 1]])


@dataclass(frozen=True, slots=True)
class _Details:
    """Reads the details of faces by their index among the faces of all parts."""

    parts: Sequence[Path]
    starts: NDArray[np.int64]
    workers: int

    def __call__(self, wanted: NDArray[np.int64], level: Level) -> Bands:
        bounds = np.searchsorted(wanted, self.starts)
        jobs = [
            (file, wanted[bounds[number] : bounds[number + 1]] - self.starts[number], level)
            for number, file in enumerate(self.parts)
            if bounds[number] < bounds[number + 1]
        ]
        cv2.setNumThreads(1)
        # The decoder and OpenCV release the interpreter's lock, so threads are enough.
        with ThreadPoolExecutor(self.workers) as pool:
            return np.concatenate(list(pool.map(_details_of, jobs)))


def _details_of(job: tuple[Path, NDArray[np.int64], Level]) -> Bands:
    file, rows, level = job
    margin = read_margin(file.parent)
    found = read_part(file, ["sample_id", "image"]).take(rows).to_pylist()
    greys = [decode_small(file, row["sample_id"], row["image"], FINE.side_px) for row in found]
    return np.stack([build_detail(grey, margin, level) for grey in greys])


def _table(ids: Sequence[str], pairs: Pairs, scores: NDArray[np.float64], kind: str) -> pa.Table:
    rows = [
        {"first": names[0], "second": names[1], "kind": kind, "similarity": score, "mirrored": bool(mirrored)}
        for (first, second, mirrored), score in zip(pairs.tolist(), scores.tolist(), strict=True)
        for names in [sorted((ids[first], ids[second]))]
    ]
    return pa.Table.from_pylist(rows, schema=DUPLICATES)
