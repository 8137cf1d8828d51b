"""Discarding candidates that cannot be one picture under any alignment, before their pixels are read.

The first step uses the tangent distance (Simard, LeCun and Denker, NIPS 1993), which is one step of Lucas and Kanade's
registration (IJCAI 1981): to first order, a small affine motion adds to a patch a sum of six pictures, made from its
gradients. The share of another patch that the patch and these six pictures explain, where both show something, is the
similarity that a better alignment could reach, and the factors of the sum give the motion. The second step repeats this
after that motion, by which time a copy is almost completely explained. Both steps are arithmetic on many pairs at once,
and take a tenth of the time of iterating for each pair separately.
"""

from concurrent.futures import ThreadPoolExecutor
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.split.duplicates.neighbours import Pairs
from pipeline.split.duplicates.patches import SIDE_PX, WINDOW, Patches, values_of
from pipeline.split.duplicates.region import MASKED, Floats

# Pairs per block: so few planes fit into the processor's cache.
_BLOCK: Final = 256
_PLANE: Final = 7  # the patch and its six tangents
# Lowest sum of the cosine of a pair's keys and the share that the tangents explain, and lowest share after the first
# motion. On changed copies of photographs, each discards fewer than 1 in 1,000 true pairs and 4 in 10 of the others.
_MIN_PROMISE: Final = 1.41
_MIN_ALIKE: Final = 0.845
# After a motion, a pixel counts as shown if it was interpolated almost completely from shown pixels.
_SEEN: Final = 0.99
_GAUSSIAN_PX: Final = 3  # the smallest smoothing that findTransformECC allows besides none
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
    """Do what `register` does after moving each second patch by its motion (K, 2, 3)."""

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
    # Array arithmetic releases the interpreter's lock, so threads are enough, and share the patches.
    with ThreadPoolExecutor(workers) as pool:
        made = list(pool.map(of_block, range(0, len(pairs), _BLOCK)))
    alike, after = (np.concatenate(values) for values in zip(none, *made, strict=True))
    return alike, after


def _explain(
    firsts: NDArray[np.int64], patches: Patches, second: Floats, shown: NDArray[np.bool_]
) -> tuple[Floats, Floats]:
    """Return what `register` returns, for first patches with these indices and second patches as given."""
    faces, at = np.unique(firsts, return_inverse=True)
    first = patches[faces]
    seen = ((first != MASKED)[at] & shown) * WINDOW
    weights, wanted = (values.reshape(len(at), -1) for values in (seen, second))
    planes = _tangent_planes(values_of(first))[at]
    weighted = planes * weights[:, None]
    normal = weighted @ planes.transpose(0, 2, 1)
    # A little of the identity keeps the system solvable for patches without detail.
    normal += np.eye(_PLANE, dtype=np.float32) * (1e-3 * np.trace(normal, axis1=1, axis2=2)[:, None, None] / _PLANE + 1)
    toward = (weighted @ wanted[:, :, None])[:, :, 0]
    factors = np.linalg.solve(normal, toward[:, :, None])[:, :, 0]
    power = np.maximum((weights * wanted**2).sum(axis=1), 1e-6)
    explained = np.clip((factors * toward).sum(axis=1) / power, 0, 1)
    return np.sqrt(explained).astype(np.float32), _motions(factors)


