"""Casting: which person shows which expression, how strongly, and where in the picture."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.core.emotions import Emotion
from pipeline.demo.expressions import EXPRESSIONS, Units
from pipeline.demo.people import Person
from pipeline.demo.scene import Figure


@dataclass(frozen=True)
class Role:
    """An expression as one person shows it once."""

    emotion: Emotion
    units: Units
    valence: float
    arousal: float


def draw_role(emotion: Emotion, random: np.random.Generator, *, weakest: float = 0.75) -> Role:
    """Draw how strongly an expression is shown; its valence and arousal follow its strength."""
    expression = EXPRESSIONS[emotion]
    strength = float(random.uniform(weakest, 1.1))
    units = {
        unit: round(value * strength * float(random.uniform(0.85, 1.15)), 3) for unit, value in expression.units.items()
    }
    if emotion is Emotion.neutral:
        units = {unit: round(float(random.uniform(0, 0.08)), 3) for unit in ("1", "2", "7", "25")}
    valence, arousal = (
        round(float(np.clip(value * strength + random.normal(0, 0.05), -1, 1)), 4)
        for value in (expression.valence, expression.arousal)
    )
    return Role(emotion, units, valence, arousal)


def deal(weights: dict[Emotion, float], count: int, random: np.random.Generator) -> list[Emotion]:
    """Return `count` emotions in random order, distributed by weight; each at least once."""
    shares = np.array([weights[emotion] for emotion in weights])
    shares = shares / shares.sum() * count
    counts = np.maximum(np.floor(shares).astype(int), 1)
    for index in np.argsort(-(shares - counts), kind="stable")[: max(0, count - int(counts.sum()))]:
        counts[index] += 1
    dealt = [emotion for emotion, number in zip(weights, counts, strict=True) for _ in range(number)]
    return [dealt[index] for index in random.permutation(len(dealt))]


def pose(
    person: Person, units: Units, size: tuple[int, int], random: np.random.Generator, *, eyes_share: tuple[float, float]
) -> Figure:
    """Place a person near the middle of a picture, turned up to 30 degrees.

    Args:
        person: who.
        units: what the face shows.
        size: width and height of the picture in pixels.
        random: where chance comes from.
        eyes_share: bounds of the distance between the eyes, as a share of the picture's shorter side.
    """
    width, height = size
    eyes_px = float(random.uniform(*eyes_share)) * min(size)
    upright = random.random() < 0.5
    return Figure(
        person=person,
        units=units,
        eyes_px=eyes_px,
        middle=(width * float(random.uniform(0.46, 0.54)), height * float(random.uniform(0.48, 0.56))),
        roll_deg=float(random.uniform(-8, 8) if upright else random.uniform(-30, 30)),
        yaw_deg=float(random.uniform(-14, 14)),
    )


def cast(people: Sequence[Person], count: int) -> list[Person]:
    """Return `count` people, each equally often, sorted so that a process renders one person after the other."""
    return [people[index * len(people) // count] for index in range(count)]
