"""The portrait in a person's colours, with the wrinkles of an expression.

Everything is integer arithmetic, so that the same bytes come out on every machine.
"""

from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.demo.expressions import Units
from pipeline.demo.people import Color, Person
from pipeline.demo.portrait import (
    LANDMARKS,
    TEXTURE_SCALE,
    Pixels,
    Points,
    blend,
    fill,
    read_portrait,
    to_texture,
)
from pipeline.demo.warp import Mask

Line = Sequence[tuple[float, float]]

_MEAN_SKIN: Final = (198, 167, 142)  # of the portrait
_MEAN_LUMA: Final = 97  # of its hair
_LIPS_SKIN: Final = [(252, 136), (236, 134), (224, 135), (212, 134), (196, 134)]
# What an action unit wrinkles, in portrait pixels: lines at the left of the picture, lines at the right.
_WRINKLES: Final[Mapping[str, tuple[Sequence[Line], Sequence[Line]]]] = {
    "4": ([[(221.5, 87.5), (220.2, 92), (220.6, 97)]], [[(229, 88), (230.2, 92.5), (229.6, 97)]]),
    "9": (
        [[(217.5, 99.5), (221, 101), (225, 101.3)], [(217, 103.5), (221, 105), (225, 105.2)],
         [(213.5, 117), (210.5, 123), (205, 128.5)]],
        [[(225, 101.3), (229, 101.4), (232.5, 100.5)], [(225, 105.2), (229, 105.4), (233, 104.5)],
         [(235.5, 118), (239, 124), (244.5, 129.5)]],
    ),
    "1": ([[(205, 84.6), (213, 83.2), (224, 84)]], [[(224, 84), (236, 85.6), (247, 88.6)]]),
    "6": (
        [[(189.5, 100), (185, 97.5)], [(189.5, 102.5), (184.5, 102.8)], [(190, 105), (185.5, 107.5)]],
        [[(261, 103), (265.5, 101)], [(261, 105.4), (266, 106)], [(260.5, 107.6), (264.5, 110.5)]],
    ),
    "14": ([[(199, 135), (197.6, 139.5), (198.6, 144)]], [[(248.6, 136), (250.2, 140.5), (249.2, 145)]]),
    "15": ([[(201.5, 141.5), (199.2, 147), (199.6, 152)]], [[(247, 143), (249.6, 148), (249, 153.5)]]),
    "17": ([[(216.5, 166.5), (220, 164.6), (223, 164.4)]], [[(223, 164.4), (226, 164.6), (229.5, 166.5)]]),
}  # fmt: skip
# Where expressions change the texture, in portrait pixels: x0, y0, x1, y1.
_FACE: Final = (176, 76, 280, 184)
_MIDDLE_X: Final = 224
_FAINT: Final = 0.05  # action units below it wrinkle nothing
_SHADE: Final = (140, 115, 105)  # skin in a wrinkle keeps this many 256ths of its red, green and blue


def build_mask(person: Person, units: Units, *, small: bool) -> Mask:
    """Return the look of a person who shows these action units.

    Args:
        person: whose look.
        units: action units, which wrinkle the skin.
        small: at half the size, for faces that are rendered small.
    """
    texture = _texture(person).copy()
    _face(texture)[..., :3] = _wrinkle(_fold(person, units), units)
    teeth = read_portrait().teeth
    if small:
        return Mask(_halve(texture), _halve(teeth), TEXTURE_SCALE / 2)
    return Mask(texture, teeth, TEXTURE_SCALE)


def _face(pixels: Pixels) -> Pixels:
    """Return the part of a texture that expressions change, as a view."""
    (x0, y0), (x1, y1) = to_texture(np.array(_FACE, np.float64).reshape(2, 2)).astype(int)
    return pixels[y0:y1, x0:x1]


def _halve(pixels: Pixels) -> Pixels:
    return np.asarray(cv2.resize(pixels, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), np.uint8)


