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
# A blur with less spread than this, in pixels, changes nothing that can be seen.
_LEAST_SPREAD_PX: Final = 0.35


def warp_face(pixels: Pixels, matrix: Floats, size_px: int, border: Border) -> Pixels:
    """Cut a square crop out of a picture.

    Args:
        pixels: (H, W) or (H, W, 3).
        matrix: (2, 3) similarity from the picture to the crop.
        size_px: the side of the crop.
        border: what fills the crop beyond the picture: black, the nearest pixel, or the picture mirrored.

    Returns:
        (size_px, size_px) or (size_px, size_px, 3). Where the similarity shrinks, the picture is averaged over whole
        blocks and then blurred to the crop's own resolution first: nothing finer than a crop pixel folds into it.
    """
    scale = float(np.hypot(matrix[0, 0], matrix[1, 0]))
    if scale < 1:
        pixels, matrix = _soften(pixels, matrix, scale, size_px)
    warped = cv2.warpAffine(
        pixels, matrix, (size_px, size_px), flags=cv2.INTER_LINEAR, borderMode=_BORDERS[border], borderValue=(0, 0, 0)
    )
    return np.asarray(warped, np.uint8)


def _soften(pixels: Pixels, matrix: Floats, scale: float, size_px: int) -> tuple[Pixels, Floats]:
    """Take what is finer than a crop pixel out of the part of the picture that the crop needs."""
    block = int(1 / scale)
    # The spread that makes a picture sampled at 1 look as if sampled at 1 / scale (Lowe 2004: half a pixel each).
    spread_px = 0.5 * float(np.sqrt(max(0.0, (1 / scale / block) ** 2 - 1)))
    if block == 1 and spread_px < _LEAST_SPREAD_PX:
        return pixels, matrix
    left, top, right, bottom = _needed(pixels, matrix, size_px, block)
    part = pixels[top:bottom, left:right]
    if block > 1:
        size = (right - left) // block, (bottom - top) // block
        part = np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_AREA), np.uint8)
    if spread_px >= _LEAST_SPREAD_PX:
        side = 3 if spread_px < 0.6 else 5
        part = np.asarray(cv2.GaussianBlur(part, (side, side), spread_px, borderType=cv2.BORDER_REPLICATE), np.uint8)
    # The centre of pixel k of the part lies at (k + 0.5) * block - 0.5 + offset of the picture.
    back = np.array([[block, 0, left + block / 2 - 0.5], [0, block, top + block / 2 - 0.5], [0, 0, 1]])
    return part, matrix @ back


def _needed(pixels: Pixels, matrix: Floats, size_px: int, block: int) -> tuple[int, int, int, int]:
    """Return the part of the picture that the crop samples, with room for the blur, in whole blocks where it can be.

    A part that ends before the picture does so well outside the crop, except where blocks are cut off at the far edge.
    """
    height, width = pixels.shape[:2]
    corners = crop_corners(matrix, size_px)
    low, high = np.floor(corners.min(axis=0)) - 4 * block, np.ceil(corners.max(axis=0)) + 4 * block
    left, top = int(np.clip(low[0], 0, width - block)), int(np.clip(low[1], 0, height - block))
    right, bottom = int(np.clip(high[0], left + block, width)), int(np.clip(high[1], top + block, height))
    return left, top, right - (right - left) % block, bottom - (bottom - top) % block


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
