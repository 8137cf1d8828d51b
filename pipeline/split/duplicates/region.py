"""The same region of every face, whatever margin it was aligned with, and which of its pixels show anything."""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]

# The value of a pixel in a band that is outside the photograph or painted over.
MASKED: Final = -128
# A band has about unit spread, and int8 then holds four spreads to each side.
_UNITS: Final = 32.0
# Grey levels between the darkest and brightest pixel of a neighbourhood that still count as flat.
_FLAT: Final = 4
# Added to the local spread in grey levels, so that noise in even skin is not amplified.
_LEAST_SPREAD: Final = 2.0


def build_region(grey: Pixels, margin: float, face_px: int, side_px: int) -> tuple[Pixels, Pixels]:
    """Return a square around the face, (side_px, side_px), and a mask of the same size, 1 where it shows something.

    The mask is 0 beyond the crop, where the photograph ends (black or repeated pixels) and where something was painted
    over. All of these are flat, which skin with its grain is not. Without the mask, two crops would be similar because
    of them.

    Args:
        grey: an aligned face (H, W), square.
        margin: the margin it was aligned with, as a share of the side.
        face_px: the side that ArcFace's own crop, the face without margin, gets.
        side_px: the side of the square.
    """
    crop_px = round(face_px / (1 - 2 * margin))
    small = np.asarray(cv2.resize(grey, (crop_px, crop_px), interpolation=cv2.INTER_AREA), np.uint8)
    shown = _shown(small)
    spare = side_px - crop_px
    low, high = abs(spare) // 2, abs(spare) - abs(spare) // 2
    if spare < 0:
        inner = slice(low, low + side_px)
        return np.ascontiguousarray(small[inner, inner]), np.ascontiguousarray(shown[inner, inner])
    sides = (low, high, low, high)
    wide = cv2.copyMakeBorder(small, *sides, cv2.BORDER_REPLICATE)
    return np.asarray(wide, np.uint8), np.asarray(cv2.copyMakeBorder(shown, *sides, cv2.BORDER_CONSTANT), np.uint8)


def _shown(small: Pixels) -> Pixels:
    reach = max(3, len(small) // 40 * 2 + 1)
    square = np.ones((reach, reach), np.uint8)
    # The edge is repeated beyond the crop, so that a black border narrower than the square is seen as flat, too.
    small = np.asarray(cv2.copyMakeBorder(small, reach, reach, reach, reach, cv2.BORDER_REPLICATE), np.uint8)
    flat = (cv2.dilate(small, square) - cv2.erode(small, square) <= _FLAT).astype(np.uint8)
    wide = np.ones((reach + 2, reach + 2), np.uint8)
    shown = 1 - cv2.dilate(cv2.morphologyEx(flat, cv2.MORPH_OPEN, square), wide)
    return np.ascontiguousarray(shown[reach:-reach, reach:-reach], np.uint8)


def build_band(region: Floats, shown: Floats, fine_px: float, coarse_px: float) -> NDArray[np.int8]:
    """Return the detail between two scales, with local contrast normalized.

    This is a difference of Gaussians, divided by its spread in the neighbourhood, so that brightness, contrast and
    uneven light do not change it.

    Args:
        region: (S, S).
        shown: (S, S), 0..1.
        fine_px: standard deviation of the Gaussian that removes noise.
        coarse_px: standard deviation of the Gaussian that is subtracted, and of the neighbourhood.

    Returns:
        (S, S), in units of 1/32 of the local spread; MASKED where less than half of a pixel is shown.
    """
    weight = _blur(shown, coarse_px) + 1e-3
    detail = (region - _blur(region * shown, coarse_px) / weight) * shown
    detail = _blur(detail, fine_px)
    spread = np.sqrt(_blur(detail * detail, coarse_px) / weight) + _LEAST_SPREAD
    band = np.clip(np.rint(detail / spread * _UNITS), MASKED + 1, -MASKED - 1)
    return np.where(shown < 0.5, MASKED, band).astype(np.int8)


def _blur(values: Floats, spread_px: float) -> Floats:
    return np.asarray(cv2.GaussianBlur(values, (0, 0), spread_px), np.float32)
