"""The content of metrics.json: scores on all test rows, per dataset, within and across datasets.

Each set of rows is scored in three ways: on rows with a face; on all rows, where a face that was not found counts as
wrong; and on the classes that both the training set and these rows have, with the answer chosen among those classes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.evaluation.intervals import FEW_GROUPS, Interval
from models.evaluation.metrics import NO_ANSWER, Answers, Bootstrap, Measured, answer, compare, log_loss, measure
from pipeline.core.emotions import CLASSES
from pipeline.core.parallel.pool import Progress, no_progress

_ALL: Final = tuple(range(len(CLASSES)))
# The scores in metrics.json for every set of rows, on rows with a face and on all rows.
HEADLINES: Final = ("accuracy", "balanced_accuracy", "macro_f1", "weighted_f1")
# The only interval in metrics.json. Without one, nobody could say whether two runs differ; more would hide the scores.
_WITH_INTERVAL: Final = "balanced_accuracy"
_DECIMALS: Final = 6


@dataclass(frozen=True, slots=True)
class AnsweredRows:
    """The rows of a test set and one network's answers.

    Attributes:
        dataset: (N,) names.
        label: (N,) 0..7.
        group: (N,) numbers; rows of one person or one group of the split have the same number.
        found: (N,) whether the face was found.
        probabilities: (N, 8); arbitrary if the face was not found.
    """

    dataset: NDArray[np.str_]
    label: NDArray[np.int64]
    group: NDArray[np.int64]
    found: NDArray[np.bool_]
    probabilities: NDArray[np.float32]

    def where(self, mask: NDArray[np.bool_]) -> "AnsweredRows":
        """Return only the rows that the mask picks."""
        return AnsweredRows(
            self.dataset[mask], self.label[mask], self.group[mask], self.found[mask], self.probabilities[mask]
        )

    def answers(self, classes: tuple[int, ...] = _ALL) -> Answers:
        """Return the answers, chosen among `classes`."""
        predicted, confidence = answer(self.probabilities, classes)
        loss = log_loss(self.probabilities, self.label, classes)
        return Answers(self.label, np.where(self.found, predicted, NO_ANSWER), confidence, self.group, loss)


@dataclass(frozen=True, slots=True)
class Training:
    """What the network was trained on: the datasets, and the classes with training rows; `outputs` can be answered."""

    datasets: frozenset[str]
    classes: frozenset[int]
    outputs: tuple[int, ...] = _ALL


@dataclass(frozen=True, slots=True)
class TestSlice:
    """Scores of one set of rows in three ways, and of its majority-class baseline; None if no row is left."""

    with_face: Measured | None
    all_rows: Measured | None
    shared_classes: Measured | None
    majority_class: Measured | None


def build_views(
    rows: AnsweredRows, training: Training, bootstrap: Bootstrap, progress: Progress = no_progress
) -> dict[tuple[str, ...], TestSlice]:
    """Score all rows and their parts.

    Args:
        rows: the test set with its answers.
        training: what the network was trained on.
        bootstrap: settings of the bootstrap.
        progress: called with the parts done so far.

    Returns:
        Place in metrics.json -> scores: () for all rows, ("per_dataset", name), ("within",) for datasets that the
        network was also trained on, ("across",) for the others.
    """
    known = np.isin(rows.dataset, sorted(training.datasets))
    masks: dict[tuple[str, ...], NDArray[np.bool_]] = {(): np.ones(len(rows.label), bool)}
    masks |= {("per_dataset", str(name)): rows.dataset == name for name in np.unique(rows.dataset)}
    masks |= {("within",): known, ("across",): ~known}
    masks = {place: mask for place, mask in masks.items() if mask.any()}
    views: dict[tuple[str, ...], TestSlice] = {}
    for place, mask in masks.items():
        progress(len(views), len(masks), "scores and their intervals")
        views[place] = build_view(rows.where(mask), training, bootstrap)
    progress(len(views), len(masks), "scores and their intervals")
    return views


def build_view(rows: AnsweredRows, training: Training, bootstrap: Bootstrap) -> TestSlice:
    """Score one set of rows in three ways, and its majority-class baseline."""
    faces = rows.where(rows.found)
    shared = tuple(sorted(training.classes & set(faces.label.tolist())))
    both = faces.where(np.isin(faces.label, shared))
    return TestSlice(
        with_face=_measure(faces, bootstrap, training.outputs),
        all_rows=_measure(rows, bootstrap, training.outputs),
        shared_classes=_measure(both, bootstrap, shared),
        majority_class=_measure(_constant(faces), bootstrap, training.outputs),
    )


def _measure(rows: AnsweredRows, bootstrap: Bootstrap, classes: tuple[int, ...] = _ALL) -> Measured | None:
    return measure(rows.answers(classes), bootstrap, classes) if len(rows.label) else None


def _constant(rows: AnsweredRows) -> AnsweredRows:
    """Return the rows answered with their own majority class; no constant answer is more accurate."""
    counts = np.bincount(rows.label, minlength=len(CLASSES))
    probabilities = np.tile(np.eye(len(CLASSES), dtype=np.float32)[counts.argmax()], (len(rows.label), 1))
    return AnsweredRows(rows.dataset, rows.label, rows.group, rows.found, probabilities)


def brief(views: Mapping[tuple[str, ...], TestSlice]) -> dict[str, Any]:
    """Return the content of metrics.json: the numbers that people compare between runs, in nested dicts.

    All other numbers and intervals are in details.json. A class without rows and answers has null.
    """
    report = _nested({place: _brief(view) for place, view in views.items()})
    whole = views[()]
    if whole.with_face is not None and whole.majority_class is not None:
        report["ece"] = whole.with_face.scores["ece"].value
        report["ece_chance"] = whole.with_face.ece_chance
        report["per_class"] = {name: {"f1": _value(of["f1"])} for name, of in whole.with_face.per_class.items()}
        report["majority_class"] = {"accuracy": whole.majority_class.scores["accuracy"].value}
    return report


def list_rough(views: Mapping[tuple[str, ...], TestSlice]) -> dict[str, str]:
    """Return a warning for each dataset, and for all rows, whose intervals come from few people or groups."""
    words = {}
    for place, view in views.items():
        if (place and place[0] != "per_dataset") or view.with_face is None or view.with_face.groups >= FEW_GROUPS:
            continue
        groups = view.with_face.groups
        said = f"its intervals are of {groups} people or groups, and rough"
        if groups == 1:
            said = "one person has no interval"
        words[place[-1] if place else "all"] = said
    return words


def full(views: Mapping[tuple[str, ...], TestSlice]) -> dict[str, Any]:
    """Return the content of details.json: every score, including the confusion matrix, as value, low and high.

    `people` is the number of people, or of other groups that are independent of each other, from which intervals come.
    """
    return _nested({place: _full(view) for place, view in views.items()})


def beside(views: Mapping[tuple[str, ...], TestSlice], others: Mapping[tuple[str, ...], TestSlice]) -> dict[str, Any]:
    """Return another network's scores and the differences to the first, paired on the same people.

    Next to the difference of the calibration errors is the difference that chance alone would make (`ece_chance`).
    """
    return _nested({place: _versus(view, others[place]) for place, view in views.items()})


def brief_beside(
    views: Mapping[tuple[str, ...], TestSlice], others: Mapping[tuple[str, ...], TestSlice]
) -> dict[str, Any]:
    """Return what metrics.json says of another network: its headlines and by how much the first is better, overall.

    Each difference stands with its paired interval: one that holds 0 shows none.
    """
    first, other = views[()].with_face, others[()].with_face
    if first is None or other is None:
        return {}
    better = compare(first, other)
    ends = {name: {"low": better[name].low, "high": better[name].high} for name in HEADLINES}
    differences = {name: better[name].value for name in HEADLINES}
    return _headline(other) | {"better_by": differences, "better_by_interval": ends}


def _versus(view: TestSlice, other: TestSlice) -> dict[str, Any]:
    if view.with_face is None or other.with_face is None:
        return {}
    better = _plain(compare(view.with_face, other.with_face))
    chances = view.with_face.ece_chance, other.with_face.ece_chance
    if chances[0] is not None and chances[1] is not None:
        # Two perfect networks of other confidences differ by as much: a difference near this one shows nothing.
        better["ece_chance"] = round(chances[0] - chances[1], _DECIMALS)
    return _full(other) | {"better_by": better}


def _nested(blocks: Mapping[tuple[str, ...], dict[str, Any]]) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for place, block in blocks.items():
        folder = nested
        for name in place:
            folder = folder.setdefault(name, {})
        folder.update(block)
    return nested


def _brief(view: TestSlice) -> dict[str, Any]:
    if view.with_face is None:
        block: dict[str, Any] = {"rows": 0}
    else:
        known = view.with_face.scores[_WITH_INTERVAL]
        ends = {"interval": {_WITH_INTERVAL: {"low": known.low, "high": known.high}}}
        block = _headline(view.with_face) | {"loss": view.with_face.scores["loss"].value} | ends
    return block | ({"all_rows": _headline(view.all_rows)} if view.all_rows is not None else {})


def _headline(measured: Measured) -> dict[str, Any]:
    return {"rows": measured.rows, **{name: measured.scores[name].value for name in HEADLINES}}


def _full(view: TestSlice) -> dict[str, Any]:
    block: dict[str, Any] = _every_score(view.with_face) if view.with_face else {"rows": 0}
    for name, measured in (("all_rows", view.all_rows), ("shared_classes", view.shared_classes)):
        if measured is not None:
            block[name] = _every_score(measured)
    if view.majority_class is not None:
        block["majority_class"] = {name: view.majority_class.scores[name].value for name in HEADLINES}
    return block


def _every_score(measured: Measured) -> dict[str, Any]:
    per_class = {
        name: {**_plain(scores), "support": measured.support[name]} for name, scores in measured.per_class.items()
    }
    return {
        "rows": measured.rows,
        "people": measured.groups,
        **_plain(measured.scores),
        "ece_chance": measured.ece_chance,
        "per_class": per_class,
        "confusion": {name: _plain(row) for name, row in measured.confusion.items()},
    }


def _plain(intervals: Mapping[str, Interval | None]) -> dict[str, Any]:
    return {name: None if found is None else found.plain() for name, found in intervals.items()}


def _value(found: Interval | None) -> float | None:
    return None if found is None else found.value
