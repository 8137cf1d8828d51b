"""Boxes on their way through MTCNN's stages, of all pictures of a batch at once.

Boxes are x0, y0, x1, y1 as MTCNN counts them: from the second pixel to the last, so that a side is x1 - x0 + 1.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.align.detectors.detector import Floats

NONE: Final = -1.0  # the score of a place in a table of candidates that is not taken


@dataclass(frozen=True, slots=True)
class Candidates:
    """Boxes (b, k, 4) of b pictures with scores (b, k), `NONE` where there is no box."""

    boxes: Floats
    scores: Floats

    def flat(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return picture and place of every box there is, ordered by picture."""
        owners, places = np.nonzero(self.scores > NONE)
        return owners, places


def square(boxes: Floats) -> Floats:
    """Return boxes (n, 4) grown to squares about their centres."""
    half = (boxes[:, 2:] - boxes[:, :2]).max(axis=1, keepdims=True) / 2
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2
    return np.concatenate([centre - half, centre + half], axis=1)


def correct(boxes: Floats, corrections: Floats) -> Floats:
    """Move the edges of boxes (n, 4) by shares of their sides."""
    return boxes + corrections * (boxes[:, 2:] - boxes[:, :2] + 1)[:, [0, 1, 0, 1]]


def gather(tables: Sequence[tuple[Floats, Floats]], width: int) -> Candidates:
    """Put the boxes (n, 4) and scores (n,) of each picture into one table of this width."""
    boxes, scores = np.zeros((len(tables), width, 4)), np.full((len(tables), width), NONE)
    for index, (given, score) in enumerate(tables):
        boxes[index, : len(score)], scores[index, : len(score)] = given, score
    return Candidates(boxes, scores)


def suppress(candidates: Candidates, threshold: float, keep: int) -> Candidates:
    """Return the best `keep` boxes of each picture, none of which overlaps a better one by more than a threshold."""
    order = np.argsort(-candidates.scores, axis=1, kind="stable")
    scores = np.take_along_axis(candidates.scores, order, axis=1)
    filled = max(1, int((scores > NONE).sum(axis=1).max(initial=0)))
    order, scores = order[:, :filled], scores[:, :filled]
    boxes = np.take_along_axis(candidates.boxes, order[:, :, None], axis=1)
    close = _overlapping(boxes.astype(np.float32), threshold)
    alive = scores > NONE
    for place in range(filled - 1):
        alive[:, place + 1 :] &= ~(close[:, place, place + 1 :] & alive[:, place, None])
    scores = np.where(alive, scores, NONE)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :keep]
    return Candidates(np.take_along_axis(boxes, order[:, :, None], axis=1), np.take_along_axis(scores, order, axis=1))


def _overlapping(boxes: NDArray[np.float32], threshold: float) -> NDArray[np.bool_]:
    """Return (b, k, k): whether the intersection over union of two boxes is more than a threshold."""
    x0, y0, x1, y1 = np.moveaxis(boxes, 2, 0)
    areas = (x1 - x0) * (y1 - y0)
    wide = np.minimum(x1[:, :, None], x1[:, None]) - np.maximum(x0[:, :, None], x0[:, None])
    high = np.minimum(y1[:, :, None], y1[:, None]) - np.maximum(y0[:, :, None], y0[:, None])
    common = np.maximum(wide, 0) * np.maximum(high, 0)
    return np.asarray(common > threshold * (areas[:, :, None] + areas[:, None] - common))


def suppress_nested(boxes: Floats, scores: Floats, threshold: float) -> NDArray[np.intp]:
    """Return the rows of a handful of boxes (n, 4) of which less than a threshold lies in a better one, best first."""
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