def _moved(values: Floats, shown: NDArray[np.bool_], motions: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """Return second patches (K, S, S), moved onto the first ones by their motions, and which pixels they show."""
    laid, seen = np.empty_like(values), np.empty(values.shape, np.float32)
    size, flags = (SIDE_PX, SIDE_PX), cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    for number, (warp, value, mask) in enumerate(
        zip(_warps_of(motions), values, shown.astype(np.float32), strict=True)
    ):
        cv2.warpAffine(value, warp, size, dst=laid[number], flags=flags)
        cv2.warpAffine(mask, warp, size, dst=seen[number], flags=flags)
    return laid, seen > _SEEN


def _after(earlier: Floats, later: Floats) -> Floats:
    """Return motions (K, 2, 3): the earlier ones followed by the later ones."""
    linear = later[:, :, :2] @ earlier[:, :, :2]
    moved = later[:, :, :2] @ earlier[:, :, 2:] + later[:, :, 2:]
    return np.asarray(np.concatenate([linear, moved], axis=2), np.float32)


def _tangent_planes(faces: Floats) -> Floats:
    """Return (N, 7, SIDE_PX ** 2): each patch and its derivatives by the six parameters of an affine motion.

    These are the two gradients, for the shifts, and their four products with x and y, for the linear part.
    """
    down, right = np.gradient(faces, axis=(1, 2))
    y, x = (np.mgrid[0:SIDE_PX, 0:SIDE_PX].astype(np.float32) - _CENTRE) / _CENTRE
    moved = np.stack([faces, right, down, right * x, right * y, down * x, down * y], axis=1)
    return np.asarray(moved.reshape(len(faces), _PLANE, -1), np.float32)


def _motions(factors: Floats) -> Floats:
    """Return (K, 2, 3) motions from second to first patches, about the patches' centre, in units of half a side."""
    # The first factor is the contrast between the patches. If it is near 0 they are unrelated, and dividing by it would
    # give an arbitrary motion.
    gain = np.where(np.abs(factors[:, :1]) > 0.1, factors[:, :1], 1)
    right, down, right_x, right_y, down_x, down_y = (factors[:, 1:] / gain).T
    scale = _CENTRE
    motion = [[1 + right_x / scale, right_y / scale, right / scale], [down_x / scale, 1 + down_y / scale, down / scale]]
    return np.asarray(motion, np.float32).transpose(2, 0, 1)


def _warps_of(motions: Floats) -> Floats:
    """Return motions as (K, 2, 3) warps from pixels of first patches to pixels of second ones, as OpenCV expects."""
    whole = np.tile(np.eye(3), (len(motions), 1, 1))
    whole[:, :2] = motions
    inverse = np.linalg.inv(whole)[:, :2]
    centre = float(_CENTRE)
    inverse[:, :, 2] = (inverse[:, :, 2] + 1 - inverse[:, :, :2].sum(axis=2)) * centre
    return np.asarray(inverse, np.float32)


def rescale(warp: Floats, from_px: int, to_px: int, zoom: float) -> Floats:
    """Convert a (2, 3) warp between squares of one size into one between squares of another size, about their centres.

    Args:
        warp: as from `lay_upon`.
        from_px: the side of its squares.
        to_px: the side of the other squares.
        zoom: how many pixels of the other squares correspond to one of its pixels.
    """
    linear = warp[:, :2]
    centre, other = (np.full(2, (side_px - 1) / 2, np.float32) for side_px in (from_px, to_px))
    moved = zoom * (warp[:, 2] - centre + linear @ centre) + other - linear @ other
    return np.asarray(np.column_stack([linear, moved]), np.float32)


def lay_upon(first: NDArray[np.int8], second: NDArray[np.int8], start: Floats, steps: int) -> tuple[float, Floats]:
    """Register two bands: return their correlation where the second shows something, -1..1, and the warp.

    The method is the enhanced correlation coefficient (Evangelidis and Psarakis, PAMI 2008).

    Raises:
        cv2.error: they have nothing in common.
    """
    values = [np.where(band == MASKED, 0, band).astype(np.float32) for band in (first, second)]
    shown = np.ascontiguousarray(second != MASKED).astype(np.uint8)
    criteria = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, steps, 1e-3)
    alike, warp = cv2.findTransformECC(values[0], values[1], start, cv2.MOTION_AFFINE, criteria, shown, _GAUSSIAN_PX)
    return float(alike), np.asarray(warp, np.float32)


def _clearer_first(pairs: Pairs, patches: Patches) -> Pairs:
    """Swap each pair whose second face shows more than the first.

    `lay_upon` can ignore what the second face does not show, but not what the first does not show.
    """
    shown = (patches != MASKED).sum(axis=(1, 2))
    swapped = shown[pairs[:, 1]] > shown[pairs[:, 0]]
    return np.where(swapped[:, None], pairs[:, [1, 0, 2]], pairs)


def resembling(pairs: Pairs, cosines: Floats, patches: Patches, *, workers: int) -> tuple[Pairs, Floats]:
    """Return those of the pairs (K, 3) whose patches can be registered, and (K, 2, 3) the warps.

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
