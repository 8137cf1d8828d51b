"""The alignment warp: one similarity, anti-aliased where it shrinks; and how much of the crop lies outside."""

from typing import Final, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.faces.geometry import Floats, invert_similarity, transform_points

Pixels = NDArray[np.uint8]
Border = Literal["constant", "replicate", "reflect"]

_BORDERS: Final[dict[str, int]] = {
    "constant": cv2.BORDER_CONSTANT,
    "replicate": cv2.BORDER_REPLICATE,
    "reflect": cv2.BORDER_REFLECT_101,
}
# Below this scale two neighbours no longer cover what lies between two samples: average first.
_SHRINKS: Final = 0.8


def warp_face(pixels: Pixels, matrix: Floats, size_px: int, border: Border) -> Pixels:
    """Cut a square crop out of a picture.

    Args:
        pixels: (H, W) or (H, W, 3).
        matrix: (2, 3) similarity from the picture to the crop.
        size_px: the side of the crop.
        border: what fills the crop beyond the picture: black, the nearest pixel, or the picture mirrored.

    Returns:
        (size_px, size_px) or (size_px, size_px, 3). Where the similarity shrinks, the picture is first averaged over
        areas down to the crop's own scale, so that nothing finer than a crop pixel folds into it.
    """
    scale = float(np.hypot(matrix[0, 0], matrix[1, 0]))
    if scale < _SHRINKS:
        pixels, matrix = _shrink(pixels, matrix, scale, size_px)
    return np.asarray(
        cv2.warpAffine(
            pixels,
            matrix,
            (size_px, size_px),
            flags=cv2.INTER_LINEAR,
            borderMode=_BORDERS[border],
            borderValue=(0, 0, 0),
        ),
        np.uint8,
    )


def _shrink(pixels: Pixels, matrix: Floats, scale: float, size_px: int) -> tuple[Pixels, Floats]:
    """Average the part of the picture that the crop needs down to the crop's scale, and correct the similarity."""
    left, top, right, bottom = _needed(pixels, matrix, size_px)
    part = pixels[top:bottom, left:right]
    width = max(1, round((right - left) * scale))
    height = max(1, round((bottom - top) * scale))
    small = cv2.resize(part, (width, height), interpolation=cv2.INTER_AREA)
    step_x, step_y = (right - left) / width, (bottom - top) / height
    # A pixel centre k of the small picture lies at (k + 0.5) * step - 0.5 + offset of the large one.
    back = np.array([[step_x, 0, left + step_x / 2 - 0.5], [0, step_y, top + step_y / 2 - 0.5], [0, 0, 1]])
    return np.asarray(small, np.uint8), matrix @ back


def _needed(pixels: Pixels, matrix: Floats, size_px: int) -> tuple[int, int, int, int]:
    height, width = pixels.shape[:2]
    reach = 2 / float(np.hypot(matrix[0, 0], matrix[1, 0]))
    corners = crop_corners(matrix, size_px)
    low, high = np.floor(corners.min(axis=0) - reach), np.ceil(corners.max(axis=0) + reach)
    left, top = int(np.clip(low[0], 0, width - 1)), int(np.clip(low[1], 0, height - 1))
    return left, top, int(np.clip(high[0], left + 1, width)), int(np.clip(high[1], top + 1, height))


def crop_corners(matrix: Floats, size_px: int) -> Floats:
    """Return where the four corners of the crop lie in the picture, (4, 2)."""
    last = size_px - 0.5
    corners = np.array([[-0.5, -0.5], [last, -0.5], [last, last], [-0.5, last]])
    return transform_points(invert_similarity(matrix), corners)


def outside_share(shape: tuple[int, ...], matrix: Floats, size_px: int) -> float:
    """Return the share of the crop's area that lies beyond a picture of this shape, 0..1."""
    corners = crop_corners(matrix, size_px).astype(np.float32)
    height, width = shape[:2]
    if corners.min() >= -0.5 and corners[:, 0].max() <= width - 0.5 and corners[:, 1].max() <= height - 0.5:
        return 0.0
    picture = np.array([[-0.5, -0.5], [width - 0.5, -0.5], [width - 0.5, height - 0.5], [-0.5, height - 0.5]])
    inside, _ = cv2.intersectConvexConvex(corners, picture.astype(np.float32))
    whole = (size_px / float(np.hypot(matrix[0, 0], matrix[1, 0]))) ** 2
    return float(np.clip(1 - inside / whole, 0, 1))
