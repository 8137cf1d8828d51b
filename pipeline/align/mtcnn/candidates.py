"""Candidate boxes between MTCNN's networks, for all pictures of a batch at once.

Boxes are x0, y0, x1, y1 in MTCNN's convention, which counts pixels from one and includes the last pixel, so a side
measures x1 - x0 + 1.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.align.detectors.detector import Floats

NONE: Final = -1.0  # the score of an empty place in a table of candidates; no network returns a score below 0


@dataclass(frozen=True, slots=True)
class Candidates:
    """Boxes (b, k, 4) of b pictures with scores (b, k) in 0..1, or `NONE` for an empty place.

    A table of fixed width, because the pictures of a batch have different numbers of boxes.
    """

    boxes: Floats
    scores: Floats

    def flat(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return the picture and the place (both (n,)) of every box, ordered by picture."""
        owners, places = np.nonzero(self.scores > NONE)
        return owners, places


def square(boxes: Floats) -> Floats:
    """Grow boxes (n, 4) to squares around their centres, because the networks read square crops."""
    half = (boxes[:, 2:] - boxes[:, :2]).max(axis=1, keepdims=True) / 2
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2
    return np.concatenate([centre - half, centre + half], axis=1)


def correct(boxes: Floats, corrections: Floats) -> Floats:
    """Move the edges of boxes (n, 4) by a network's corrections (n, 4), which are shares of the sides."""
    return boxes + corrections * (boxes[:, 2:] - boxes[:, :2] + 1)[:, [0, 1, 0, 1]]


def gather(tables: Sequence[tuple[Floats, Floats]], width: int) -> Candidates:
    """Combine the boxes (n, 4) and scores (n,) of each picture, at most `width` of them, into one table."""
    boxes, scores = np.zeros((len(tables), width, 4)), np.full((len(tables), width), NONE)
    for index, (given, score) in enumerate(tables):
        boxes[index, : len(score)], scores[index, : len(score)] = given, score
    return Candidates(boxes, scores)


def suppress(candidates: Candidates, threshold: float, keep: int) -> Candidates:
    """Suppress non-maxima in all pictures at once, and return at most `keep` boxes of each, best first.

    Args:
        candidates: b pictures with k places each.
        threshold: the intersection over union, 0..1, above which the worse of two boxes is dropped.
        keep: the largest number of boxes per picture.

    Returns:
        b pictures with at most `keep` places each.
    """
    order = np.argsort(-candidates.scores, axis=1, kind="stable")
    scores = np.take_along_axis(candidates.scores, order, axis=1)
    # The overlaps take memory with the square of the width, so the empty places at the end are cut off first.
    filled = max(1, int((scores > NONE).sum(axis=1).max(initial=0)))
    order, scores = order[:, :filled], scores[:, :filled]
    boxes = np.take_along_axis(candidates.boxes, order[:, :, None], axis=1)
    close = _overlapping(boxes.astype(np.float32), threshold)
    # From the best box down. A box that was dropped itself drops no other: hence the second condition.
    alive = scores > NONE
    for place in range(filled - 1):
        alive[:, place + 1 :] &= ~(close[:, place, place + 1 :] & alive[:, place, None])
    scores = np.where(alive, scores, NONE)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :keep]
    return Candidates(np.take_along_axis(boxes, order[:, :, None], axis=1), np.take_along_axis(scores, order, axis=1))


def _overlapping(boxes: NDArray[np.float32], threshold: float) -> NDArray[np.bool_]:
    """Return (b, k, k), whether the intersection over union of each two boxes (b, k, 4) exceeds a threshold."""
    x0, y0, x1, y1 = np.moveaxis(boxes, 2, 0)
    areas = (x1 - x0) * (y1 - y0)
    wide = np.minimum(x1[:, :, None], x1[:, None]) - np.maximum(x0[:, :, None], x0[:, None])
    high = np.minimum(y1[:, :, None], y1[:, None]) - np.maximum(y0[:, :, None], y0[:, None])
    common = np.maximum(wide, 0) * np.maximum(high, 0)
    # Multiplied rather than divided, so that two empty boxes do not divide zero by zero.
    return np.asarray(common > threshold * (areas[:, :, None] + areas[:, None] - common))


def suppress_nested(boxes: Floats, scores: Floats, threshold: float) -> NDArray[np.intp]:
    """Suppress boxes that lie within better ones, and return the indices of the others, best first.

    The overlap is the intersection as a share of the smaller box, so that a small box inside a large one is dropped,
    too; their intersection over union would be low. For the few boxes of one picture.

    Args:
        boxes: (n, 4).
        scores: (n,).
        threshold: the overlap, 0..1, above which the worse of two boxes is dropped.
    """
    # Most pictures show one face, which needs no loop.
    if len(boxes) == 1:
        return np.zeros(1, np.intp)
    kept: list[int] = []
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    for row in np.argsort(-scores, kind="stable").tolist():
        low, high = np.maximum(boxes[row, :2], boxes[kept, :2]), np.minimum(boxes[row, 2:], boxes[kept, 2:])
        common = np.maximum(high - low, 0).prod(axis=1)
        if (common <= threshold * np.minimum(areas[row], areas[kept])).all():
            kept.append(row)
    return np.asarray(kept, np.intp)
