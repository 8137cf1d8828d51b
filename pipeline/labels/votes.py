"""What FER+'s authors make of ten people's votes for one picture.

Barsoum, Zhang, Canton Ferrer, Zhang: Training Deep Networks for Facial Expression Recognition with Crowd-Sourced Label
Distribution, ICMI 2016, section 3, and the training code that they published with it. A name that one person alone
chose is taken for a slip and dropped in both.
"""

from collections.abc import Sequence
from typing import Final

_ENOUGH: Final = 0.75  # names are taken until they have this share of the votes ...
_MOST_NAMES: Final = 3  # ... or there are so many of them
_HALF: Final = 0.5


def majority(votes: Sequence[float]) -> int | None:
    """Return the place of the name with more than half of the votes, single votes dropped; None where none has."""
    left = _without_slips(votes)
    best = max(range(len(left)), key=lambda place: left[place])
    return best if left[best] > _HALF * sum(left) else None


def probability(votes: Sequence[float], none: Sequence[bool]) -> list[float] | None:
    """Return the votes that count towards the distribution of a picture.

    Names are taken from the most votes downwards, level ones together, until they have three quarters of the votes or
    there are three. A name that is no class ends it: alone at the top it is the answer, behind others it is dropped.

    Args:
        votes: of each name, in the dataset's order.
        none: whether the name is none of the classes ("unknown", "not a face").

    Returns:
        A vote for each name, 0 where it does not count; None where the names taken have no more than half of the votes
        or are more than three.
    """
    left = _without_slips(votes)
    total, taken = sum(left), [0.0] * len(left)
    names, seen, ended = 0, 0.0, False
    while seen < _ENOUGH * total and names < _MOST_NAMES and not ended:
        top = max(left)
        for place in (place for place, vote in enumerate(left) if vote == top):
            seen, left[place] = seen + top, 0.0
            if none[place]:
                ended = True
                if any(taken):
                    break
            taken[place], names = top, names + 1
            if ended:
                break
    return taken if sum(taken) > _HALF * total and names <= _MOST_NAMES else None


def _without_slips(votes: Sequence[float]) -> list[float]:
    return [vote if vote > 1 else 0.0 for vote in votes]
