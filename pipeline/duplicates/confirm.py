"""Are these two faces one picture? The pixels are laid upon each other and correlated.

An affine motion is found by maximizing the enhanced correlation coefficient (Evangelidis and Psarakis, PAMI 2008, as
`cv2.findTransformECC`), which neither contrast nor brightness disturbs. Then what is left is compared where two
pictures of one scene differ and two copies of one picture do not: in the fine detail, all over the face.
"""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.duplicates.register import Floats, Pixels, band_pass

SIDE_PX: Final = 96
# Of the crop's side; beyond it is mostly background.
_SHARE: Final = 0.75
_BORDER_PX: Final = 6
_MAX_STRETCH: Final = 1.6
_GAUSSIAN_PX: Final = 5
_COARSE_ALIKE: Final = 0.85
_BAND_PX: Final = (1.0, 5.0)
_COARSE_BAND_PX: Final = (0.7, 4.0)

Motion = NDArray[np.float32]


def build_detail(face: Pixels) -> Pixels:
    """Return the inner part of a face, (H, W) or (H, W, 3), as (96, 96) grey with equalized histogram."""
    grey = face if face.ndim == 2 else cv2.cvtColor(face, cv2.COLOR_RGB2GRAY)
    height, width = grey.shape
    top, left = round(height * (1 - _SHARE) / 2), round(width * (1 - _SHARE) / 2)
    inner = grey[top : height - top, left : width - left]
    return np.asarray(cv2.equalizeHist(cv2.resize(inner, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_AREA)), np.uint8)


def similarity(first: Pixels, second: Pixels) -> float:
    """Return how alike two details (96, 96) are once laid upon each other: 1 the same, 0 where no motion is found.

    A coarse motion at half the size comes first, and most strangers are told apart there already.
    """
    if np.array_equal(first, second):
        return 1.0
    halves = [cv2.resize(pixels, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA) for pixels in (first, second)]
    coarse = [band_pass(np.asarray(half, np.uint8), *_COARSE_BAND_PX) for half in halves]
    bands = [band_pass(pixels, *_BAND_PX) for pixels in (first, second)]
    try:
        alike, motion = _align(coarse[0], coarse[1], np.eye(2, 3, dtype=np.float32), 20)
        if alike < _COARSE_ALIKE:
            return 0.0
        # Pixel centres of the half picture lie at 2 k + 0.5 of the whole one.
        motion[:, 2] = 2 * motion[:, 2] + 0.5 - 0.5 * motion[:, :2].sum(axis=1)
        _, motion = _align(bands[0], bands[1], motion, 15)
    except cv2.error:
        # A flat picture, or two that have nothing in common: the iteration does not converge.
        return 0.0
    stretch = np.linalg.svd(motion[:, :2], compute_uv=False)
    if stretch[0] > _MAX_STRETCH or stretch[1] < 1 / _MAX_STRETCH:
        return 0.0
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    moved = cv2.warpAffine(second, motion, (SIDE_PX, SIDE_PX), flags=flags, borderMode=cv2.BORDER_REFLECT)
    return _correlation(_inner(bands[0]), _inner(band_pass(np.asarray(moved, np.uint8), *_BAND_PX)))


def _align(first: Floats, second: Floats, motion: Motion, iterations: int) -> tuple[float, Motion]:
    criteria = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, iterations, 1e-4)
    everywhere = np.ones(first.shape, np.uint8)
    alike, found = cv2.findTransformECC(first, second, motion, cv2.MOTION_AFFINE, criteria, everywhere, _GAUSSIAN_PX)
    return float(alike), np.asarray(found, np.float32)


def _inner(band: Floats) -> NDArray[np.float64]:
    pixels = band[_BORDER_PX:-_BORDER_PX, _BORDER_PX:-_BORDER_PX].astype(np.float64)
    return np.asarray(pixels - pixels.mean())


def _correlation(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    scale = float(np.sqrt((first**2).sum() * (second**2).sum()))
    return float((first * second).sum()) / scale if scale > 0 else 0.0
