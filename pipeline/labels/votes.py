"""The two label policies of FER+'s authors for the votes of ten people.

Barsoum, Zhang, Canton Ferrer, Zhang: Training Deep Networks for Facial Expression Recognition with Crowd-Sourced Label
Distribution, ICMI 2016, section 3, and the training code that they published with it. Both drop a name that only one
person chose, as a slip.
"""

from collections.abc import Sequence
from typing import Final

# Both thresholds are the authors'.
_ENOUGH: Final = 0.75  # names are taken until they have this share of the votes ...
_MOST_NAMES: Final = 3  # ... or until there are this many
_HALF: Final = 0.5


def majority(votes: Sequence[float]) -> int | None:
    """Return the index of the name with more than half of the votes, single votes dropped; None if there is none."""
    left = _without_slips(votes)
    best = max(range(len(left)), key=lambda place: left[place])
    return best if left[best] > _HALF * sum(left) else None


def probability(votes: Sequence[float], none: Sequence[bool]) -> list[float] | None:
    """Return the votes that count towards the distribution of a picture.

    Names are taken from the most votes downwards, tied ones together, until they have three quarters of the votes or
    there are three. A name that is not a class ends this: if it has the most votes it is the answer, otherwise it is
    dropped.

    Args:
        votes: the votes of each name, in the dataset's order.
        none: for each name, whether it is not a class ("unknown", "not a face").

    Returns:
        The votes of each name, 0 if it does not count; None if the names taken have at most half of the votes or are
        more than three.
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
