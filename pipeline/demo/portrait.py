"""The only face of the demo: the NASA portrait that scikit-image ships, with landmarks placed by hand.

The portrait (``skimage.data.astronaut``, 512x512, public domain) is part of scikit-image's wheel, so nothing is
downloaded and no face is in this repository. The 68 points follow the iBUG order: 0-16 jaw, 17-26 brows, 27-35 nose,
36-47 eyes, 48-67 mouth. They were read from an enlarged view, in pixels of the portrait.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.core.errors import DataError

Pixels = NDArray[np.uint8]
Points = NDArray[np.float64]

# The landmarks are valid for exactly this picture, so another one is refused.
_SHA256: Final = "a8c429c18afa7b0fd5673e598d73a21225d94c864a71bbb3885126fdecb41071"
# The part of the portrait that is used: head, collar and shoulders. x0, y0, x1, y1 in pixels of the portrait.
CROP: Final = (20, 0, 370, 350)
# The textures are kept enlarged, so that a face may be rendered larger than it is in the portrait.
TEXTURE_SCALE: Final = 2

LANDMARKS: Final[Points] = np.array(
    [
        *((180, 104), (180, 116), (181, 127), (182.5, 138), (185.5, 150), (191, 160.5), (200, 169), (210, 176)),
        *((221, 178.7), (232, 177), (243, 172), (252, 164.5), (260, 154.5), (265.5, 143.5), (268.5, 131.5)),
        *((270.5, 120), (271.5, 108)),
        *((190, 90.8), (194.3, 88.7), (199, 87.7), (206, 89.9), (213.5, 92.8)),
        *((238.3, 93.3), (245.5, 92.6), (252, 92.2), (258.5, 93.2), (263, 95.7)),
        *((225, 103), (224.5, 111), (224.2, 119), (223.5, 128)),
        *((214, 130.5), (218.5, 132.3), (224, 133.7), (229.5, 132.6), (234.2, 130.8)),
        *((192.6, 101.1), (198.5, 97.2), (206.3, 98.2), (213.7, 103.6), (208, 104.6), (199.4, 103.9)),
        *((236.2, 105), (243, 100.8), (251, 99.3), (258.7, 103.6), (252.3, 106.8), (242.3, 106.8)),
        *((202.5, 139.3), (210, 140.1), (218.6, 140.4), (222.9, 141), (227.1, 140.4), (235.7, 140.9), (245.4, 140.7)),
        *((237.9, 149), (229, 153.8), (222.9, 155.1), (216, 154), (208.6, 149.4)),
        *((203.9, 140), (213.6, 142.3), (222.5, 143.8), (230.7, 143), (243.9, 141.2)),
        *((233, 147.6), (223, 149.6), (213, 148)),
    ]
)
INTEROCULAR_PX: Final = float(np.hypot(*(LANDMARKS[42:48].mean(0) - LANDMARKS[36:42].mean(0))))

# Where the warp follows the shape of the head, and where it is held.
HAIR: Final[Points] = np.array(
    [
        *((154, 70), (157, 98), (168, 117), (178, 42), (195, 23), (230, 15), (268, 28), (289, 47), (300, 75)),
        *((297, 100), (283, 122)),
    ],
    dtype=float,
)
HAIRLINE: Final[Points] = np.array([(188, 78), (206, 80), (225, 83), (248, 86), (264, 93)], dtype=float)
EARS: Final[Points] = np.array([(173, 126), (277, 134)], dtype=float)
CLOTHES: Final[Points] = np.array(
    [
        *((187, 183), (221, 191), (253, 186), (130, 168), (116, 200), (278, 186), (304, 225), (160, 262), (230, 272)),
        *((20, 0), (370, 0), (20, 350), (370, 350), (195, 350), (20, 175), (370, 175), (195, -30)),
    ],
    dtype=float,
)
_HEAD_OUTLINE: Final = (
    *((176, 119), (169, 117), (158, 104), (154, 88), (153, 68), (160, 55), (172, 45), (186, 38), (191, 28), (203, 22)),
    *((220, 17), (232, 15), (248, 18), (262, 24), (277, 33), (287, 42), (295, 60), (300, 80), (298, 97), (292, 112)),
    *((281, 126), (278, 133), (271, 137), (267, 138), (262, 152), (257, 160), (256, 174), (258, 190), (184, 190)),
    *((185, 160), (181, 140), (175, 132), (171, 124)),
)
_BODY_OUTLINE: Final = (
    *((186, 150), (165, 149), (142, 154), (126, 168), (118, 182), (112, 188), (112, 203), (98, 210), (72, 236)),
    *((52, 262), (42, 292), (30, 340), (28, 352), (366, 352), (362, 318), (354, 290), (342, 266), (322, 248)),
    *((307, 238), (303, 218), (294, 202), (278, 184), (256, 168), (230, 190), (190, 182)),
)


# What the smile of the portrait folds: beside the nose and the mouth, at the left and at the right.
_FOLDS: Final = (
    [(208, 121), (204, 127), (199, 133), (196.5, 139)],
    [(236.5, 121), (241, 127), (247, 134), (250, 139), (250, 142)],
)


@dataclass(frozen=True)
class Portrait:
    """The cropped portrait, enlarged. Masks are uint8, 0..255, and as large as it is."""

    smile: Pixels  # (H, W, 3) RGB, with the folds of the smile as photographed
    smooth: Pixels  # the same without them
    luma: Pixels  # of `smooth`
    teeth: Pixels  # (H, W, 3) RGB: what shows between the lips, dark elsewhere
    person: Pixels
    skin: Pixels  # skin, hair and clothes share out the person; the eyes belong to none
    hair: Pixels
    clothes: Pixels


def to_texture(positions: NDArray[Any], scale: float = TEXTURE_SCALE) -> NDArray[Any]:
    """Convert portrait pixels, (..., 2), to pixels of a texture with this many pixels per portrait pixel."""
    shift = np.array(CROP[:2], positions.dtype) - positions.dtype.type(0.5)
    return np.asarray((positions - shift) * positions.dtype.type(scale) - positions.dtype.type(0.5))


@cache
def read_portrait() -> Portrait:
    """Read the portrait and cut it into its parts.

    Raises:
        DataError: scikit-image ships another picture than the one the landmarks were placed on.
    """
    from skimage import data

    portrait: Callable[[], Pixels] = data.astronaut
    whole = np.ascontiguousarray(portrait())
    if hashlib.sha256(whole.tobytes()).hexdigest() != _SHA256:
        raise DataError("skimage.data.astronaut: not the portrait the demo was drawn for; install the locked release")
    x0, y0, x1, y1 = CROP
    crop = np.ascontiguousarray(whole[y0:y1, x0:x1])
    smile, smooth = _enlarge(crop), _enlarge(_without_folds(crop))
    luma = np.asarray(cv2.cvtColor(smooth, cv2.COLOR_RGB2GRAY), np.uint8)
    person = fill(np.array(_HEAD_OUTLINE), np.array(_BODY_OUTLINE), soft_px=1.6)
    skin = _skin(person)
    hair = _hair(skin)
    eyes = fill(LANDMARKS[36:42], LANDMARKS[42:48], soft_px=1.2)
    clothes = person - np.minimum(person, skin) - np.minimum(person - np.minimum(person, skin), hair)
    skin = skin - np.minimum(skin, eyes)
    return Portrait(smile, smooth, luma, _teeth(smile), person, skin, hair, clothes)


def fill(*outlines: Points, soft_px: float) -> Pixels:
    """Return the mask of polygons given in portrait pixels, as large as the textures and with a soft edge."""
    mask = np.zeros(((CROP[3] - CROP[1]) * TEXTURE_SCALE, (CROP[2] - CROP[0]) * TEXTURE_SCALE), np.uint8)
    for outline in outlines:
        corners = np.round(to_texture(outline.astype(np.float64)) * 16).astype(np.int32)
        cv2.fillPoly(mask, [corners], 255, cv2.LINE_AA, shift=4)
    return np.asarray(cv2.GaussianBlur(mask, (0, 0), soft_px), np.uint8)


def _enlarge(pixels: Pixels) -> Pixels:
    size = (pixels.shape[1] * TEXTURE_SCALE, pixels.shape[0] * TEXTURE_SCALE)
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_CUBIC), np.uint8)


def _without_folds(crop: Pixels) -> Pixels:
    mask = np.zeros(crop.shape[:2], np.uint8)
    for fold in _FOLDS:
        line = np.round((np.array(fold) - CROP[:2]) * 16).astype(np.int32)
        cv2.polylines(mask, [line], isClosed=False, color=255, thickness=4, lineType=cv2.LINE_AA, shift=4)
    filled = np.asarray(cv2.inpaint(crop, (mask > 40).astype(np.uint8), 5, cv2.INPAINT_TELEA), np.uint8)
    share = np.asarray(cv2.GaussianBlur(cv2.dilate(mask, np.ones((3, 3), np.uint8)), (0, 0), 1.5), np.uint8)
    return blend(np.asarray(cv2.GaussianBlur(filled, (0, 0), 2.5), np.uint8), filled, share)


def _skin(person: Pixels) -> Pixels:
    face = np.vstack([LANDMARKS[0:17], HAIRLINE[::-1] + np.array((0, 1))])
    neck = np.array([(185, 150), (187, 180), (200, 184), (221, 186), (238, 190), (254, 184), (257, 160), (262, 150)])
    left = np.array([(181, 118), (173, 118), (170, 124), (175, 133), (182, 138)])
    right = np.array([(269, 130), (281, 126), (279, 134), (272, 138), (266, 138)])
    return np.minimum(fill(face, neck, left, right, soft_px=2.5), person)


def _hair(skin: Pixels) -> Pixels:
    head = fill(np.array(_HEAD_OUTLINE), soft_px=1.6)
    head[(138 - CROP[1]) * TEXTURE_SCALE :] = 0
    return np.minimum(head, 255 - skin)


def _teeth(smile: Pixels) -> Pixels:
    inside = fill(LANDMARKS[60:68], soft_px=0.8)
    return blend(smile, np.full_like(smile, (48, 18, 18)), inside)


def blend(front: Pixels, back: Pixels, share: Pixels) -> Pixels:
    """Return `front` over `back`, (H, W, C) uint8, where `share` (H, W) uint8 says how much of `front` shows."""
    weight = share[..., None].astype(np.uint16)
    return np.asarray((front * weight + back * (255 - weight) + 127) // 255, np.uint8)