@lru_cache(maxsize=6)
def _texture(person: Person) -> Pixels:
    """Return the portrait without its smile's folds, in a person's colours, (H, W, 4); the last is the outline."""
    portrait = read_portrait()
    layers = (
        (_tone(portrait.smooth, person.skin), portrait.skin),
        (_dye(portrait.luma, person.hair, 0.2, 0.8 / _MEAN_LUMA), portrait.hair),
        (_dye(portrait.luma, person.clothes, 0.1, 1 / 105), portrait.clothes),
    )
    rest = 255 - portrait.skin - portrait.hair - portrait.clothes
    total = portrait.smooth * rest[..., None].astype(np.uint16)
    for pixels, share in layers:
        total += pixels * share[..., None].astype(np.uint16)
    texture = np.dstack([((total + 127) // 255).astype(np.uint8), portrait.person])
    _groom(_face(texture)[..., :3], person)
    return texture


def _groom(face: Pixels, person: Person) -> None:
    """Darken brows and beard in place."""
    shadow = np.asarray(face // 2 + np.array((6, 6, 8), np.uint8), np.uint8)
    face[:] = blend(shadow, face, _scale(_face(_beard()), 0.75 * person.stubble))
    brow = np.array([value * 0.55 + 8 for value in person.hair], np.uint8)
    face[:] = blend(np.broadcast_to(brow, face.shape), face, _scale(_face(_brows()), 0.85 * person.brows))


def _tone(pixels: Pixels, skin: Color) -> Pixels:
    """Return the pixels recoloured so that the portrait's mean skin gets another colour."""
    values = np.arange(256)
    tables = [np.clip(values * to // of, 0, 255) for to, of in zip(skin, _MEAN_SKIN, strict=True)]
    return np.asarray(cv2.LUT(pixels, np.stack(tables, -1).astype(np.uint8)[:, None]), np.uint8)


def _dye(luma: Pixels, color: Color, floor: float, gain: float) -> Pixels:
    values = floor + np.arange(256) * gain
    table = np.clip(np.round(values[:, None] * np.array(color)), 0, 255).astype(np.uint8)
    return np.asarray(cv2.LUT(cv2.merge([luma, luma, luma]), table[:, None]), np.uint8)


def _scale(share: Pixels, factor: float) -> Pixels:
    return np.asarray(share.astype(np.uint16) * round(factor * 256) >> 8, np.uint8)


@cache
def _beard() -> Pixels:
    area = fill(np.vstack([LANDMARKS[3:14], _LIPS_SKIN]), soft_px=9.0)
    return area - np.minimum(area, fill(LANDMARKS[48:60], soft_px=2.0))


@cache
def _brows() -> Pixels:
    return _draw([LANDMARKS[17:22], LANDMARKS[22:27]], width=5, soft_px=1.6)


def _draw(lines: Sequence[Points | Line], *, width: int, soft_px: float) -> Pixels:
    mask = np.zeros(read_portrait().person.shape, np.uint8)
    for line in lines:
        corners = np.round(to_texture(np.array(line, np.float64)) * 16).astype(np.int32)
        cv2.polylines(mask, [corners], isClosed=False, color=255, thickness=width, lineType=cv2.LINE_AA, shift=4)
    return np.asarray(cv2.GaussianBlur(mask, (0, 0), soft_px), np.uint8)


def _sides(units: Units, name: str) -> tuple[float, float]:
    both = units.get(name, 0.0)
    return min(both + units.get(f"{name}L", 0.0), 1.0), min(both + units.get(f"{name}R", 0.0), 1.0)


def _fold(person: Person, units: Units) -> Pixels:
    """Return the face with the folds of a smile, on each side as strong as the corner of the mouth is pulled."""
    face = _face(_texture(person))[..., :3]
    pulled = _sides(units, "12")
    if max(pulled) == 0:
        return face
    # The folds darken the person's skin as much as they darken the portrait's.
    folded = np.minimum((face * _folds()) >> 8, 255).astype(np.uint8)
    share = np.empty(face.shape[:2], np.uint8)
    middle = (_MIDDLE_X - _FACE[0]) * TEXTURE_SCALE
    share[:, :middle], share[:, middle:] = (round(255 * side) for side in pulled)
    return blend(folded, face, share)


@cache
def _folds() -> NDArray[np.uint32]:
    portrait = read_portrait()
    return (_face(portrait.smile).astype(np.uint32) * 256) // np.maximum(_face(portrait.smooth), 1)


def _wrinkle(face: Pixels, units: Units) -> Pixels:
    """Return the face with its skin darkened along the wrinkles of the action units."""
    dark = np.zeros(face.shape[:2], np.uint16)
    for name in _WRINKLES:
        for share, mask in zip(_sides(units, name), _wrinkles(name), strict=True):
            if share > _FAINT:
                dark += mask * round(share * 128) >> 8
    if not dark.any():
        return face
    shade = (face * np.array(_SHADE, np.uint16)) >> 8
    return blend(shade.astype(np.uint8), face, np.minimum(dark, 200).astype(np.uint8))


@cache
def _wrinkles(name: str) -> tuple[NDArray[np.uint16], NDArray[np.uint16]]:
    left, right = (_face(_draw(lines, width=3, soft_px=2.0)).astype(np.uint16) for lines in _WRINKLES[name])
    return left, right
