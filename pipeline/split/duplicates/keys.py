"""Keys: a few numbers that distinguish pictures of faces, for the whole face and for each half.

They come from a linear discriminant (Fisher, 1936) whose classes are pictures: the directions along which pictures
differ most, relative to how much two alignments of one picture differ. The second kind of difference is simulated:
patches are moved, turned, stretched and partly painted over at random. A copy of which half is hidden keeps the key of
the other half.
"""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from scipy.linalg import eigh

from pipeline.split.duplicates.patches import SIDE_PX, WINDOW, Patches, bump, values_of
from pipeline.split.duplicates.region import Floats

KEY_LENGTH: Final = 64
# The face, its upper, lower, left and right half.
WINDOWS: Final = (
    WINDOW,
    *(WINDOW * bump(*place) for place in ((0, -5, 11, 6), (0, 6, 11, 6), (-5, 0, 6, 11), (5, 0, 6, 11))),
)
# The discriminant is fitted on so many patches, each with so many random alignments.
_SAMPLED, _MOVED = 1024, 3
# Standard deviations of the random alignments: what detection leaves between two copies after both were aligned.
_TURN_DEG, _GROWTH, _SHIFT_PX, _SHEAR = 4.0, 0.05, 0.75, 0.05
_CHUNK: Final = 8192
# A square of this side is painted over in this share of them.
_HIDDEN_PX, _HIDDEN_SHARE = 10, 0.3
# Added to each direction, as a share of the mean variance within a picture: copies also differ in ways not simulated.
_FLOOR: Final = 0.05


@dataclass(frozen=True, slots=True)
class Scatter:
    """Statistics of patches and mirror images: `mean` (D,), `between` pictures (M, D), `within` a picture (L, D)."""

    mean: Floats
    between: Floats
    within: Floats


def build_scatter(patches: Patches) -> Scatter:
    """Sample patches (N, SIDE_PX, SIDE_PX), evenly spaced, and align each again at random."""
    rows = np.unique(np.linspace(0, len(patches) - 1, _SAMPLED).astype(np.int64))
    sample = values_of(patches[rows])
    random = np.random.default_rng(0)
    moved = np.stack([_moved(patch, random) - patch for patch in sample for _ in range(_MOVED)])
    both = _flat(np.concatenate([sample, sample[:, :, ::-1]]))
    mean = both.mean(axis=0)
    return Scatter(mean, both - mean, _flat(np.concatenate([moved, moved[:, :, ::-1]])))


def build_keys(patches: Patches, scatter: Scatter, window: Floats) -> Floats:
    """Return (N, KEY_LENGTH or fewer) keys of patches, weighted by a window, each of unit length."""
    through = _flat(window[None])[0]
    within, between = _covariance(scatter.within * through), _covariance(scatter.between * through)
    within += np.eye(len(within), dtype=np.float32) * (np.trace(within) / len(within) * _FLOOR + 1e-3)
    last = len(within) - 1
    axes = eigh(between, within, subset_by_index=(last - KEY_LENGTH + 1, last))[1].astype(np.float32)
    axes = axes * through[:, None]
    keys = np.concatenate(
        [
            (_flat(values_of(patches[start : start + _CHUNK])) - scatter.mean) @ axes
            for start in range(0, len(patches), _CHUNK)
        ]
    )
    return np.asarray(keys / np.maximum(np.linalg.norm(keys, axis=1, keepdims=True), 1e-6), np.float32)


def _flat(values: Floats) -> Floats:
    """Return (N, 225): patches at half their side, which is enough for the discriminant and sixteen times cheaper."""
    half = SIDE_PX // 2
    return np.asarray(values.reshape(len(values), half, 2, half, 2).mean(axis=(2, 4)).reshape(len(values), -1))


def _covariance(rows: Floats) -> Floats:
    return np.asarray(rows.T @ rows / len(rows), np.float32)


def _moved(patch: Floats, random: np.random.Generator) -> Floats:
    centre = (SIDE_PX - 1) / 2
    turn, growth = random.normal(0, _TURN_DEG), float(np.exp(random.normal(0, _GROWTH)))
    move = cv2.getRotationMatrix2D((centre, centre), turn, growth)
    move[:, :2] = move[:, :2] @ (np.eye(2) + random.normal(0, _SHEAR, (2, 2)) * (1 - np.eye(2)))
    move[:, 2] = centre - move[:, :2] @ (centre, centre) + random.normal(0, _SHIFT_PX, 2)
    moved = cv2.warpAffine(patch, move, (SIDE_PX, SIDE_PX), borderMode=cv2.BORDER_REPLICATE)
    if random.random() < _HIDDEN_SHARE:
        top, left = random.integers(0, SIDE_PX - _HIDDEN_PX, 2)
        moved[top : top + _HIDDEN_PX, left : left + _HIDDEN_PX] = 0
    return np.asarray(moved, np.float32)
