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
from pipeline.duplicates.confirm import SIDE_PX as DETAIL_PX
from pipeline.duplicates.confirm import Details, build_details, concat_details, similarity
from pipeline.duplicates.neighbours import Pairs, candidate_pairs
from pipeline.duplicates.patches import SIDE_PX, Patches, build_patch
from pipeline.duplicates.region import Floats, Pixels
from pipeline.duplicates.registration import resembling
from pipeline.errors import ImageError, TableError
from pipeline.faces.margin import read_margin
from pipeline.images import decode_grey_face
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
    """What one part gives: sample ids, a digest of each picture as it is stored, and its patch."""

    ids: list[str]
    digests: list[bytes]
    patches: Patches


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
        parts: Parquet files of aligned faces, each in a folder with the snapshot of align.
        near: look for changed copies too, not only for identical pixels.
        threshold: smallest similarity of the confirmed pixels, 0..1.
        together: the group that samples are already in; a pair within one group is not looked at again.
        workers: processes and threads; the result does not depend on it.
        progress: called with parts read.

    Raises:
        TableError: a part is torn, or holds a face that cannot be decoded.
        LineageError: a folder does not say how its faces were aligned.
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
    patches = np.concatenate([part.patches for part in read])
    candidates, cosines = candidate_pairs(patches, workers=workers)
    apart = _not_together(candidates, ids, rows, together or {})
    candidates, motions = resembling(candidates[apart], cosines[apart], patches, workers=workers)
    scores = _confirm(parts, [len(part.ids) for part in read], candidates, motions, workers)
    kept = scores >= threshold
    near_table = _table(ids, candidates[kept], scores[kept], "near")
    order = [("first", "ascending"), ("second", "ascending"), ("mirrored", "ascending")]
    return Duplicates(pa.concat_tables([table, near_table]).sort_by(order).combine_chunks())


def _read_part(file: Path) -> _Part:
    cv2.setNumThreads(1)
    margin = read_margin(file.parent)
    table = read_part(file, ["sample_id", "image"])
    ids, images = table["sample_id"].to_pylist(), table["image"].to_pylist()
    patches = np.zeros((len(ids), SIDE_PX, SIDE_PX), np.int8)
    for row, (sample_id, image) in enumerate(zip(ids, images, strict=True)):
        patches[row] = build_patch(_decode(file, sample_id, image, 2 * SIDE_PX), margin)
    return _Part(ids, [hashlib.blake2b(image, digest_size=16).digest() for image in images], patches)


def _decode(file: Path, sample_id: str, image: bytes | None, min_side_px: int) -> Pixels:
    try:
        return decode_grey_face(image or b"", min_side_px)
    except ImageError as error:
        raise TableError(f"{file}: {sample_id}: {error.detail}; run align again") from None


def _same_pixels(digests: Sequence[bytes]) -> Pairs:
    """Chain the rows with one digest: (K, 3), never mirrored."""
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


def _confirm(
    parts: Sequence[Path], sizes: Sequence[int], pairs: Pairs, motions: Floats, workers: int
) -> NDArray[np.float64]:
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
    at = np.searchsorted(wanted, pairs[:, :2])
    cv2.setNumThreads(1)

    def score(number: int) -> float:
        mirrored = pairs[number, 2]
        return similarity(
            details.at(at[number, 0]), details.at(at[number, 1], mirrored=bool(mirrored)), motions[number]
        )

    # Decoder and OpenCV let go of the interpreter, so threads do, and share the pixels.
    with ThreadPoolExecutor(workers) as pool:
        details = concat_details(list(pool.map(_details_of, jobs)))
        return np.array(list(pool.map(score, range(len(pairs)))))


def _details_of(job: tuple[Path, NDArray[np.int64]]) -> Details:
    file, rows = job
    found = read_part(file, ["sample_id", "image"]).take(rows).to_pylist()
    return build_details(
        [_decode(file, row["sample_id"], row["image"], DETAIL_PX) for row in found], read_margin(file.parent)
    )


def _table(ids: Sequence[str], pairs: Pairs, scores: NDArray[np.float64], kind: str) -> pa.Table:
    rows = [
        {"first": names[0], "second": names[1], "kind": kind, "similarity": score, "mirrored": bool(mirrored)}
        for (first, second, mirrored), score in zip(pairs.tolist(), scores.tolist(), strict=True)
        for names in [sorted((ids[first], ids[second]))]
    ]
    return pa.Table.from_pylist(rows, schema=DUPLICATES)
