"""The whole picture as the face, upright: for releases whose pictures their authors cut out around a face.

No detector is asked, so no row is lost because a detector does not see a face that is blurred, covered or twisted with
sadness: FER2013 lost one sad face in seven that way.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np

from pipeline.align.detectors.detector import Faces, View
from pipeline.geometry.similarity import BOX_PLACES

_NO_SCORE: Final = 0.0


class Whole:
    """The largest square about the middle of a picture, the five points where they lie in MTCNN's boxes on the average.

    Only for pictures without an annotated box. The score is 0: nobody looked.
    """

    name = "whole"

    def detect(self, views: Sequence[View]) -> list[Faces]:
        """Return one face of each view."""
        return [Faces.none() if view.hint is not None else _middle(*view.pixels.shape[:2]) for view in views]


def _middle(height: int, width: int) -> Faces:
    side = min(height, width)
    corner = np.array([(width - side) / 2, (height - side) / 2]) - 0.5
    box = np.concatenate([corner, corner + side])
    return Faces(box[None], np.array([_NO_SCORE]), (corner + BOX_PLACES * side)[None])
