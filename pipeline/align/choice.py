"""Which of several faces is the one that a sample is about."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.align.detectors.detector import Faces, Floats, Hint
from pipeline.geometry.similarity import box_sizes, overlaps

# Detectors and annotators draw boxes of different tightness; less overlap than this is another face.
_SAME_FACE_IOU: Final = 0.15
# The part of a body box, from its top, in which the centre of the face is looked for.
HEAD_SHARE: Final = 0.55


@dataclass(frozen=True, slots=True)
class Choice:
    """The face that was taken: its row, its overlap with the annotated box if there is one, the count of others."""

    row: int
    box_iou: float | None
    others: int


def choose(faces: Faces, hint: Hint | None) -> Choice | None:
    """Return the face a sample is about: the one in its box, else the largest; None where no face fits.

    With a face box it is the face that overlaps it most. With a body box it is the largest whose centre lies in the
    upper part of the body, and which is not larger than the body is wide.
    """
    if not len(faces):
        return None
    if hint is None:
        return Choice(int(np.argmax(box_sizes(faces.boxes))), None, len(faces) - 1)
    iou = overlaps(faces.boxes, hint.box)
    ranks = (
        iou.copy() if hint.kind == "face" else np.where(_in_head(faces.boxes, hint.box), box_sizes(faces.boxes), 0.0)
    )
    if hint.kind == "face":
        ranks[iou < _SAME_FACE_IOU] = 0
    row = int(np.argmax(ranks))
    return Choice(row, float(iou[row]), len(faces) - 1) if ranks[row] > 0 else None


def _in_head(boxes: Floats, body: Floats) -> NDArray[np.bool_]:
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    low, high = body[:2], np.array([body[2], body[1] + HEAD_SHARE * (body[3] - body[1])])
    inside = ((centres >= low) & (centres <= high)).all(axis=1)
    return np.asarray(inside & (boxes[:, 2] - boxes[:, 0] <= 1.2 * (body[2] - body[0])))
