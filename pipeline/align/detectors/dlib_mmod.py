"""dlib's convolutional detector (King 2015, max-margin object detection). It finds all poses, and is slow on a CPU."""

from collections.abc import Sequence
from typing import Final

import dlib
import numpy as np

from pipeline.align.detectors.detector import Faces, Pixels, View, as_rgb
from pipeline.align.detectors.dlib_hog import dlib_faces, model_file, resize_to

_LONGEST_PX: Final = 640  # time grows with the area: one second per megapixel on one core


class DlibMmod:
    """Finds faces of about 80 px or more in a picture of 640 px, also on turned heads; landmarks as in `dlib_hog`."""

    name = "dlib-mmod"

    def __init__(self) -> None:
        self._find = dlib.cnn_face_detection_model_v1(str(model_file("mmod_human_face_detector.dat")))
        self._points = dlib.shape_predictor(str(model_file("shape_predictor_5_face_landmarks.dat")))

    def detect(self, views: Sequence[View]) -> list[Faces]:
        """Return the faces of each view."""
        return [self._detect(as_rgb(view.pixels)) for view in views]

    def _detect(self, pixels: Pixels) -> Faces:
        small, scale = resize_to(pixels, _LONGEST_PX)
        found = self._find(small, 0)
        # dlib's confidence is a margin: 0 at its own threshold and about 1 for a clear face, so clipping gives a score.
        scores = np.clip([face.confidence for face in found], 0, 1)
        return dlib_faces(small, [face.rect for face in found], scores, self._points, scale)
