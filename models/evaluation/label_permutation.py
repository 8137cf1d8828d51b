"""Label permutations: whether another assignment of classes to outputs fits a dataset much better than the given one.

A dataset whose labels are in another order (RAF-DB read alphabetically, AffectNet's anger taken for disgust) looks like
a bad network. This module finds the best assignment of the confusion matrix's columns to its rows (H. W. Kuhn, "The
Hungarian method for the assignment problem", 1955, as in SciPy). It works on recalls, so that frequent classes do not
dominate. The assignment is split into cycles, and a cycle is reported only if it alone gains much more than chance
could. Finding nothing proves nothing: the answers of a weak network are too random for a swap to show.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import linear_sum_assignment

MIN_GAIN: Final = 0.15  # in the mean recall of the classes that move
MIN_RATIO: Final = 2.0  # of the mean recalls of the classes that move, after to before
MIN_Z: Final = 5.0  # standard errors; as the best of 8! = 40,320 assignments, some would reach 2 by chance in any data
# Too small to change a decision, and large enough to break a tie in favour of the given assignment.
_DIAGONAL_BONUS: Final = 1e-9
_PROBABILITIES: Final = 2
_HALF: Final = 0.5

Matrix = NDArray[np.float64]
Cycle = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class LabelPermutation:
    """Another assignment that fits much better.

    `swapped` are the two classes that gain most by changing places. `reads_as` maps each output that moves to the class
    that it seems to mean. The scores are balanced accuracies, 0..1, over the classes that occur in the labels.
    """

    swapped: tuple[str, str]
    reads_as: dict[str, str]
    given_score: float
    best_score: float

    def __str__(self) -> str:
        """Return one line for a person."""
        first, second = self.swapped
        scores = f"balanced accuracy {self.given_score:.3f} as given, {self.best_score:.3f} otherwise"
        if len(self.reads_as) == len(self.swapped):
            return f"{first} and {second} look swapped: {scores}"
        moves = ", ".join(f"{output} for {meant}" for output, meant in self.reads_as.items())
        return f"{first} and {second} look swapped, in an order that takes {moves}: {scores}"

    def plain(self) -> dict[str, Any]:
        """Return the values as nested plain JSON, as metrics keep them."""
        return {
            "swapped": {"first": self.swapped[0], "second": self.swapped[1]},
            "reads_as": dict(self.reads_as),
            "given_score": self.given_score,
            "best_score": self.best_score,
        }


def find_label_permutation(
    labels: ArrayLike, predicted: ArrayLike, classes: Sequence[str], among: Collection[int] | None = None
) -> LabelPermutation | None:
    """Search for an assignment of classes to outputs that fits much better than the given one.

    Args:
        labels: int (N,), class indices.
        predicted: int (N,) class indices, or float (N, C) probabilities, of which the largest counts.
        classes: the C class names in their order.
        among: the classes that may move; None: all. An output that was never trained, or a class without labels, has
            no recall that could support or contradict a move.

    Returns:
        What looks swapped, or None if no assignment is better than the given one beyond chance.

    Raises:
        ValueError: shapes that do not fit each other, or an index that is not a class.
    """
    given = _indices(labels, len(classes))
    outputs = np.asarray(predicted)
    if outputs.ndim == _PROBABILITIES:
        if outputs.shape[1] != len(classes):
            raise ValueError(f"{outputs.shape[1]} probabilities a row for {len(classes)} classes")
        outputs = outputs.argmax(axis=1)
    found = _indices(outputs, len(classes))
    if given.shape != found.shape:
        raise ValueError(f"{given.size} labels for {found.size} predictions")
    counts = np.bincount(given * len(classes) + found, minlength=len(classes) ** 2).reshape(len(classes), -1)
    return _best_permutation(
        counts.astype(np.float64), classes, sorted(range(len(classes)) if among is None else among)
    )


def _best_permutation(counts: Matrix, classes: Sequence[str], among: Sequence[int]) -> LabelPermutation | None:
    fixed = ~np.isin(np.arange(len(classes)), among)
    rows = counts.sum(axis=1, keepdims=True)
    rows[fixed] = 0
    recalls = np.divide(counts, rows, out=np.zeros_like(counts), where=rows > 0)
    recalls[:, fixed] = 0
    # A class without labels fits every output equally well; the bonus keeps it in its place.
    _, output_of = linear_sum_assignment(recalls + _DIAGONAL_BONUS * np.eye(len(classes)), maximize=True)
    moved = [cycle for cycle in _cycles(output_of) if _wins(cycle, output_of, recalls, rows[:, 0])]
    if not moved:
        return None
    kept = np.arange(len(classes))
    for cycle in moved:
        kept[list(cycle)] = output_of[list(cycle)]
    present = rows[:, 0] > 0
    return LabelPermutation(
        swapped=_swapped(moved, recalls, classes),
        reads_as={classes[kept[label]]: classes[label] for label in range(len(classes)) if kept[label] != label},
        given_score=float(recalls.diagonal()[present].mean()),
        best_score=float(recalls[np.arange(len(classes)), kept][present].mean()),
    )


def _cycles(output_of: NDArray[np.intp]) -> list[Cycle]:
    """Return the cycles of a permutation, without fixed points."""
    cycles, seen = [], set[int]()
    for start in range(len(output_of)):
        cycle = []
        place = start
        while place not in seen:
            seen.add(place)
            cycle.append(place)
            place = int(output_of[place])
        if len(cycle) > 1:
            cycles.append(tuple(cycle))
    return cycles


def _wins(cycle: Cycle, output_of: NDArray[np.intp], recalls: Matrix, rows: NDArray[np.float64]) -> bool:
    """Return whether the classes of a cycle gain much more by moving than chance could explain."""
    members = [label for label in cycle if rows[label] > 0]
    # One class of a cycle may be without labels; with more, hardly anything could contradict the move.
    if len(members) < len(cycle) - 1 or not members:
        return False
    moved, stayed = recalls[members, output_of[members]], recalls[members, members]
    gain = float((moved - stayed).mean())
    # By the move, each row gains 1, loses 1 or neither. An additional gain and loss per class (Laplace's rule of
    # succession) keep the few rows of a rare class from looking certain just because they agree.
    count = rows[members]
    win, lose = (moved * count + 1) / (count + 3), (stayed * count + 1) / (count + 3)
    variance = (win + lose - (win - lose) ** 2) / count
    error = float(np.sqrt(variance.sum())) / len(members)
    # A class without labels cannot contradict the move, so the evidence of the others must be stronger.
    least = max(MIN_RATIO * float(stayed.mean()), _HALF if len(members) < len(cycle) else 0.0)
    return gain >= max(MIN_GAIN, MIN_Z * error) and float(moved.mean()) >= least


def _swapped(cycles: Sequence[Cycle], recalls: Matrix, classes: Sequence[str]) -> tuple[str, str]:
    pairs = [(first, second) for cycle in cycles for first in cycle for second in cycle if first < second]
    first, second = max(pairs, key=lambda pair: _exchange_gain(pair, recalls))
    return classes[first], classes[second]


def _exchange_gain(pair: tuple[int, int], recalls: Matrix) -> float:
    first, second = pair
    apart = recalls[first, second] + recalls[second, first]
    return float(apart - recalls[first, first] - recalls[second, second])


def _indices(values: ArrayLike, classes: int) -> NDArray[np.int64]:
    found = np.asarray(values)
    if found.ndim != 1 or (found.size and (found.dtype.kind not in "iu" or found.min() < 0 or found.max() >= classes)):
        raise ValueError(f"expected one class index from 0 to {classes - 1} a row")
    return found.astype(np.int64)
