"""YuNet (Wu et al. 2023) in OpenCV's FaceDetectorYN, with a weights file that the user provides."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np

from pipeline.align.detectors.detector import Faces, Pixels, View, as_rgb
from pipeline.align.detectors.dlib_hog import resize_to
from pipeline.core.errors import ParamsError

_LONGEST_PX: Final = 640
# The least score is below OpenCV's default of 0.9; `select.min_score` can ask for more without detecting again.
_SCORE: Final = 0.6
# The next two are OpenCV's defaults.
_NMS: Final = 0.3
_TOP: Final = 5000


class YuNet:
    """Finds faces of about 10 px or more in a picture of 640 px, with their five landmarks.

    Raises:
        ParamsError: `align.yunet_file` is not set, is no file, or cannot be read by OpenCV.
    """

    name = "yunet"

    def __init__(self, file: str | None) -> None:
        if file is None or not Path(file).is_file():
            raise ParamsError(
                "params.yaml: align.yunet_file: the cascade has yunet, which needs the path of its .onnx file here, "
                f"not {file!r}"
            )
        try:
            self._find = cv2.FaceDetectorYN.create(file, "", (320, 320), _SCORE, _NMS, _TOP)
        except cv2.error as error:
            raise ParamsError(f"params.yaml: align.yunet_file: {file}: OpenCV cannot read it: {error.err}") from None

    def detect(self, views: Sequence[View]) -> list[Faces]:
        """Return the faces of each view."""
        return [self._detect(as_rgb(view.pixels)) for view in views]

    def _detect(self, pixels: Pixels) -> Faces:
        small, scale = resize_to(pixels, _LONGEST_PX)
        # The detector is made for one size, so it is told that of each picture.
        self._find.setInputSize((small.shape[1], small.shape[0]))
        # OpenCV expects blue, green, red.
        rows: Any = self._find.detect(np.ascontiguousarray(small[:, :, ::-1]))[1]
        if rows is None:
            return Faces.none()
        # A row is x, y, width, height, five points and the score. The person's right eye comes first, which is at the
        # left of the picture, as in our order.
        found = np.asarray(rows, float)
        boxes = np.concatenate([found[:, :2], found[:, :2] + found[:, 2:4]], axis=1) / scale
        return Faces(boxes, found[:, 14], (found[:, 4:14].reshape(-1, 5, 2) + 0.5) / scale - 0.5)
