"""Detecting labels in the wrong order, from their counts or from valence and arousal."""

import math
from collections.abc import Iterator, Mapping, Sequence, Set
from typing import Final

import numpy as np

Counts = Mapping[str, int]

# A subset shows an order only if it has enough rows, and another order fits well while the given one fits badly.
_MIN_ROWS: Final = 300
# The misfit is the Kullback-Leibler divergence of the shares from the release's, in nats; the gain is a log-likelihood
# ratio in nats, so 60 cannot be chance.
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
# Labels with fewer rated rows are ignored. A mean is near its place below one distance and far from it above the other;
# between them, nothing is decided.
_MIN_RATED: Final = 5
_NEAR: Final = 0.45
_FAR: Final = 0.6
# Other orders in which the field counts the classes, where AffectNet's was meant: the alphabet, with and without
# contempt, and the codes of FER2013 and ExpW, of FER+, of RAF-DB and of CK+.
_AFFECTNET: Final = ("neutral", "happy", "sad", "surprise", "fear", "disgust", "anger", "contempt")
_KNOWN_ORDERS: Final = (
    ("anger", "contempt", "disgust", "fear", "happy", "neutral", "sad", "surprise"),
    ("anger", "disgust", "fear", "happy", "neutral", "sad", "surprise"),
    ("anger", "disgust", "fear", "happy", "sad", "surprise", "neutral"),
    ("neutral", "happy", "surprise", "sad", "anger", "disgust", "fear", "contempt"),
    ("surprise", "fear", "disgust", "happy", "sad", "anger", "neutral"),
    ("neutral", "anger", "contempt", "disgust", "fear", "happy", "sad", "surprise"),
)


def count_order(found: Counts, known: Counts) -> str | None:
    """Return how the labels of a dataset are permuted, judging by the rows of each; None if they are not.

    Args:
        found: label -> rows.
        known: label -> rows of the release, in the order of its codes.
    """
    if dict(found) == dict(known) or not set(found) <= set(known):
        return None
    by_count = {count: label for label, count in known.items()}
    if len(by_count) == len(known) and sorted(found.values()) == sorted(known.values()):
        return _describe({label: by_count[count] for label, count in found.items()}, list(known))
    return _subset_order(found, known)


def _subset_order(found: Counts, known: Counts) -> str | None:
    """Judge a subset of a release by the shares of its classes: the most likely assignment against the given one."""
    labels, total = list(known), sum(found.values())
    if total < _MIN_ROWS or len(labels) < 3:
        return None
    seen = np.array([found.get(label, 0) for label in labels]) / total
    release = np.array([known[label] for label in labels]) / sum(known.values())
    cost = -seen[:, None] * np.log(release)[None, :]
    places = _best(cost)
    # The cost is a cross-entropy; less the entropy of what was seen, it is the divergence from the release.
    entropy = -sum(share * math.log(share) for share in seen if share)
    misfit = float(cost[range(len(labels)), places].sum()) - entropy
    gain = total * (float(np.trace(cost)) - entropy - misfit)
    if misfit > _MAX_MISFIT or gain < _MIN_GAIN:
        return None
    return _describe({label: labels[place] for label, place in zip(labels, places, strict=True)}, labels)


def affect_order(affect: Mapping[str, Sequence[tuple[float, float]] | np.ndarray]) -> str | None:
    """Return how labels are permuted, judging by their mean valence and arousal; None if they are not.

    At least two labels must be far from their places, and every label must be near its place in another order. The
    orders tried are the most likely one among the present labels, and those that the field uses.

    Args:
        affect: common name of a label -> (valence, arousal) of its rows.
    """
    means = {name: np.mean(affect[name], axis=0) for name in _PLACES if len(affect.get(name, ())) >= _MIN_RATED}
    far = {name for name in means if _distance(means[name], name) >= _FAR}
    if len(means) < 3 or len(far) < 2:
        return None
    for order in _orders(means):
        if all(name in order and _distance(means[name], order[name]) <= _NEAR for name in means):
            return _describe(_cycles_of(order, far), [])
    return None


def _orders(means: Mapping[str, np.ndarray]) -> Iterator[Mapping[str, str]]:
    """Yield label -> true label for each order to try."""
    names = list(means)
    cost = np.array([[_distance(means[name], other) ** 2 for other in names] for name in names])
    yield {name: names[place] for name, place in zip(names, _best(cost), strict=True)}
    for order in _KNOWN_ORDERS:
        yield dict(zip(_AFFECTNET, order, strict=False))


def _distance(mean: np.ndarray, name: str) -> float:
    return float(np.linalg.norm(mean - np.array(_PLACES[name])))


def _cycles_of(order: Mapping[str, str], far: Set[str]) -> dict[str, str]:
    """Return the labels that must have changed places: those far from theirs, and those that they changed with.

    Others are left out, because neighbours such as anger and contempt may fit better in each other's place by chance.
    """
    moved: dict[str, str] = {}
    for start in far:
        name: str | None = start
        while name is not None and name not in moved:
            moved[name] = order[name]
            name = order[name] if order[name] in order else None
    return {name: moved[name] for name in order if name in moved}


def _best(cost: np.ndarray) -> list[int]:
    """Return the column of each row that minimizes the sum (linear assignment)."""
    from scipy.optimize import linear_sum_assignment

    return [int(column) for column in linear_sum_assignment(cost)[1]]


def _describe(order: Mapping[str, str], codes: Sequence[str]) -> str | None:
    """Describe the permutation; most often it is alphabetical order."""
    moved = {label: true for label, true in order.items() if label != true}
    if not moved:
        return None
    text = ", ".join(f"{label!r} is {true}" for label, true in moved.items())
    alphabet = dict(zip(codes, sorted(codes), strict=True))
    if moved == {label: true for label, true in alphabet.items() if label != true}:
        return f"alphabetical codes ({text})"
    return text
