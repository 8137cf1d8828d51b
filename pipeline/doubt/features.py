"""Frozen features of each face and of its mirror image: what the answers are learned from.

Histograms of oriented gradients (Dalal and Triggs 2005) of the grey face say how eyes, brows and mouth are shaped, and
take five milliseconds. dlib's face descriptor, made to tell people apart, adds a little and takes forty times as long.
docs/doubt.md has what both find.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.feature import hog

from pipeline.core.parallel.engine import map_ordered
from pipeline.core.parallel.pool import Progress, finish_units, no_progress
from pipeline.core.tables import count_rows
from pipeline.geometry.margin import read_margin
from pipeline.images import decode_face, decode_grey_face
from pipeline.images.aligned import read_faces
from pipeline.split.identities import describe as describe_people

Features = NDArray[np.float32]

_SIDE_PX: Final = 64
_CELL_PX: Final = 8
_DIRECTIONS: Final = 8


def read_features(
    parts: Sequence[Path], *, workers: int, progress: Progress = no_progress
) -> tuple[list[str], Features]:
    """Return the sample ids of all faces and their features (N, 2, F): of the face, and of its mirror image.

    Args:
        parts: Parquet files of aligned faces, each in a folder with the snapshot of align.
        workers: processes; the result does not depend on it.
        progress: called with faces read.

    Raises:
        TableError: a part is torn, or holds a face that cannot be decoded.
        LineageError: a folder does not say how its faces were aligned.
    """
    total = sum(map(count_rows, parts))
    progress(0, total, "faces described")
    read = list(
        map_ordered(_describe_part, list(parts), workers, lambda done: progress(done, total, "faces described"))
    )
    return [sample_id for ids, _ in read for sample_id in ids], np.concatenate([features for _, features in read])


def read_descriptors(
    parts: Sequence[Path], *, workers: int, progress: Progress = no_progress
) -> tuple[list[str], Features]:
    """Return the sample ids of all faces and dlib's descriptors (N, 1, 128); as `read_features` otherwise.

    Raises:
        ModelError: the weights are not installed.
    """
    total = sum(map(count_rows, parts))
    progress(0, total, "descriptors")
    read = list(map_ordered(_identify_part, list(parts), workers, lambda done: progress(done, total, "descriptors")))
    return [sample_id for ids, _ in read for sample_id in ids], np.concatenate([found for _, found in read])[:, None]


def join(spaces: Sequence[Features]) -> Features:
    """Return features (N, 2, C) of several spaces (N, 1 or 2, C) side by side, each divided by its own deviation."""
    return np.concatenate([np.repeat(one, 2 // one.shape[1], axis=1) / one.std() for one in spaces], axis=2)


def describe(faces: Sequence[NDArray[np.uint8]], margin: float) -> Features:
    """Return the features (N, 2, F) of aligned grey faces (H, H), without their margin."""
    rows = []
    for face in faces:
        edge = round(len(face) * margin)
        inner = face[edge : len(face) - edge, edge : len(face) - edge]
        small = np.asarray(cv2.resize(inner, (_SIDE_PX, _SIDE_PX), interpolation=cv2.INTER_AREA), np.uint8)
        rows.append([_histograms(small), _histograms(small[:, ::-1])])
        finish_units(1)
    return np.array(rows, np.float32)


def _histograms(face: NDArray[np.uint8]) -> Features:
    cells = {"pixels_per_cell": (_CELL_PX, _CELL_PX), "cells_per_block": (2, 2)}
    return np.asarray(hog(face, orientations=_DIRECTIONS, **cells), np.float32)


def _describe_part(file: Path) -> tuple[list[str], Features]:
    cv2.setNumThreads(1)  # every worker process would start threads of its own
    ids, faces = read_faces(file, lambda image: decode_grey_face(image, 2 * _SIDE_PX))
    return ids, describe(faces, read_margin(file.parent))


def _identify_part(file: Path) -> tuple[list[str], Features]:
    ids, faces = read_faces(file, decode_face)
    return ids, describe_people(faces, read_margin(file.parent)).astype(np.float32)
