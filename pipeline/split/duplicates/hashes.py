"""What is read of every face in search of duplicates: a digest of its stored picture, and its patch."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import pyarrow as pa

from pipeline.core.errors import ImageError, TableError
from pipeline.core.lineage.identity import file_md5
from pipeline.core.parallel.engine import map_ordered
from pipeline.core.parallel.pool import finish_units
from pipeline.core.parallel.units import Units
from pipeline.core.parts import PartStore, Task, digest_of, map_kept
from pipeline.core.tables import count_rows, read_part, write_table
from pipeline.geometry.margin import read_margin
from pipeline.images import decode_grey_face
from pipeline.split.duplicates.patches import SIDE_PX, Patches, build_patch
from pipeline.split.duplicates.region import Pixels

_NAME: Final = "hashes.parquet"
_HASHES: Final = pa.schema([("sample_id", pa.string()), ("digest", pa.binary()), ("patch", pa.binary())])


@dataclass(frozen=True, slots=True)
class Hashes:
    """What is read from one part: N sample ids, a digest of each stored picture, and patches (N, SIDE_PX, SIDE_PX)."""

    ids: list[str]
    digests: list[bytes]
    patches: Patches


def read_hashes(
    parts: Sequence[Path], workers: int, report: Callable[[int], None], store: PartStore | None
) -> Iterator[Hashes]:
    """Yield the hashes of each part of aligned faces, in order.

    Args:
        parts: Parquet files, each in a folder with the snapshot of align.
        workers: processes.
        report: called with the number of faces that are done.
        store: where hashes are kept, and taken from if the part is the same; None: they are not kept.

    Raises:
        TableError: a part is torn, or holds a face that cannot be decoded.
        LineageError: a folder does not say how its faces were aligned.
    """
    if store is None:
        yield from map_ordered(_hash_part, list(parts), workers, report)
        return
    tasks = [Task(_key(store.md5(part), part), part) for part in parts]
    for kept in map_kept(store, write_hashes, _key_of, tasks, workers, count_rows, report):
        table = read_part(kept.folder / _NAME, schema=_HASHES)
        ids, digests, patches = (table[name].to_pylist() for name in _HASHES.names)
        yield Hashes(ids, digests, np.frombuffer(b"".join(patches), np.int8).reshape(-1, SIDE_PX, SIDE_PX))


def write_hashes(file: Path, folder: Path, _: Units) -> bool:
    """Write the hashes of a part of faces into a folder, as the worker of `map_kept`."""
    found = _hash_part(file)
    patches = [patch.tobytes() for patch in found.patches]
    write_table(folder / _NAME, pa.table([found.ids, found.digests, patches], schema=_HASHES))
    return True


def _hash_part(file: Path) -> Hashes:
    cv2.setNumThreads(1)  # every worker process would start threads of its own
    margin = read_margin(file.parent)
    table = read_part(file, ["sample_id", "image"])
    ids, images = table["sample_id"].to_pylist(), table["image"].to_pylist()
    patches = np.zeros((len(ids), SIDE_PX, SIDE_PX), np.int8)
    for row, (sample_id, image) in enumerate(zip(ids, images, strict=True)):
        patches[row] = build_patch(decode_small(file, sample_id, image, 2 * SIDE_PX), margin)
        finish_units(1)
    return Hashes(ids, [hashlib.blake2b(image, digest_size=16).digest() for image in images], patches)


def decode_small(file: Path, sample_id: str, image: bytes | None, min_side_px: int) -> Pixels:
    """Return the grey pixels of a stored face, at a scale at which its sides have at least so many pixels.

    Raises:
        TableError: it cannot be decoded.
    """
    try:
        return decode_grey_face(image or b"", min_side_px)
    except ImageError as error:
        raise TableError(f"{file}: {sample_id}: {error.detail}; run align again") from None


def _key_of(file: Path) -> str:
    return _key(file_md5(file), file)


def _key(md5: str, file: Path) -> str:
    return digest_of(["hashes", md5, read_margin(file.parent)])
