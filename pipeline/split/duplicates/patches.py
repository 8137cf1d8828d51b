"""The perceptual hash: a small patch with the coarse detail of a face, (30, 30) bytes.

All steps use only patches until the pixels of the last candidates are read again.
"""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.split.duplicates.region import MASKED, Floats, Pixels, build_band, build_region

SIDE_PX: Final = 30
FACE_PX: Final = 24  # side of ArcFace's crop within a patch; the rest shows what surrounds it
_FINER: Final = 2  # the region is built at twice the size, so that a narrow painted or black border is seen
# Standard deviations of the two Gaussians of `build_band`, in pixels of a patch.
_BAND_PX: Final = (0.8, 4.0)
# Half-axes of the ellipse that counts as face, in pixels of a patch.
_WINDOW_PX: Final = (9.0, 10.0)

Patches = NDArray[np.int8]


def _grid() -> tuple[Floats, Floats]:
    y, x = np.mgrid[0:SIDE_PX, 0:SIDE_PX].astype(np.float32) - np.float32((SIDE_PX - 1) / 2)
    return x, y


def bump(x_px: float, y_px: float, wide_px: float, high_px: float) -> Floats:
    """Return a window (SIDE_PX, SIDE_PX) around a point, counted from the middle: flat inside, smooth at its edge."""
    x, y = _grid()
    return np.asarray(np.exp(-((((x - x_px) / wide_px) ** 2 + ((y - y_px) / high_px) ** 2) ** 2)), np.float32)


# The part of a patch that is face. Hair and background count less, because cropping changes them.
WINDOW: Final = bump(0, 1, *_WINDOW_PX)


def build_patch(grey: Pixels, margin: float) -> Patches:
    """Return the patch of a grey face (H, W), aligned with a margin: (SIDE_PX, SIDE_PX), MASKED where none is shown."""
    region, shown = build_region(grey, margin, FACE_PX * _FINER, SIDE_PX * _FINER)
    size = (SIDE_PX, SIDE_PX)
    small = cv2.resize(region, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    seen = cv2.resize(shown.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    return build_band(small, np.asarray(seen, np.float32), *_BAND_PX)


def values_of(patches: Patches) -> Floats:
    """Return the patches as floats, 0 where nothing is shown."""
    return np.where(patches == MASKED, 0, patches).astype(np.float32)
