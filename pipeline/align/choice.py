"""Choose the face that a sample is about when a detector returns several."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.align.detectors.detector import Faces, Floats, Hint
from pipeline.geometry.similarity import box_sizes, overlaps

# Intersection over union with the annotated box. The limit is low because detectors and annotators draw boxes of
# different tightness around the same face; below it, the detection is taken for another person.
_SAME_FACE_IOU: Final = 0.15
# In a body box, the centre of the face must lie within this share of its height, measured from the top.
HEAD_SHARE: Final = 0.55


@dataclass(frozen=True, slots=True)
class Choice:
    """The chosen face.

    `row` is its index among the detected faces, `box_iou` its intersection over union (0..1) with the annotated box, or
    None without a box, and `others` the number of faces that were not chosen.
    """

    row: int
    box_iou: float | None
    others: int


def choose(faces: Faces, hint: Hint | None) -> Choice | None:
    """Return the face that a sample is about, or None if no face fits.

    Without a hint, it is the largest face. With a face box, it is the face that overlaps the box most, if they overlap
    by at least 0.15. With a body box, it is the largest face whose centre lies in the upper part of the body and which
    is at most 1.2 times as wide as the body. With a point, it is the smallest face whose box holds the point.

    Args:
        faces: the faces of one picture.
        hint: the box or point, in pixels of the same picture.
    """
    if not len(faces):
        return None
    if hint is None:
        return Choice(int(np.argmax(box_sizes(faces.boxes))), None, len(faces) - 1)
    if hint.kind == "point":
        return _choose_at(faces, hint.box[:2])
    iou = overlaps(faces.boxes, hint.box)
    # By overlap for a face box, by size for a body box: a face covers too little of a body for the overlap to say much.
    ranks = (
        iou.copy() if hint.kind == "face" else np.where(_in_head(faces.boxes, hint.box), box_sizes(faces.boxes), 0.0)
    )
    if hint.kind == "face":
        ranks[iou < _SAME_FACE_IOU] = 0
    row = int(np.argmax(ranks))
    return Choice(row, float(iou[row]), len(faces) - 1) if ranks[row] > 0 else None


def _choose_at(faces: Faces, point: Floats) -> Choice | None:
    holding: NDArray[np.bool_] = np.all((faces.boxes[:, :2] <= point) & (point <= faces.boxes[:, 2:]), axis=1)
    row = int(np.argmin(np.where(holding, box_sizes(faces.boxes), np.inf)))
    return Choice(row, None, len(faces) - 1) if holding[row] else None


def _in_head(boxes: Floats, body: Floats) -> NDArray[np.bool_]:
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    low, high = body[:2], np.array([body[2], body[1] + HEAD_SHARE * (body[3] - body[1])])
    # A face that is much wider than the body belongs to somebody else, or is on a poster behind the person.
    inside = ((centres >= low) & (centres <= high)).all(axis=1)
    return np.asarray(inside & (boxes[:, 2] - boxes[:, 0] <= 1.2 * (body[2] - body[0])))
