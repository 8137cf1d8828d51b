"""dlib's HOG detector (King 2015, after Dalal and Triggs 2005), with dlib's five-point landmarks.

Its five points are the corners of both eyes and the base of the nose; ours are the eyes' centres, the tip of the nose
and the corners of the mouth. The similarity that brings dlib's three to the same three of the template brings the
template's mouth to the picture. That is a guess, off by twice as much as a measured mouth (benchmarks/align.md);
`align.refine` measures it.
"""

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import cv2
import dlib
import numpy as np

from pipeline.align.detectors.detector import Faces, Floats, Pixels, View, as_rgb
from pipeline.core.errors import ModelError
from pipeline.geometry.similarity import TEMPLATE, fit_similarity, invert_similarity, transform_points

# HOG finds faces of 80 px and more. At this size that is a fifth of the picture, and one takes some 10 ms; as the last
# resort it costs little then, and what it finds beyond MTCNN are large faces that something covers.
_LONGEST_PX: Final = 400
_ENLARGED: Final = 2.0  # at most: a smaller picture has nothing more to show
# A score of dlib is a distance to a plane, mostly between -1 and 3; this makes a share of it.
_STEEPNESS: Final = 2.0
# The base of the nose in the template's frame: below the tip by this share of the distance between eyes and mouth.
_NOSE_BASE_BELOW_TIP: Final = 0.2


class DlibHog:
    """Upright, frontal faces of a fifth of the picture and more; no network."""

    name = "dlib-hog"

    def __init__(self) -> None:
        self._find = dlib.get_frontal_face_detector()
        self._points = dlib.shape_predictor(str(model_file("shape_predictor_5_face_landmarks.dat")))

    def detect(self, views: Sequence[View]) -> list[Faces]:
        """Return the faces of each view."""
        return [self._detect(as_rgb(view.pixels)) for view in views]

    def _detect(self, pixels: Pixels) -> Faces:
        sized, scale = resize_to(pixels, _LONGEST_PX, _ENLARGED)
        found, distances, _ = self._find.run(sized, 0, 0.0)
        scores = 1 / (1 + np.exp(-_STEEPNESS * np.asarray(distances)))
        return dlib_faces(sized, found, scores, self._points, scale)


def model_file(name: str) -> Path:
    """Return the path of a file that face_recognition_models ships; the package itself is not imported.

    Raises:
        ModelError: the package is not installed.
    """
    spec = importlib.util.find_spec("face_recognition_models")
    if spec is None or spec.origin is None:
        raise ModelError("face-recognition-models is not installed; it brings dlib's weights")
    return Path(spec.origin).parent / "models" / name


def resize_to(pixels: Pixels, longest_px: int, enlarged: float = 1.0) -> tuple[Pixels, float]:
    """Return the picture with its longer side at most this long, enlarged by no more than told, and its scale."""
    scale = min(enlarged, longest_px / max(pixels.shape[:2]))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    size = max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale))
    return np.asarray(cv2.resize(pixels, size, interpolation=method), np.uint8), scale


def dlib_faces(pixels: Pixels, found: Sequence[Any], scores: Floats, predictor: Any, scale: float) -> Faces:
    """Return dlib's rectangles as faces, in pixels of the picture before it was scaled."""
    if not len(found):
        return Faces.none()
    boxes = np.array([[box.left(), box.top(), box.right() + 1, box.bottom() + 1] for box in found], float)
    shapes = [[(point.x, point.y) for point in predictor(pixels, box).parts()] for box in found]
    landmarks = np.stack([five_points(np.array(shape, float)) for shape in shapes])
    return Faces(boxes / scale, np.asarray(scores, float), (landmarks + 0.5) / scale - 0.5)


def five_points(given: Floats) -> Floats:
    """Return our five points from dlib's (5, 2): the corners of both eyes, then the base of the nose."""
    eyes = np.stack([given[[2, 3]].mean(axis=0), given[[0, 1]].mean(axis=0)])
    eyes = eyes[np.argsort(eyes[:, 0])]
    anchors = np.vstack([eyes, given[4]])
    base = TEMPLATE[2] + _NOSE_BASE_BELOW_TIP * (TEMPLATE[3:].mean(axis=0) - TEMPLATE[:2].mean(axis=0))
    to_template = fit_similarity(anchors[None], np.vstack([TEMPLATE[:2], base]))[0]
    points = transform_points(invert_similarity(to_template), TEMPLATE)
    points[:2] = eyes
    return points
