"""Scores: accuracy, balanced accuracy, F1, loss, calibration error, each with a 95% bootstrap interval.

Values are those of scikit-learn: a mean over classes includes the classes with rows or answers, separately in every
draw. Everything is computed from integer counts per group of rows (a person, a sequence: what a split keeps together).
So a value and its thousand bootstrap draws take the same few matrix operations, and sums are exact in any order, which
gives the same bytes on any machine and with any number of threads.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.evaluation.intervals import SHARE, SHARE_DIFFERENCE, Interval, interval
from pipeline.core.emotions import CLASSES

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

NO_ANSWER: Final = -1  # `predicted` of a row whose face was not found; it counts as wrong
SCORES: Final = ("accuracy", "balanced_accuracy", "macro_f1", "weighted_f1", "loss", "ece")
# Scores that are computed on answered rows only, and are absent if there are none.
ANSWERED_SCORES: Final = ("loss", "ece")
CLASS_SCORES: Final = ("precision", "recall", "f1")
_LOSS: Final = (0.0, np.inf)
_LOSS_DIFFERENCE: Final = (-np.inf, np.inf)
_STEPS: Final = 1 << 20  # confidences and losses are rounded to multiples of 1 / _STEPS, whose sums are exact
_LEAST: Final = float(np.finfo(np.float32).eps)  # lower probabilities count as this in the loss, as in scikit-learn
_DRAWN_AT_ONCE: Final = 1 << 22  # numbers drawn at once, to bound memory
# Enough for a stable mean; with many rows fewer draws suffice, see _CHANCE_NUMBERS.
_CHANCE_DRAWS: Final = 200
_CHANCE_DECIMALS: Final = 6
_CHANCE_NUMBERS: Final = 1 << 22  # drawn for the calibration error of chance


@dataclass(frozen=True, slots=True)
class Answers:
    """The answers to be scored, one entry per row.

    Attributes:
        label: (N,) the true class, 0..7.
        predicted: (N,) the answer, 0..7, or NO_ANSWER.
        confidence: (N,) the probability of the answer, 0..1.
        group: (N,) the number of the row's group; the bootstrap draws groups, not rows.
        loss: (N,) minus the natural logarithm of the true class's probability; None if there are no probabilities.
    """

    label: Ints
    predicted: Ints
    confidence: Floats
    group: Ints
    loss: Floats | None = None

    def __len__(self) -> int:
        return len(self.label)

    def where(self, mask: NDArray[np.bool_]) -> "Answers":
        """Return only the rows that the mask picks."""
        loss = None if self.loss is None else self.loss[mask]
        return Answers(self.label[mask], self.predicted[mask], self.confidence[mask], self.group[mask], loss)


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """Settings of the bootstrap: number of draws, seed, and number of calibration bins."""

    draws: int
    seed: int
    bins: int


@dataclass(frozen=True, slots=True)
class Measured:
    """All scores of one set of rows.

    Attributes:
        rows: number of rows.
        groups: number of groups they come from.
        scores: name in SCORES -> interval; those of ANSWERED_SCORES are absent if no row was answered.
        ece_chance: the calibration error of a perfectly calibrated network with these confidences.
        per_class: class name -> name in CLASS_SCORES -> interval; None for a class without rows and answers.
        support: class name -> number of rows.
        confusion: true class name -> answered class name -> share of the true class's rows; None without rows.
        draws: name in SCORES -> (draws,) bootstrap values, for paired comparison of two networks.
    """

    rows: int
    groups: int
    scores: Mapping[str, Interval]
    ece_chance: float | None
    per_class: Mapping[str, Mapping[str, Interval | None]]
    support: Mapping[str, int]
    confusion: Mapping[str, Mapping[str, Interval | None]]
    draws: Mapping[str, Floats]


def measure(answers: Answers, bootstrap: Bootstrap, classes: Sequence[int] = range(len(CLASSES))) -> Measured:
    """Score answers.

    Args:
        answers: at least one row; every label and answer is one of `classes`.
        bootstrap: settings of the bootstrap.
        classes: the classes to report.

    Returns:
        Scores with intervals by the cluster bootstrap (`models.evaluation.intervals`), which draws whole groups,
        because the faces of one person are not independent.
    """
    counts, sums = count_groups(answers, bootstrap.bins)
    flat = np.concatenate([counts.reshape(len(counts), -1), sums], axis=1)
    drawn = draw_sums(flat, bootstrap)
    value, draws = (_scores(total, bootstrap.bins) for total in (flat.sum(axis=0)[None], drawn))
    involved = _involved(counts)
    found = {
        name: [
            interval(point, column, groups, _LOSS if name == "loss" else SHARE)
            for point, column, groups in zip(value[name][0], draws[name].T, involved[name], strict=True)
        ]
        for name in value
    }
    shares = found["confusion"]
    left_out = _without(answers)
    return Measured(
        rows=len(answers),
        groups=len(counts),
        scores={name: known for name in SCORES if name not in left_out and (known := found[name][0]) is not None},
        ece_chance=None if "ece" in left_out else chance_ece(answers, bootstrap),
        per_class={CLASSES[c]: {name: found[name][c] for name in CLASS_SCORES} for c in classes},
        support={CLASSES[c]: int((answers.label == c).sum()) for c in classes},
        confusion={CLASSES[a]: {CLASSES[p]: shares[a * len(CLASSES) + p] for p in classes} for a in classes},
        draws={name: draws[name][:, 0] for name in SCORES},
    )


def _without(answers: Answers) -> set[str]:
    """Return the scores that cannot be computed for these answers."""
    if not (answers.predicted != NO_ANSWER).any():
        return set(ANSWERED_SCORES)
    return set() if answers.loss is not None else {"loss"}


def answer(probabilities: NDArray[np.float32], classes: Sequence[int]) -> tuple[Ints, Floats]:
    """Return the most probable of some classes and its probability, for probabilities (N, 8).

    The probabilities of `classes` are normalized to sum to 1, as for a network that knows only these.
    """
    chosen = probabilities[:, list(classes)].astype(np.float64)
    best = chosen.argmax(axis=1)
    total = chosen.sum(axis=1)
    confidence = _ratio(chosen[np.arange(len(chosen)), best], total, 1 / len(classes))
    return np.asarray(classes, np.int64)[best], np.minimum(confidence, 1.0)


def log_loss(probabilities: NDArray[np.float32], labels: Ints, classes: Sequence[int]) -> Floats:
    """Return (N,) minus the natural logarithm of the true class's probability, normalized over `classes`.

    Args:
        probabilities: (N, 8).
        labels: (N,) the true classes, each one of `classes`.
        classes: the classes that the network has to distinguish.
    """
    of_label = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    share = _ratio(of_label, probabilities[:, list(classes)].astype(np.float64).sum(axis=1), 1 / len(classes))
    loss: Floats = -np.log(np.clip(share, _LEAST, 1.0))
    return loss


def chance_ece(answers: Answers, bootstrap: Bootstrap) -> float:
    """Return the mean calibration error of a perfectly calibrated network with the confidences of these answers.

    The binned error is an absolute value, so chance alone makes it positive. Here each answer is simulated to be right
    with exactly the probability that it claims (consistency resampling: Broecker and Smith, "Increasing the reliability
    of reliability diagrams", 2007; Vaicenavicius et al., arXiv:1902.06977). A measured error near this value is no sign
    of miscalibration.
    """
    confidence = answers.confidence[answers.predicted != NO_ANSWER]
    place = _bin(confidence, bootstrap.bins)
    draws = max(1, min(_CHANCE_DRAWS, _CHANCE_NUMBERS // len(confidence)))
    generator = np.random.default_rng([bootstrap.seed, _CHANCE_DRAWS])
    errors = np.zeros(draws)
    for draw in range(draws):
        gaps = (generator.random(len(confidence)) < confidence) - confidence
        errors[draw] = np.abs(np.bincount(place, weights=gaps, minlength=bootstrap.bins)).sum() / len(confidence)
    return round(float(errors.mean()), _CHANCE_DECIMALS)


def _bin(confidence: Floats, bins: int) -> Ints:
    return np.minimum((confidence * bins).astype(np.int64), bins - 1)


def count_groups(answers: Answers, bins: int) -> tuple[Floats, Floats]:
    """Count answers per group.

    Returns:
        counts (G, 8, 9), true class by answer, the last column for no answer; and sums (G, 1 + bins) over the answered
        rows, of the loss and of correctness minus confidence in each bin of confidence, in units of 1 / _STEPS. All are
        whole numbers.
    """
    size = len(CLASSES)
    _, group = np.unique(answers.group, return_inverse=True)
    groups = int(group.max(initial=-1)) + 1
    column = np.where(answers.predicted == NO_ANSWER, size, answers.predicted)
    cell = (group * size + answers.label) * (size + 1) + column
    counts = np.bincount(cell, minlength=groups * size * (size + 1)).reshape(groups, size, size + 1)
    answered = answers.predicted != NO_ANSWER
    confidence, group = answers.confidence[answered], group[answered]
    correct = answers.label[answered] == answers.predicted[answered]
    gap = correct * _STEPS - np.rint(confidence * _STEPS)
    gaps = np.bincount(group * bins + _bin(confidence, bins), weights=gap, minlength=groups * bins)
    lost = np.zeros(len(group)) if answers.loss is None else np.rint(answers.loss[answered] * _STEPS)
    loss = np.bincount(group, weights=lost, minlength=groups)
    return counts.astype(np.float64), np.concatenate([loss[:, None], gaps.reshape(groups, bins)], axis=1)


def draw_sums(per_group: Floats, bootstrap: Bootstrap) -> Floats:
    """Draw groups with replacement, as many as there are, and add up their rows of `per_group`.

    Args:
        per_group: (G, K) whole numbers.
        bootstrap: number of draws and seed. The same seed and G draw the same groups, so that two networks are compared
            on the same people.

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
    """Return the differences of scores, first minus second, with paired bootstrap intervals.

    Both must have been measured on the same rows with the same `Bootstrap`, so that each draw took the same people. For
    loss and calibration error, less is better, so a negative difference means that the first is better.
    """
    differences = {}
    for name in (name for name in SCORES if name in first.scores and name in second.scores):
        value = first.scores[name].value - second.scores[name].value
        bounds = _LOSS_DIFFERENCE if name == "loss" else SHARE_DIFFERENCE
        found = interval(value, first.draws[name] - second.draws[name], first.groups, bounds)
        if found is not None:
            differences[name] = found
    return differences


def _scores(sums: Floats, bins: int) -> dict[str, Floats]:
    """Return every score for each row of sums (D, 73 + bins), as (D, 1), (D, 8) per class or (D, 64) for confusion.

    Scores that are undefined for a row of sums are NaN.
    """
    size = len(CLASSES)
    table = sums[:, : size * (size + 1)].reshape(len(sums), size, size + 1)
    hits = np.diagonal(table, axis1=1, axis2=2)
    support, answered = table.sum(axis=2), table[:, :, :size].sum(axis=1)
    rows = support.sum(axis=1)
    there = support + answered > 0
    recall = _ratio(hits, support, np.nan)
    f1 = _ratio(2 * hits, support + answered, np.nan)
    single = {
        "accuracy": _ratio(hits.sum(axis=1), rows, np.nan),
        "balanced_accuracy": _ratio(np.nansum(recall, axis=1), (support > 0).sum(axis=1), np.nan),
        "macro_f1": _ratio(np.nansum(f1, axis=1), there.sum(axis=1), np.nan),
        "weighted_f1": _ratio((np.nan_to_num(f1) * support).sum(axis=1), rows, np.nan),
        "loss": _ratio(sums[:, -bins - 1] / _STEPS, answered.sum(axis=1), np.nan),
        "ece": _ratio(np.abs(sums[:, -bins:]).sum(axis=1) / _STEPS, answered.sum(axis=1), np.nan),
    }
    shares = _ratio(table[:, :, :size], support[:, :, None], np.nan).reshape(len(sums), -1)
    # As in scikit-learn, a class that occurs only in labels or only in answers has 0 for the undefined score.
    per_class = {
        "precision": np.where(there, _ratio(hits, answered, 0), np.nan),
        "recall": np.where(there, np.nan_to_num(recall), np.nan),
        "f1": f1,
        "confusion": shares,
    }
    return {name: score[:, None] for name, score in single.items()} | per_class


def _involved(counts: Floats) -> dict[str, Ints]:
    """Return the number of groups that contribute to each column of `_scores`, given counts (G, 8, 9)."""
    size = len(CLASSES)
    with_rows = counts.sum(axis=2) > 0
    with_answers = counts[:, :, :size].sum(axis=1) > 0
    answered = counts[:, :, :size].any(axis=(1, 2)).sum()
    whole = dict.fromkeys(SCORES, np.array([len(counts)])) | dict.fromkeys(ANSWERED_SCORES, np.array([answered]))
    recalled = with_rows.sum(axis=0)
    return whole | {
        "precision": with_answers.sum(axis=0),
        "recall": recalled,
        "f1": (with_rows | with_answers).sum(axis=0),
        "confusion": np.repeat(recalled, size),
    }


def _ratio(above: Floats, below: Floats, otherwise: float) -> Floats:
    """Divide elementwise; the result is `otherwise` where the divisor is 0."""
    above, below = np.broadcast_arrays(above, below)
    quotient = np.full(above.shape, otherwise, np.float64)
    np.divide(above, below, out=quotient, where=below > 0)
    return quotient
