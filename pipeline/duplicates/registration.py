"""Candidates that cannot be one picture, however it was aligned, are let go before their pixels are read.

First by the tangent distance (Simard, LeCun and Denker, NIPS 1993), a step of Lucas and Kanade's registration (IJCAI
1981): what a small affine motion does to a patch is, to first order, a sum of six pictures, made of its slopes. The
share of another patch that a sum of the patch and these six explains, where both show something, is what a better
alignment could make of their likeness, and the sum says which motion it is. Then by making that alignment.
"""

from concurrent.futures import ThreadPoolExecutor
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.duplicates.neighbours import Pairs
from pipeline.duplicates.patches import SIDE_PX, WINDOW, Patches, values_of
from pipeline.duplicates.region import MASKED, Floats

_BLOCK: Final = 2048
_PLANE: Final = 7
# Of a pair that goes on: the cosine of its keys and the share that the tangents explain, added up, and how alike the
# patches are once laid upon each other. On changed copies of photographs, the sum lets 1 in 1,000 true pairs go, and 4
# in 10 of the others.
_MIN_PROMISE: Final = 1.4
_MIN_ALIKE: Final = 0.8
_STEPS: Final = 8
_GAUSSIAN_PX: Final = 3
_CENTRE: Final = np.float32((SIDE_PX - 1) / 2)


def register(pairs: Pairs, patches: Patches, *, workers: int) -> tuple[Floats, Floats]:
    """Return (K,) the share of the second patch that the first explains, 0..1, and (K, 2, 3) the motions.

    Args:
        pairs: (K, 3) of `candidate_pairs`, sorted.
        patches: (N, SIDE_PX, SIDE_PX) of `build_patch`.
        workers: threads; the result does not depend on it.
    """
    blocks = [pairs[start : start + _BLOCK] for start in range(0, len(pairs), _BLOCK)]
    with ThreadPoolExecutor(workers) as pool:
        made = list(pool.map(lambda block: _register(block, patches), blocks))
    none = (np.empty(0, np.float32), np.empty((0, 2, 3), np.float32))
    alike, motions = (np.concatenate(values) for values in zip(none, *made, strict=True))
    return alike, motions


def _register(pairs: Pairs, patches: Patches) -> tuple[Floats, Floats]:
    firsts, at = np.unique(pairs[:, 0], return_inverse=True)
    second = patches[pairs[:, 1]]
    mirrored = pairs[:, 2] == 1
    second[mirrored] = second[mirrored][:, :, ::-1]
    seen = ((patches[pairs[:, 0]] != MASKED) & (second != MASKED)) * WINDOW
    weights, wanted = (values.reshape(len(pairs), -1) for values in (seen, values_of(second)))
    planes = _tangent_planes(values_of(patches[firsts]))[at]
    weighted = planes * weights[:, None]
    normal = weighted @ planes.transpose(0, 2, 1)
    normal += np.eye(_PLANE, dtype=np.float32) * (1e-3 * np.trace(normal, axis1=1, axis2=2)[:, None, None] / _PLANE + 1)
    toward = (weighted @ wanted[:, :, None])[:, :, 0]
    factors = np.linalg.solve(normal, toward[:, :, None])[:, :, 0]
    power = np.maximum((weights * wanted**2).sum(axis=1), 1e-6)
    explained = np.clip((factors * toward).sum(axis=1) / power, 0, 1)
    return np.sqrt(explained).astype(np.float32), _motions(factors)


def _tangent_planes(faces: Floats) -> Floats:
    """Return (N, 7, SIDE_PX ** 2): each patch and its six derivatives, the four of its slopes by their lever."""
    down, right = np.gradient(faces, axis=(1, 2))
    y, x = (np.mgrid[0:SIDE_PX, 0:SIDE_PX].astype(np.float32) - _CENTRE) / _CENTRE
    moved = np.stack([faces, right, down, right * x, right * y, down * x, down * y], axis=1)
    return np.asarray(moved.reshape(len(faces), _PLANE, -1), np.float32)


