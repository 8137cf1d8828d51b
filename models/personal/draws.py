"""Which faces of a person are the labelled ones, in one random draw, and which ones are tested."""

from dataclasses import dataclass

import numpy as np

from models.personal.anchored import Ints
from models.personal.people import Person


@dataclass(frozen=True, slots=True)
class Draw:
    """Shots in their order, so that the first K are those of K shots, and the faces to test, the same for every K."""

    shots: Ints
    tested: Ints


def draw_faces(person: Person, shots: int, similarity: float, random: np.random.Generator) -> Draw:
    """Draw the labelled faces of a person.

    They are drawn by class in turn, each time in another order of the classes; for values alone, by the four quarters
    that the person's own medians make. So the first K are spread as widely as K can be. Faces that look like
    one of the shots, as the frames of a moment do, are not tested.

    Args:
        person: the faces.
        shots: how many are labelled.
        similarity: lowest correlation of two faces that are taken for one moment.
        random: of the draw.
    """
    kinds = person.labels if person.classes else _quarters(person)
    waiting = {kind: random.permutation(np.flatnonzero(kinds == kind)).tolist() for kind in np.unique(kinds).tolist()}
    chosen: list[int] = []
    while len(chosen) < shots and any(waiting.values()):
        for kind in random.permutation(list(waiting)).tolist():
            if waiting[kind] and len(chosen) < shots:
                chosen.append(waiting[kind].pop())
    known = np.array(chosen, np.int64)
    return Draw(known, np.flatnonzero(~person.copies_of(known, similarity)))


def _quarters(person: Person) -> Ints:
    """Return (N,) which quarter of the person's own faces each is in, by the medians of its annotated values."""
    quarter = np.zeros(len(person), np.int64)
    for column in person.affect[:, :2].T:
        if not np.isnan(column).all():
            quarter = 2 * quarter + (column > np.nanmedian(column))
    return quarter


def shot_counts(shots: int) -> list[int]:
    """Return the numbers of shots on the curve: 1, 2, 4 … and `shots` itself."""
    return sorted({*(2**power for power in range(shots.bit_length()) if 2**power <= shots), shots})
