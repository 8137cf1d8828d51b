"""Candidates that cannot be one picture, however it was aligned, are let go before their pixels are read.

First by the tangent distance (Simard, LeCun and Denker, NIPS 1993), a step of Lucas and Kanade's registration (IJCAI
1981): what a small affine motion does to a patch is, to first order, a sum of six pictures, made of its slopes. The
share of another patch that a sum of the patch and these six explains, where both show something, is what a better
alignment could make of their likeness, and the sum says which motion it is. Then once more with that motion made: by
then a copy is all but explained. Both are arithmetic on many pairs at once, a tenth of the time of an iteration for
each pair by itself.
"""

from concurrent.futures import ThreadPoolExecutor
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.split.duplicates.neighbours import Pairs
from pipeline.split.duplicates.patches import SIDE_PX, WINDOW, Patches, values_of
from pipeline.split.duplicates.region import MASKED, Floats

# So few planes stay in the processor's cache.
_BLOCK: Final = 256
_PLANE: Final = 7
# Of a pair that goes on: the cosine of its keys and the share that the tangents explain, added up, and the share once
# the patches are laid upon each other. On changed copies of photographs, each lets fewer than 1 in 1,000 true pairs go,
# and 4 in 10 of the others.
_MIN_PROMISE: Final = 1.41
_MIN_ALIKE: Final = 0.845
# Of a pixel that moved, what must have been shown.
_SEEN: Final = 0.99
_GAUSSIAN_PX: Final = 3
_CENTRE: Final = np.float32((SIDE_PX - 1) / 2)


def register(pairs: Pairs, patches: Patches, *, workers: int) -> tuple[Floats, Floats]:
    """Return (K,) the share of the second patch that the first explains, 0..1, and (K, 2, 3) the motions.

    Args:
        pairs: (K, 3) of `candidate_pairs`, sorted.
        patches: (N, SIDE_PX, SIDE_PX) of `build_patch`.
        workers: threads; the result does not depend on it.
    """
    return _step(pairs, None, patches, workers)


def _step(pairs: Pairs, motions: Floats | None, patches: Patches, workers: int) -> tuple[Floats, Floats]:
    """Do what `register` does, each second patch moved as its motion (K, 2, 3) says."""

    def of_block(start: int) -> tuple[Floats, Floats]:
        block = pairs[start : start + _BLOCK]
        second = patches[block[:, 1]]
        mirrored = block[:, 2] == 1
        second[mirrored] = second[mirrored][:, :, ::-1]
        values, shown = values_of(second), second != MASKED
        if motions is None:
            return _explain(block[:, 0], patches, values, shown)
        motion = motions[start : start + _BLOCK]
        explained, found = _explain(block[:, 0], patches, *_moved(values, shown, motion))
        return explained, _after(motion, found)

    none = (np.empty(0, np.float32), np.empty((0, 2, 3), np.float32))
    # Arithmetic on arrays lets go of the interpreter, so threads do, and share the patches.
    with ThreadPoolExecutor(workers) as pool:
        made = list(pool.map(of_block, range(0, len(pairs), _BLOCK)))
    alike, after = (np.concatenate(values) for values in zip(none, *made, strict=True))
    return alike, after


def _explain(
    firsts: NDArray[np.int64], patches: Patches, second: Floats, shown: NDArray[np.bool_]
) -> tuple[Floats, Floats]:
    """Return what `register` does, of the first patches with these numbers and the second ones as they are."""
    faces, at = np.unique(firsts, return_inverse=True)
    first = patches[faces]
    seen = ((first != MASKED)[at] & shown) * WINDOW
    weights, wanted = (values.reshape(len(at), -1) for values in (seen, second))
    planes = _tangent_planes(values_of(first))[at]
    weighted = planes * weights[:, None]
    normal = weighted @ planes.transpose(0, 2, 1)
    normal += np.eye(_PLANE, dtype=np.float32) * (1e-3 * np.trace(normal, axis1=1, axis2=2)[:, None, None] / _PLANE + 1)
    toward = (weighted @ wanted[:, :, None])[:, :, 0]
    factors = np.linalg.solve(normal, toward[:, :, None])[:, :, 0]
    power = np.maximum((weights * wanted**2).sum(axis=1), 1e-6)
    explained = np.clip((factors * toward).sum(axis=1) / power, 0, 1)
    return np.sqrt(explained).astype(np.float32), _motions(factors)


def _moved(values: Floats, shown: NDArray[np.bool_], motions: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """Return second patches (K, S, S) and what of them is shown, laid upon the first ones by their motions."""
    laid, seen = np.empty_like(values), np.empty(values.shape, np.float32)
    size, flags = (SIDE_PX, SIDE_PX), cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    for number, (warp, value, mask) in enumerate(
        zip(_warps_of(motions), values, shown.astype(np.float32), strict=True)
    ):
        cv2.warpAffine(value, warp, size, dst=laid[number], flags=flags)
        cv2.warpAffine(mask, warp, size, dst=seen[number], flags=flags)
    return laid, seen > _SEEN


def _after(earlier: Floats, later: Floats) -> Floats:
    """Return motions (K, 2, 3): the earlier ones, followed by the later."""
    linear = later[:, :, :2] @ earlier[:, :, :2]
    moved = later[:, :, :2] @ earlier[:, :, 2:] + later[:, :, 2:]
    return np.asarray(np.concatenate([linear, moved], axis=2), np.float32)


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


def _warps_of(motions: Floats) -> Floats:
    """Return the (K, 2, 3) warps that lead from first patches' pixels to the second ones', for OpenCV, of motions."""
    whole = np.tile(np.eye(3), (len(motions), 1, 1))
    whole[:, :2] = motions
    inverse = np.linalg.inv(whole)[:, :2]
    centre = float(_CENTRE)
    inverse[:, :, 2] = (inverse[:, :, 2] + 1 - inverse[:, :, :2].sum(axis=2)) * centre
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
    explained, motions = _step(pairs, motions, patches, workers)
    alike = explained >= _MIN_ALIKE
    return pairs[alike], _warps_of(motions[alike])
