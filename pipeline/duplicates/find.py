"""Duplicates over the parts of all datasets: read once for the hash, once more for the pixels of the candidates."""

import hashlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.components import components, same_value
from pipeline.duplicates.buckets import Pairs, candidate_pairs
from pipeline.duplicates.confirm import build_detail, similarity
from pipeline.duplicates.hashing import build_keys
from pipeline.duplicates.register import Floats, Pixels, Template, build_small, build_template
from pipeline.errors import ImageError, TableError
from pipeline.images import decode_face
from pipeline.tables import read_part
from pipeline.workers import Progress, map_ordered, no_progress

DUPLICATES: Final = pa.schema(
    [
        pa.field("first", pa.string(), nullable=False),
        pa.field("second", pa.string(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),  # pixels: the same ones; near: the same picture, changed
        pa.field("similarity", pa.float32(), nullable=False),  # 1 for the same pixels
        pa.field("mirrored", pa.bool_(), nullable=False),
    ]
)
_TEMPLATE_FACES: Final = 2048
_KEYS_PER_JOB: Final = 2048
_PAIRS_PER_STEP: Final = 4096


@dataclass(frozen=True, slots=True)
class Duplicates:
    """Pairs of faces that are one picture: `table` has the columns of `DUPLICATES`, sorted."""

    table: pa.Table

    def pairs(self, rows: Mapping[str, int]) -> NDArray[np.int64]:
        """Return (K, 2) row numbers, given the row of each sample id."""
        columns = [[rows[name] for name in self.table[column].to_pylist()] for column in ("first", "second")]
        return np.array(columns, np.int64).T.reshape(-1, 2)


@dataclass(frozen=True, slots=True)
class _Part:
    """What one part gives: sample ids, a digest of the pixels of each, and (N, 48, 48) small faces."""

    ids: list[str]
    digests: list[bytes]
    smalls: Pixels


def find_duplicates(
    parts: Sequence[Path],
    *,
    near: bool,
    threshold: float,
    together: Mapping[str, int] | None = None,
    workers: int,
    progress: Progress = no_progress,
) -> Duplicates:
    """Find the faces that are one picture, within and across datasets.

    Args:
        parts: Parquet files of aligned faces; all crops of one align contract.
        near: look for changed copies too, not only for identical pixels.
        threshold: smallest similarity of the confirmed pixels, 0..1.
        together: the group that samples are already in; a pair within one group is not looked at again.
        workers: processes and threads; the result does not depend on it.
        progress: called with parts read.

    Raises:
        TableError: a part is torn, or holds a face that cannot be decoded.
    """
    read = []
    for done, part in enumerate(map_ordered(_read_part, list(parts), workers), 1):
        read.append(part)
        progress(done, len(parts), "faces hashed")
    ids = [sample_id for part in read for sample_id in part.ids]
    rows = _same_pixels([digest for part in read for digest in part.digests])
    table = _table(ids, rows, np.ones(len(rows)), "pixels")
    if not near or not ids:
        return Duplicates(table)
    smalls = np.concatenate([part.smalls for part in read])
    candidates = candidate_pairs(_keys(smalls, workers))
    candidates = _not_together(candidates, ids, rows, together or {})
    scores = _confirm(parts, [len(part.ids) for part in read], candidates, workers)
    kept = scores >= threshold
    near_table = _table(ids, candidates[kept], scores[kept], "near")
    order = [("first", "ascending"), ("second", "ascending"), ("mirrored", "ascending")]
    return Duplicates(pa.concat_tables([table, near_table]).sort_by(order).combine_chunks())


def _read_part(file: Path) -> _Part:
    cv2.setNumThreads(1)
    ids, digests, smalls = [], [], []
    for row in read_part(file, ["sample_id", "image"]).to_pylist():
        face = _decode(file, row)
        ids.append(row["sample_id"])
        digests.append(hashlib.blake2b(repr(face.shape).encode() + face.tobytes(), digest_size=16).digest())
        smalls.append(build_small(face))
    return _Part(ids, digests, np.array(smalls, np.uint8).reshape(len(ids), *(smalls[0].shape if smalls else (48, 48))))


def _decode(file: Path, row: Mapping[str, object]) -> Pixels:
    content = row["image"]
    try:
        return decode_face(content if isinstance(content, bytes) else b"")
    except ImageError as error:
        raise TableError(f"{file}: {row['sample_id']}: {error.detail}; run align again") from None


def _same_pixels(digests: Sequence[bytes]) -> Pairs:
    """Chain the rows with one digest: (K, 3), never mirrored."""
    last: dict[bytes, int] = {}
    pairs = []
    for row, digest in enumerate(digests):
        if digest in last:
            pairs.append((last[digest], row, 0))
        last[digest] = row
    return np.array(pairs, np.int64).reshape(-1, 3)


def _keys(smalls: Pixels, workers: int) -> Floats:
    # Faces spread over all data make the mean face, so that no dataset alone does.
    step = max(1, len(smalls) // _TEMPLATE_FACES)
    template = build_template(smalls[::step][:_TEMPLATE_FACES])
    starts = range(0, len(smalls), _KEYS_PER_JOB)
    jobs = [(smalls[start : start + _KEYS_PER_JOB], template) for start in starts]
    return np.concatenate(list(map_ordered(_keys_of, jobs, workers)))


def _keys_of(job: tuple[Pixels, Template]) -> Floats:
    cv2.setNumThreads(1)
    return build_keys(*job)


def _not_together(pairs: Pairs, ids: Sequence[str], same: Pairs, together: Mapping[str, int]) -> Pairs:
    known = same_value([None if key not in together else str(together[key]) for key in ids])
    group = components(len(ids), [known, same[:, :2]])
    return np.asarray(pairs[group[pairs[:, 0]] != group[pairs[:, 1]]])


def _confirm(parts: Sequence[Path], sizes: Sequence[int], pairs: Pairs, workers: int) -> NDArray[np.float64]:
    """Return (K,) the similarity of each candidate pair."""
    wanted = np.unique(pairs[:, :2])
    starts = np.cumsum([0, *sizes])
    bounds = np.searchsorted(wanted, starts)
    jobs = [
        (file, wanted[bounds[number] : bounds[number + 1]] - starts[number])
        for number, file in enumerate(parts)
        if bounds[number] < bounds[number + 1]
    ]
    if not jobs:
        return np.empty(0)
    details = np.concatenate(list(map_ordered(_details_of, jobs, workers)))
    at = np.searchsorted(wanted, pairs[:, :2])
    cv2.setNumThreads(1)
    # OpenCV lets go of the interpreter, so threads do, and share the pixels.
    with ThreadPoolExecutor(workers) as pool:

        def score(number: int) -> float:
            first, second = details[at[number, 0]], details[at[number, 1]]
            return similarity(first, np.ascontiguousarray(second[:, ::-1]) if pairs[number, 2] else second)

        return np.array(list(pool.map(score, range(len(pairs)))))


def _details_of(job: tuple[Path, NDArray[np.int64]]) -> Pixels:
    cv2.setNumThreads(1)
    file, rows = job
    found = read_part(file, ["sample_id", "image"]).take(rows).to_pylist()
    return np.stack([build_detail(_decode(file, row)) for row in found])


def _table(ids: Sequence[str], pairs: Pairs, scores: NDArray[np.float64], kind: str) -> pa.Table:
    rows = [
        {"first": names[0], "second": names[1], "kind": kind, "similarity": score, "mirrored": bool(mirrored)}
        for (first, second, mirrored), score in zip(pairs.tolist(), scores.tolist(), strict=True)
        for names in [sorted((ids[first], ids[second]))]
    ]
    return pa.Table.from_pylist(rows, schema=DUPLICATES)