def _motions(factors: Floats) -> Floats:
    """Return (K, 2, 3): about the patches' centre, where a point of the second patch is in the first, in half sides."""
    gain = np.where(np.abs(factors[:, :1]) > 0.1, factors[:, :1], 1)
    right, down, right_x, right_y, down_x, down_y = (factors[:, 1:] / gain).T
    scale = _CENTRE
    motion = [[1 + right_x / scale, right_y / scale, right / scale], [down_x / scale, 1 + down_y / scale, down / scale]]
    return np.asarray(motion, np.float32).transpose(2, 0, 1)


def _warp_of(motion: Floats) -> Floats:
    """Return the (2, 3) warp that leads from a first patch's pixels to the second's, for OpenCV, of a motion (2, 3)."""
    inverse = np.linalg.inv(np.vstack([motion.astype(float), [0, 0, 1]]))[:2]
    centre = np.full(2, float(_CENTRE))
    inverse[:, 2] = inverse[:, 2] * float(_CENTRE) + centre - inverse[:, :2] @ centre
    return np.asarray(inverse, np.float32)


def rescale(warp: Floats, from_px: int, to_px: int, zoom: float) -> Floats:
    """Return a (2, 3) warp between squares of one size as one between squares of another, about their centres.

    Args:
        warp: of `lay_upon`.
        from_px: the side of its squares.
        to_px: the side of the others.
        zoom: how many of their pixels one of its pixels is.
    """
    linear = warp[:, :2]
    centre, other = (np.full(2, (side_px - 1) / 2, np.float32) for side_px in (from_px, to_px))
    moved = zoom * (warp[:, 2] - centre + linear @ centre) + other - linear @ other
    return np.asarray(np.column_stack([linear, moved]), np.float32)


def lay_upon(first: NDArray[np.int8], second: NDArray[np.int8], start: Floats, steps: int) -> tuple[float, Floats]:
    """Return how alike two bands are where the second shows something, -1..1, and the warp that makes them so.

    By the enhanced correlation coefficient (Evangelidis and Psarakis, PAMI 2008).

    Raises:
        cv2.error: they have nothing in common.
    """
    values = [np.where(band == MASKED, 0, band).astype(np.float32) for band in (first, second)]
    shown = np.ascontiguousarray(second != MASKED).astype(np.uint8)
    criteria = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, steps, 1e-3)
    alike, warp = cv2.findTransformECC(values[0], values[1], start, cv2.MOTION_AFFINE, criteria, shown, _GAUSSIAN_PX)
    return float(alike), np.asarray(warp, np.float32)


def _clearer_first(pairs: Pairs, patches: Patches) -> Pairs:
    """Swap the pairs of which the second shows more.

    `lay_upon` leaves out what the second does not show, but cannot leave out what the first does not.
    """
    shown = (patches != MASKED).sum(axis=(1, 2))
    swapped = shown[pairs[:, 1]] > shown[pairs[:, 0]]
    return np.where(swapped[:, None], pairs[:, [1, 0, 2]], pairs)


def resembling(pairs: Pairs, cosines: Floats, patches: Patches, *, workers: int) -> tuple[Pairs, Floats]:
    """Return those of the pairs (K, 3) whose patches can be laid upon each other, and (K, 2, 3) by which warp.

    In each pair returned, the face that shows more comes first. The warps are in pixels of the patches.

    Args:
        pairs: (K, 3) of `candidate_pairs`.
        cosines: (K,) of their keys.
        patches: (N, SIDE_PX, SIDE_PX) of `build_patch`.
        workers: threads; the result does not depend on it.
    """
    pairs = _clearer_first(pairs, patches)
    explained, motions = register(pairs, patches, workers=workers)
    likely = explained + cosines >= _MIN_PROMISE
    pairs, motions = pairs[likely], motions[likely]

    def lay(number: int) -> tuple[float, Floats]:
        first, second, mirrored = pairs[number].tolist()
        other = patches[second][:, ::-1] if mirrored else patches[second]
        start = _warp_of(motions[number])
        try:
            return lay_upon(patches[first], other, start, _STEPS)
        except cv2.error:
            return 0.0, start

    with ThreadPoolExecutor(workers) as pool:
        laid = list(pool.map(lay, range(len(pairs))))
    kept = np.array([number for number, (alike, _) in enumerate(laid) if alike >= _MIN_ALIKE], np.int64)
    return pairs[kept], np.array([laid[number][1] for number in kept], np.float32).reshape(-1, 2, 3)
