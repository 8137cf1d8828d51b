"""Whether labels stand in another order than they should: seen in their counts, or in valence and arousal."""

import math
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

Counts = Mapping[str, int]

# A subset shows an order only where it has enough rows, and another order fits it well and the given one badly.
_MIN_ROWS: Final = 300
_MAX_MISFIT: Final = 0.02
_MIN_GAIN: Final = 60.0
# Rough places on the circumplex of affect, (valence, arousal) (Russell, 1980); far apart, but for the three of dislike.
_PLACES: Final[Mapping[str, tuple[float, float]]] = {
    "neutral": (0.0, 0.0),
    "happy": (0.65, 0.1),
    "sad": (-0.6, -0.25),
    "surprise": (0.2, 0.65),
    "fear": (-0.15, 0.75),
    "disgust": (-0.65, 0.45),
    "anger": (-0.45, 0.6),
    "contempt": (-0.55, 0.55),
}
_MIN_RATED: Final = 5
_NEAR: Final = 0.45
_FAR: Final = 0.6


def count_order(found: Counts, known: Counts) -> str | None:
    """Return how the labels of a dump are shuffled, judged by how many rows each has; None where they are not.

    Args:
        found: rows by label.
        known: those of the release, in the order of its codes.
    """
    if dict(found) == dict(known) or not set(found) <= set(known):
        return None
    by_count = {count: label for label, count in known.items()}
    if len(by_count) == len(known) and sorted(found.values()) == sorted(known.values()):
        return _describe({label: by_count[count] for label, count in found.items()}, list(known))
    return _subset_order(found, known)


def _subset_order(found: Counts, known: Counts) -> str | None:
    """Judge a part of a release by the shares of its classes: the likeliest assignment against the given one."""
    labels, total = list(known), sum(found.values())
    if total < _MIN_ROWS or len(labels) < 3:
        return None
    seen = np.array([found.get(label, 0) for label in labels]) / total
    release = np.array([known[label] for label in labels]) / sum(known.values())
    cost = -seen[:, None] * np.log(release)[None, :]
    places = _best(cost)
    entropy = -sum(share * math.log(share) for share in seen if share)
    misfit = float(cost[range(len(labels)), places].sum()) - entropy
    gain = total * (float(np.trace(cost)) - entropy - misfit)
    if misfit > _MAX_MISFIT or gain < _MIN_GAIN:
        return None
    return _describe({label: labels[place] for label, place in zip(labels, places, strict=True)}, labels)


def affect_order(affect: Mapping[str, Sequence[tuple[float, float]] | np.ndarray]) -> str | None:
    """Return how labels are shuffled, judged by the mean valence and arousal beside each; None where they are not.

    Args:
        affect: (valence, arousal) of the rows of each label, by its common name.
    """
    labels = [label for label in _PLACES if len(affect.get(label, ())) >= _MIN_RATED]
    if len(labels) < 3:
        return None
    means = np.array([np.mean(affect[label], axis=0) for label in labels])
    names, anchors = list(_PLACES), np.array(list(_PLACES.values()))
    distances = np.linalg.norm(means[:, None] - anchors[None, :], axis=2)
    places = _best(distances**2)
    better = distances[range(len(labels)), places]
    given = distances[range(len(labels)), [names.index(label) for label in labels]]
    if better.max() > _NEAR or given.max() < _FAR:
        return None
    order = {label: names[place] for label, place, far in zip(labels, places, given >= _FAR, strict=True) if far}
    return _describe(order, [])


def _best(cost: np.ndarray) -> list[int]:
    """Return the column of each row so that the sum is least."""
    from scipy.optimize import linear_sum_assignment

    return [int(column) for column in linear_sum_assignment(cost)[1]]


def _describe(order: Mapping[str, str], codes: Sequence[str]) -> str | None:
    """Say which label is in truth which; the order of the alphabet is the commonest."""
    moved = {label: true for label, true in order.items() if label != true}
    if not moved:
        return None
    text = ", ".join(f"{label!r} is {true}" for label, true in moved.items())
    alphabet = dict(zip(codes, sorted(codes), strict=True))
    if moved == {label: true for label, true in alphabet.items() if label != true}:
        return f"alphabetical codes ({text})"
    return text
