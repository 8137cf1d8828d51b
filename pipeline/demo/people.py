"""People who do not exist: the shape of a face, its colours and its hair, drawn from a seed."""

from dataclasses import dataclass, fields
from typing import Final

import cv2
import numpy as np

from pipeline.demo.portrait import HAIR, LANDMARKS, Pixels, Points, read_portrait

_MIDDLE_X: Final = 224.0
_SKINS: Final = ((236, 196, 172), (222, 176, 148), (198, 150, 118), (160, 114, 84), (120, 80, 58), (86, 58, 44))
_HAIRS: Final = ((28, 24, 24), (58, 40, 30), (92, 62, 38), (140, 100, 56), (190, 156, 98), (150, 70, 36), (150, 148, 146))


@dataclass(frozen=True, slots=True)
class Shape:
    """How a face differs from the portrait; 0 is the portrait, -1..1 the usual range."""

    width: float
    jaw: float
    chin: float
    eye_size: float
    eye_gap: float
    brow_height: float
    brow_tilt: float
    nose_width: float
    nose_length: float
    mouth_width: float
    lips: float
    hair: float


@dataclass(frozen=True, slots=True)
class Person:
    """One subject. Colours are RGB, 0..255."""

    name: str
    shape: Shape
    skin: tuple[int, int, int]
    hair: tuple[int, int, int]
    clothes: tuple[int, int, int]
    stubble: float  # 0 none .. 1 dark
    female: bool


def build_person(name: str, seed: int) -> Person:
    """Draw the person with this name; the same name and seed is the same person."""
    random = np.random.default_rng([seed, *name.encode()])
    shape = Shape(**{field.name: float(random.uniform(-1, 1)) for field in fields(Shape)})
    female = bool(random.random() < 0.5)
    return Person(
        name=name,
        shape=shape,
        skin=_vary(_SKINS[random.integers(len(_SKINS))], 8, random),
        hair=_vary(_HAIRS[random.integers(len(_HAIRS))], 10, random),
        clothes=_vary((120, 110, 110), 90, random),
        stubble=0.0 if female else float(random.choice([0.0, 0.3, 0.6])),
        female=female,
    )


def _vary(color: tuple[int, int, int], spread: int, random: np.random.Generator) -> tuple[int, int, int]:
    red, green, blue = np.clip(np.array(color) + random.integers(-spread, spread + 1, 3), 8, 247)
    return int(red), int(green), int(blue)


def shape_face(points: Points, shape: Shape) -> Points:
    """Return the 68 landmarks of a face at rest, (68, 2) portrait pixels, changed to the shape of a person."""
    face = points.copy()
    side = np.sign(face[:, 0] - _MIDDLE_X)
    jaw = np.array([0, 0.2, 0.5, 0.8, 1, 1, 0.8, 0.4, 0, 0.4, 0.8, 1, 1, 0.8, 0.5, 0.2, 0])
    face[0:17, 0] += side[0:17] * 4 * shape.jaw * jaw
    face[5:12, 1] += 5 * shape.chin * np.array([0.4, 0.8, 1, 1, 1, 0.8, 0.4])
    for eye in (slice(36, 42), slice(42, 48)):
        middle = face[eye].mean(0)
        face[eye] = middle + (face[eye] - middle) * (1 + 0.14 * shape.eye_size)
        face[eye, 0] += np.sign(middle[0] - _MIDDLE_X) * 1.8 * shape.eye_gap
    face[17:27, 1] += -2.2 * shape.brow_height - 1.3 * shape.brow_tilt * np.tile([-1, -0.5, 0, 0.5, 1], 2) * _tilt()
    face[31:36, 0] += (face[31:36, 0] - _MIDDLE_X) * 0.22 * shape.nose_width
    face[28:36, 1] += 2.5 * shape.nose_length * np.array([0.3, 0.6, 1, 1, 1, 1, 1, 1])
    mouth = face[48:68].mean(0)
    face[48:68, 0] += (face[48:68, 0] - mouth[0]) * 0.11 * shape.mouth_width
    face[48:60, 1] += (face[48:60, 1] - mouth[1]) * 0.22 * shape.lips
    face[48:68, 1] += 1.2 * shape.nose_length + 1.5 * shape.chin
    face[:, 0] += (face[:, 0] - _MIDDLE_X) * 0.07 * shape.width
    return face


def _tilt() -> Points:
    return np.repeat([1.0, -1.0], 5)


def shape_hair(shape: Shape) -> Points:
    """Return where the outline of the hair goes: fuller or flatter."""
    middle = LANDMARKS[27]
    return middle + (HAIR - middle) * (1 + 0.07 * shape.hair)


def build_texture(person: Person, *, smooth: bool) -> Pixels:
    """Return the portrait in the colours of a person, (H, W, 4) RGB and the mask of the person.

    Args:
        person: whose colours.
        smooth: without the folds that the portrait's smile has.
    """
    portrait = read_portrait()
    color = (portrait.smooth if smooth else portrait.color).astype(np.float32)
    skin, hair, all_of = (mask[..., None] / np.float32(255) for mask in (portrait.skin, portrait.hair, portrait.person))
    luma = color @ np.float32([0.299, 0.587, 0.114])
    toned = color * (np.array(person.skin, np.float32) / np.float32((222, 180, 152)))
    if person.stubble:
        toned *= 1 - 0.45 * person.stubble * _beard()[..., None]
    dyed = np.array(person.hair, np.float32) * (0.25 + luma[..., None] / 135)
    dressed = np.array(person.clothes, np.float32) * (0.15 + luma[..., None] / 150)
    rest = np.clip(all_of - skin - hair, 0, 1)
    mixed = toned * skin + dyed * hair + dressed * rest + color * (1 - skin - hair - rest)
    return np.dstack([np.clip(mixed, 0, 255).round().astype(np.uint8), portrait.person])


def _beard() -> Points:
    from pipeline.demo.portrait import draw, to_texture

    shape = read_portrait().person.shape
    jaw = np.vstack([LANDMARKS[2:15], [(252, 136), (236, 134), (224, 135), (212, 134), (196, 134)]])
    lips = draw((shape[0], shape[1]), to_texture(LANDMARKS[48:60]), soft_px=2.0) / 255.0
    area = draw((shape[0], shape[1]), to_texture(jaw), soft_px=8.0) / 255.0
    return np.asarray(cv2.multiply(area, 1 - lips), np.float32)
