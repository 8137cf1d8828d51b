"""Features of where things are: dlib's descriptor, and distances between the points of the face.

Descriptor: dlib's ResNet, 128 numbers a face. Points: dlib's 68 (Kazemi and Sullivan 2014), whose model was trained on
iBUG 300-W, which is free for research only.
"""

from functools import cache
from typing import Any, ClassVar, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from models.classical.features import Feature, Lbp, Pixels
from models.classical.fitted import Floats
from pipeline.align.detectors.dlib_hog import model_file

_CHIP_PX: Final = 150  # the side that dlib's network reads
_CHIP_PADDING: Final = 0.25  # dlib's own default
# The box of the face in an aligned crop with its margin, as shares of the side.
_FACE_IN_CROP: Final = (0.25, 0.3, 0.75, 0.8)
_INNER: Final = slice(17, 68)  # brows, nose, eyes and mouth; the first 17 points are the jaw
_EYES: Final = (slice(36, 42), slice(42, 48))


class Descriptor(Feature):
    """dlib's face descriptor."""

    size_px: ClassVar[int] = 2 * _CHIP_PX  # large enough for dlib's own alignment and crop
    channels: ClassVar[int] = 3
    whole_crop: ClassVar[bool] = True

    def measure(self, face: Pixels) -> Floats:
        """Return 128 numbers; the landmarks are searched in the middle of the crop."""
        import dlib

        points, network = (
            _dlib_model("shape_predictor_5_face_landmarks.dat"),
            _dlib_model("dlib_face_recognition_resnet_model_v1.dat"),
        )
        chip = dlib.get_face_chip(face, points(face, _box(face)), _CHIP_PX, _CHIP_PADDING)
        return np.asarray(network.compute_face_descriptor(chip), np.float64)


class Landmarks(Feature):
    """Distances and directions between 51 points of brows, nose, eyes and mouth."""

    size_px: ClassVar[int] = 224
    whole_crop: ClassVar[bool] = True

    def measure(self, face: Pixels) -> Floats:
        """Return each pair's distance, in distances between the eyes, and the cosine and sine of its direction."""
        return measure_points(locate_points(face))


class Fusion(Feature):
    """Geometry and texture: `Landmarks` and `Lbp`, one after the other."""

    size_px: ClassVar[int] = Landmarks.size_px
    whole_crop: ClassVar[bool] = True

    def measure(self, face: Pixels) -> Floats:
        """Return both; the texture is that of the face at half its side."""
        small = cv2.resize(face, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        return np.concatenate([Landmarks().measure(face), Lbp().measure(np.asarray(small, np.uint8))])


def locate_points(face: Pixels) -> NDArray[np.float64]:
    """Return dlib's 68 points (68, 2) of a face (S, S) in an aligned crop, in pixels."""
    found = _dlib_model("shape_predictor_68_face_landmarks.dat")(face, _box(face))
    return np.array([(point.x, point.y) for point in found.parts()], np.float64)


def measure_points(points: NDArray[np.float64]) -> Floats:
    """Return the distances and directions of all pairs of the 51 inner points.

    Args:
        points: (68, 2), in iBUG's order.

    Returns:
        (3825,) 1,275 distances in units of that between the centres of the eyes, then cosines, then sines of the
        directions, relative to the line through the eyes; 1 and 0 for two points at one place.
    """
    left, right = (points[eye].mean(0) for eye in _EYES)
    across = complex(*(right - left)) or 1
    plane = (points[_INNER] @ (1, 1j)) / across
    first, second = np.triu_indices(len(plane), 1)
    apart = plane[second] - plane[first]
    length = np.abs(apart)
    direction = np.where(length > 0, apart / np.maximum(length, 1e-12), 1)
    return np.concatenate([length, direction.real, direction.imag])


def _box(face: Pixels) -> Any:
    import dlib

    return dlib.rectangle(*(round(face.shape[0] * share) for share in _FACE_IN_CROP))


@cache
def _dlib_model(name: str) -> Any:
    import dlib

    load = dlib.face_recognition_model_v1 if "resnet" in name else dlib.shape_predictor
    return load(str(model_file(name)))
