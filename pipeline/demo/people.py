"""Invented people: the shape of a face, its colours and its hair, drawn from a seed."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Final

import numpy as np

from pipeline.demo.portrait import HAIR, LANDMARKS, Points

Color = tuple[int, int, int]  # RGB, 0..255

_MIDDLE_X: Final = 224.0
_SKINS: Final[Sequence[Color]] = (
    (214, 178, 156),
    (206, 170, 140),
    (192, 152, 124),
    (176, 134, 106),
    (158, 116, 90),
    (142, 102, 80),
)
_HAIRS: Final[Sequence[Color]] = (
    (30, 26, 26),
    (56, 40, 32),
    (88, 62, 42),
    (124, 92, 58),
    (172, 142, 94),
    (128, 66, 40),
    (138, 136, 134),
)
_CLOTHES: Final[Sequence[Color]] = (
    (52, 60, 84),
    (120, 44, 44),
    (60, 88, 66),
    (150, 140, 122),
    (70, 70, 74),
    (150, 96, 52),
    (92, 76, 112),
)


@dataclass(frozen=True, slots=True)
class Shape:
    """How a face differs from the portrait; 0 is the portrait, -1..1 the usual range."""

    width: float = 0
    jaw: float = 0
    chin: float = 0
    eye_size: float = 0
    eye_gap: float = 0
    brow_height: float = 0
    brow_tilt: float = 0
    nose_width: float = 0
    nose_length: float = 0
    mouth_width: float = 0
    lips: float = 0
    hair: float = 0


@dataclass(frozen=True, slots=True)
class Person:
    """One subject."""

    name: str
    shape: Shape
    skin: Color
    hair: Color
    clothes: Color
    brows: float  # 0 thin and light as in the portrait .. 1 thick and dark
    stubble: float  # 0 none .. 1 dark
    female: bool


def build_person(name: str, seed: int) -> Person:
    """Draw the person with this name; the same name and seed always give the same person."""
    random = np.random.default_rng([seed, *name.encode()])
    shape = Shape(**{field.name: float(random.uniform(-1, 1)) for field in fields(Shape)})
    female = bool(random.random() < 0.5)
    return Person(
        name=name,
        shape=shape,
        skin=_vary(_SKINS, random),
        hair=_vary(_HAIRS, random),
        clothes=_vary(_CLOTHES, random),
        brows=float(random.uniform(0.1, 0.6) if female else random.uniform(0.5, 1.0)),
        stubble=0.0 if female else float(random.choice([0.0, 0.4, 0.8])),
        female=female,
    )


def _vary(colors: Sequence[Color], random: np.random.Generator) -> Color:
    """Choose a colour and make it lighter or darker without changing its hue, so that skin remains plausible."""
    level = float(random.uniform(0.92, 1.06))
    red, green, blue = (min(round(value * level), 250) for value in colors[int(random.integers(len(colors)))])
    return red, green, blue


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
    face[17:27, 1] -= 2.2 * shape.brow_height + 1.4 * shape.brow_tilt * _OUTER_BROW
    face[31:36, 0] += (face[31:36, 0] - _MIDDLE_X) * 0.22 * shape.nose_width
    face[28:36, 1] += 2.5 * shape.nose_length * np.array([0.3, 0.6, 1, 1, 1, 1, 1, 1])
    _shape_mouth(face, shape)
    face[:, 0] += (face[:, 0] - _MIDDLE_X) * 0.07 * shape.width
    return face


# From -1 at the inner end of a brow to 1 at its outer end, landmarks 17 to 26.
_OUTER_BROW: Final = np.array([1, 0.5, 0, -0.5, -1, -1, -0.5, 0, 0.5, 1])


def _shape_mouth(face: Points, shape: Shape) -> None:
    middle = face[48:68].mean(0)
    face[48:68, 0] += (face[48:68, 0] - middle[0]) * 0.11 * shape.mouth_width
    face[48:60, 1] += (face[48:60, 1] - middle[1]) * 0.22 * shape.lips
    face[48:68, 1] += 1.2 * shape.nose_length + 1.5 * shape.chin


def shape_hair(shape: Shape) -> Points:
    """Return the new outline of the hair, fuller or flatter, in portrait pixels."""
    middle = LANDMARKS[27]
    return np.asarray(middle + (HAIR - middle) * (1 + 0.07 * shape.hair))
