"""dlib's convolutional detector (King 2015, max-margin object detection): all poses, slow without a GPU."""

from collections.abc import Sequence
from typing import Final

import dlib
import numpy as np

from pipeline.align.detectors.detector import Faces, Pixels, View, as_rgb
from pipeline.align.detectors.dlib_hog import dlib_faces, model_file, resize_to

_LONGEST_PX: Final = 640  # its time grows with the area: a second a megapixel on one core


class DlibMmod:
    """Faces from about 80 px at 640 px, turned heads included; landmarks are dlib's five points."""

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
        # Its confidence is a margin, 0 at its own threshold and about 1 for a clear face.
        scores = np.clip([face.confidence for face in found], 0, 1)
        return dlib_faces(small, [face.rect for face in found], scores, self._points, scale)
