"""How good answers are: accuracy, balanced accuracy, F1, calibration error, each with a 95% bootstrap interval.

Everything is computed from whole-number counts per group of rows (a person, a sequence: what a split keeps together).
So a value and its thousand bootstrap draws are the same few matrix operations, and sums are exact in any order:
the same bytes on any machine, whatever the number of threads.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pipeline.emotions import CLASSES

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

NO_ANSWER: Final = -1  # `predicted` of a row whose face was not found: it counts as wrong
SCORES: Final = ("accuracy", "balanced_accuracy", "macro_f1", "weighted_f1", "ece")
CLASS_SCORES: Final = ("precision", "recall", "f1")
_CONFIDENCE_STEPS: Final = 1 << 20  # confidences as whole numbers of this fraction
_DRAWN_AT_ONCE: Final = 1 << 22  # numbers drawn in one go, to bound memory
_DECIMALS: Final = 6


@dataclass(frozen=True, slots=True)
class Answers:
    """The answers to be measured, one entry a row.

    Attributes:
        label: (N,) the true class, 0..7.
        predicted: (N,) the answer, 0..7, or NO_ANSWER.
        confidence: (N,) the probability of the answer, 0..1.
        group: (N,) the number of the group that the row belongs to; the bootstrap draws groups, not rows.
    """

    label: Ints
    predicted: Ints
    confidence: Floats
    group: Ints

    def __len__(self) -> int:
        return len(self.label)

    def where(self, mask: NDArray[np.bool_]) -> "Answers":
        """Return only the rows that the mask picks."""
        return Answers(self.label[mask], self.predicted[mask], self.confidence[mask], self.group[mask])


@dataclass(frozen=True, slots=True)
class Interval:
    """A value with the ends of its 95% bootstrap interval."""

    value: float
    low: float
    high: float

    def plain(self) -> dict[str, float]:
        """Return it as JSON."""
        return {"value": self.value, "low": self.low, "high": self.high}


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """How intervals are drawn: how many times, from which seed, and with how many calibration bins."""

    draws: int
    seed: int
    bins: int


@dataclass(frozen=True, slots=True)
class Measured:
    """All scores of one set of rows.

    Attributes:
        rows: how many.
        groups: how many groups they come from.
        scores: by the names of SCORES; `ece` is absent where no row was answered.
        per_class: class name -> by the names of CLASS_SCORES.
        support: class name -> number of rows.
        confusion: true class name -> answered class name -> share of the true class's rows.
        draws: by the names of SCORES, the drawn values (draws,), for paired comparison of two networks.
    """

    rows: int
    groups: int
    scores: Mapping[str, Interval]
    per_class: Mapping[str, Mapping[str, Interval]]
    support: Mapping[str, int]
    confusion: Mapping[str, Mapping[str, Interval]]
    draws: Mapping[str, Floats]


def measure(answers: Answers, bootstrap: Bootstrap, classes: Sequence[int] = range(len(CLASSES))) -> Measured:
    """Measure answers.

    Args:
        answers: at least one row; every label one of `classes`.
        bootstrap: how the intervals are drawn.
        classes: the classes over which macro F1 is the mean. One without rows and answers counts as 0.

    Returns:
        Values with percentile intervals of the cluster bootstrap (Field and Welsh, 2007, "Bootstrapping clustered
        data"): whole groups are drawn with replacement, because the faces of one person are not independent.
    """
    counts, gaps = count_groups(answers, bootstrap.bins)
    flat = np.concatenate([counts.reshape(len(counts), -1), gaps], axis=1)
    drawn = draw_sums(flat, bootstrap)
    value, draws = (_scores(sums, bootstrap.bins, classes) for sums in (flat.sum(axis=0)[None], drawn))
    intervals = {name: _interval(value[name], draws[name]) for name in value}
    shares = intervals["confusion"]
    answered = bool((answers.predicted != NO_ANSWER).any())
    return Measured(
        rows=len(answers),
        groups=len(counts),
        scores={name: intervals[name][0] for name in SCORES if answered or name != "ece"},
        per_class={CLASSES[c]: {name: intervals[name][c] for name in CLASS_SCORES} for c in classes},
        support={CLASSES[c]: int((answers.label == c).sum()) for c in classes},
        confusion={CLASSES[a]: {CLASSES[p]: shares[a * len(CLASSES) + p] for p in classes} for a in classes},
        draws={name: draws[name][:, 0] for name in SCORES},
    )


def answer(probabilities: NDArray[np.float32], classes: Sequence[int]) -> tuple[Ints, Floats]:
    """Return the most probable of some classes and its probability, for rows (N, 8) of probabilities.

    The probabilities are shared out anew among `classes`, as of a network that knows only these.
    """
    chosen = probabilities[:, list(classes)].astype(np.float64)
    best = chosen.argmax(axis=1)
    total = chosen.sum(axis=1)
    confidence = _ratio(chosen[np.arange(len(chosen)), best], total, 1 / len(classes))
    return np.asarray(classes, np.int64)[best], np.minimum(confidence, 1.0)


def count_groups(answers: Answers, bins: int) -> tuple[Floats, Floats]:
    """Count answers per group.

    Returns:
        counts (G, 8, 9), true class by answer, the last column for no answer; and gaps (G, bins), the sum of
        correctness minus confidence over the answers in each bin of confidence, in steps. All are whole numbers.
    """
    size = len(CLASSES)
    _, group = np.unique(answers.group, return_inverse=True)
    groups = int(group.max(initial=-1)) + 1
    column = np.where(answers.predicted == NO_ANSWER, size, answers.predicted)
    cell = (group * size + answers.label) * (size + 1) + column
    counts = np.bincount(cell, minlength=groups * size * (size + 1)).reshape(groups, size, size + 1)
    answered = answers.predicted != NO_ANSWER
    confidence = answers.confidence[answered]
    correct = answers.label[answered] == answers.predicted[answered]
    gap = correct * _CONFIDENCE_STEPS - np.rint(confidence * _CONFIDENCE_STEPS)
    position = group[answered] * bins + np.minimum((confidence * bins).astype(np.int64), bins - 1)
    gaps = np.bincount(position, weights=gap, minlength=groups * bins).reshape(groups, bins)
    return counts.astype(np.float64), gaps.astype(np.float64)


def draw_sums(per_group: Floats, bootstrap: Bootstrap) -> Floats:
    """Draw groups with replacement, as many as there are, and add up what they hold.

    Args:
        per_group: (G, K) whole numbers.
        bootstrap: how many draws, from which seed. The same seed and G draw the same groups, so that two networks
            are compared on the same people.

    Returns:
        (draws, K) sums.
    """
    groups = len(per_group)
    generator = np.random.default_rng(bootstrap.seed)
    at_once = max(1, _DRAWN_AT_ONCE // groups)
    parts = []
    for start in range(0, bootstrap.draws, at_once):
        draws = min(at_once, bootstrap.draws - start)
        picks = generator.integers(0, groups, size=(draws, groups)) + np.arange(draws)[:, None] * groups
        times = np.bincount(picks.ravel(), minlength=draws * groups).reshape(draws, groups)
        parts.append(times.astype(np.float64) @ per_group)
    return np.concatenate(parts)


def compare(first: Measured, second: Measured) -> dict[str, Interval]:
    """Return by how much the first is better than the second on the same rows, with paired bootstrap intervals.

    Both must have been measured on the same rows with the same `Bootstrap`, so that each draw took the same people.
    """
    differences = {}
    for name in (name for name in SCORES if name in first.scores and name in second.scores):
        value = np.array([[first.scores[name].value - second.scores[name].value]])
        differences[name] = _interval(value, (first.draws[name] - second.draws[name])[:, None])[0]
    return differences


def _scores(sums: Floats, bins: int, classes: Sequence[int]) -> dict[str, Floats]:
    """Return every score of each row of sums (D, 72 + bins) as (D, 1), (D, 8) per class or (D, 64) for confusion."""
    size = len(CLASSES)
    table = sums[:, :-bins].reshape(len(sums), size, size + 1)
    hits = np.diagonal(table, axis1=1, axis2=2)
    support, answered = table.sum(axis=2), table[:, :, :size].sum(axis=1)
    rows = support.sum(axis=1)
    recall = _ratio(hits, support, np.nan)
    f1 = _ratio(2 * hits, support + answered, 0)
    single = {
        "accuracy": _ratio(hits.sum(axis=1), rows, 0),
        "balanced_accuracy": _ratio(np.nansum(recall, axis=1), (support > 0).sum(axis=1), 0),
        "macro_f1": f1[:, list(classes)].mean(axis=1),
        "weighted_f1": _ratio((f1 * support).sum(axis=1), rows, 0),
        "ece": _ratio(np.abs(sums[:, -bins:]).sum(axis=1) / _CONFIDENCE_STEPS, answered.sum(axis=1), 0),
    }
    shares = _ratio(table[:, :, :size], support[:, :, None], np.nan).reshape(len(sums), -1)
    per_class = {"precision": _ratio(hits, answered, 0), "recall": recall, "f1": f1, "confusion": shares}
    return {name: score[:, None] for name, score in single.items()} | per_class


def _ratio(above: Floats, below: Floats, otherwise: float) -> Floats:
    """Divide; where there is nothing to divide by, the given value."""
    above, below = np.broadcast_arrays(above, below)
    quotient = np.full(above.shape, otherwise, np.float64)
    np.divide(above, below, out=quotient, where=below > 0)
    return quotient


def _interval(value: Floats, draws: Floats) -> list[Interval]:
    """Return one interval a column of draws (D, K); a draw without rows of a class says nothing about its recall."""
    intervals = []
    for point, column in zip(value[0], draws.T, strict=True):
        drawn = column[~np.isnan(column)]
        low, high = np.percentile(drawn, [2.5, 97.5]) if len(drawn) else (0.0, 0.0)
        intervals.append(Interval(_round(np.nan_to_num(point)), _round(low), _round(high)))
    return intervals


def _round(value: Any) -> float:
    return round(float(value), _DECIMALS)
