"""The same part of every face, whatever margin it was aligned with."""

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]


def build_region(grey: Pixels, margin: float, face_px: int, side_px: int) -> Pixels:
    """Return a square around the face, (side_px, side_px), its histogram equalized: gamma drops out.

    Beyond the crop its last pixels are repeated. The black that a crop is filled with where its photograph ends is
    kept: left out, it was missed more as a landmark of copies than as what makes strangers alike.

    Args:
        grey: an aligned face (H, W), square.
        margin: the one it was aligned with.
        face_px: the side that ArcFace's own crop, the face without margin, gets.
        side_px: the side of the square.
    """
    crop_px = round(face_px / (1 - 2 * margin))
    small = cv2.equalizeHist(cv2.resize(grey, (crop_px, crop_px), interpolation=cv2.INTER_AREA))
    spare = side_px - crop_px
    low, high = abs(spare) // 2, abs(spare) - abs(spare) // 2
    if spare >= 0:
        return np.asarray(cv2.copyMakeBorder(small, low, high, low, high, cv2.BORDER_REPLICATE), np.uint8)
    return np.ascontiguousarray(small[low : low + side_px, low : low + side_px])


def band_pass(region: Pixels, fine_px: float, coarse_px: float) -> Floats:
    """Return a difference of Gaussians: neither the noise of a JPEG nor the light across the face."""
    pixels = region.astype(np.float32)
    return np.asarray(cv2.GaussianBlur(pixels, (0, 0), fine_px) - cv2.GaussianBlur(pixels, (0, 0), coarse_px))
