"""Deciding whether two faces are one picture: their pixels are registered and compared.

After the best affine motion, two copies of one picture agree in fine detail, and two pictures of one scene do not. All
pixels count that both faces show. What a copy has painted over is not shown, and two expressions of one face differ in
the little that moved.

Most pairs are discarded at half the size, so that few faces must be in memory at full size.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.split.duplicates.neighbours import Pairs
from pipeline.split.duplicates.patches import FACE_PX as PATCH_FACE_PX
from pipeline.split.duplicates.patches import SIDE_PX as PATCH_PX
from pipeline.split.duplicates.region import MASKED, Floats, Pixels, build_band, build_region
from pipeline.split.duplicates.registration import lay_upon, rescale

Bands = NDArray[np.int8]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Level:
    """A size at which pixels are compared: the sides of the region and of the face in it, and two settings.

    Attributes:
        side_px: side of the compared region.
        face_px: side of ArcFace's crop within it.
        band_px: the two scales of `build_band`.
        steps: iterations of `lay_upon`.
    """

    side_px: int
    face_px: int
    band_px: tuple[float, float]
    steps: int


FINE: Final = Level(side_px=96, face_px=64, band_px=(1.0, 5.0), steps=5)
COARSE: Final = Level(side_px=48, face_px=32, band_px=(0.7, 4.0), steps=3)
# Among the true pairs of changed photographs that reach this step, 1 in 1,000 is less similar at the coarse level, and
# 2 of 2,648 at the fine level before it is registered again. Of pairs that are only alike, the latter discards 4 in 10.
_COARSE_ALIKE: Final = 0.85
_FINE_ALIKE: Final = 0.85
# A registration that stretches more has lost its way: no change that is looked for is so strong.
_MAX_STRETCH: Final = 1.6
# The faces whose details are in memory at once: 0.6 GB of them at the fine level.
_FACES_AT_ONCE: Final = 65_536
# The share of the region that both faces must show, so that a few pixels cannot decide.
_SHOWN_SHARE: Final = 0.12


def build_detail(grey: Pixels, margin: float, level: Level) -> Bands:
    """Return the fine detail of a grey face (H, W), aligned with a margin, and its surroundings: (side_px, side_px)."""
    region, shown = (values.astype(np.float32) for values in build_region(grey, margin, FINE.face_px, FINE.side_px))
    if level != FINE:
        size = (level.side_px, level.side_px)
        region, shown = (
            np.asarray(cv2.resize(values, size, interpolation=cv2.INTER_AREA), np.float32) for values in (region, shown)
        )
    return build_band(region, shown, *level.band_px)


def confirm(
    pairs: Pairs, warps: Floats, read: Callable[[NDArray[np.int64], Level], Bands], *, workers: int
) -> NDArray[np.float64]:
    """Return (K,) the similarity of each pair after registration: 1 for the same pixels, 0 if no motion is found.

    Args:
        pairs: (K, 3) as from `resembling`.
        warps: (K, 2, 3) as from `resembling`, where registration starts.
        read: returns the details of these faces at this level, (N, side_px, side_px).
        workers: threads; the result does not depend on it.
    """
    scores = np.zeros(len(pairs))
    laid = _each(
        lambda first, second, number: _lay_coarsely(first, second, warps[number]), pairs, COARSE, read, workers
    )
    likely = np.array([number for number, (alike, _) in enumerate(laid) if alike >= _COARSE_ALIKE], np.int64)
    scores[likely] = _each(
        lambda first, second, number: _similarity(first, second, laid[likely[number]][1]),
        pairs[likely],
        FINE,
        read,
        workers,
    )
    return scores


def _each(
    score: Callable[[Bands, Bands, int], T],
    pairs: Pairs,
    level: Level,
    read: Callable[[NDArray[np.int64], Level], Bands],
    workers: int,
) -> list[T]:
    """Return the score of each pair, given its two faces and its number."""
    scores: list[T] = []
    for block in _blocks(pairs):
        wanted, at = np.unique(pairs[block, :2], return_inverse=True)
        at = at.reshape(-1, 2)
        details = read(wanted, level)

        def of_pair(number: int, start: int = block.start, at: Pairs = at, details: Bands = details) -> T:
            second = details[at[number - start, 1]]
            return score(details[at[number - start, 0]], second[:, ::-1] if pairs[number, 2] else second, number)

        # OpenCV releases the interpreter's lock, so threads are enough, and share the pixels.
        with ThreadPoolExecutor(workers) as pool:
            scores += pool.map(of_pair, range(block.start, block.stop))
    return scores


def _blocks(pairs: Pairs) -> Iterator[slice]:
    """Yield runs of pairs with at most `_FACES_AT_ONCE` faces, as long as they go."""
    start, step = 0, _FACES_AT_ONCE // 2
    while start < len(pairs):
        end, faces = start, np.empty(0, np.int64)
        while end < len(pairs):
            more = np.union1d(faces, pairs[end : end + step, :2])
            if len(more) > _FACES_AT_ONCE:
                break
            end, faces = min(end + step, len(pairs)), more
        yield slice(start, end)
        start = end


def _lay_coarsely(first: Bands, second: Bands, warp: Floats) -> tuple[float, Floats]:
    """Return the correlation of two coarse details, -1..1, and the warp for the fine level, given that of patches."""
    start = rescale(warp, PATCH_PX, COARSE.side_px, COARSE.face_px / PATCH_FACE_PX)
    try:
        alike, found = lay_upon(first, second, start, COARSE.steps)
    except cv2.error:
        # The iteration does not converge: a flat picture, or two pictures with nothing in common.
        return 0.0, start
    return alike, rescale(found, COARSE.side_px, FINE.side_px, FINE.face_px / COARSE.face_px)


def _similarity(first: Bands, second: Bands, start: Floats) -> float:
    if np.array_equal(first, second):
        return 1.0
    alike = _agreement(first, second, start)
    if alike < _FINE_ALIKE:
        return alike
    try:
        _, warp = lay_upon(first, second, start, FINE.steps)
    except cv2.error:
        return 0.0
    stretch = np.linalg.svd(warp[:, :2], compute_uv=False)
    if stretch[0] > _MAX_STRETCH or stretch[1] < 1 / _MAX_STRETCH:
        return 0.0
    return _agreement(first, second, warp)


def _agreement(first: Bands, second: Bands, warp: Floats) -> float:
    """Return the correlation, 0..1, of the pixels that both show; 0 if these are too few."""
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    size = (FINE.side_px, FINE.side_px)
    seen = second != MASKED
    moved = cv2.warpAffine(second.astype(np.float32) * seen, warp, size, flags=flags)
    shown = cv2.warpAffine(seen.astype(np.float32), warp, size, flags=flags)
    both = (shown > 0.99) & (first != MASKED)
    if both.mean() < _SHOWN_SHARE:
        return 0.0
    # A product with the mask, because a selection by it takes twice as long.
    one, other = ((band * both).ravel().astype(np.float64) for band in (first, moved))
    power = float(np.sqrt((one @ one) * (other @ other)))
    return float(np.clip(one @ other / power, 0, 1)) if power > 0 else 0.0
