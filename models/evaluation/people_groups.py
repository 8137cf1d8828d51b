"""Scores by pose, and by gender, age and race as far as the datasets give them: a mean can hide whom a network fails.

A difference between two groups is only shown by intervals that do not overlap, and datasets differ in more than in who
is in them, so each dataset's own groups stand in details.json beside those of all rows. Ages and races are the words of
the datasets: those that group people differently are never pooled, because an adult of one is a 20-39 of another.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence, Set
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.evaluation.intervals import FEW_GROUPS
from models.evaluation.metrics import Bootstrap, measure
from models.evaluation.summary import AnsweredRows
from pipeline.core.schema import ATTRIBUTES

# A column of free text has as many values as rows; only the most frequent are scored one by one.
_MOST_VALUES: Final = 30
_REST: Final = "all others"
# These words are the same in all datasets.
POSE: Final = "pose"
_POSES: Final = ("profile", "half-profile", "frontal")
_SHARED: Final = frozenset({"gender", POSE})
_SPAN: Final = re.compile(r"(\d+)(?:\s*[-\u2013]\s*(\d+)|\s*(\+))?")

Said = Mapping[str, Sequence[str | None]]


def describe_groups(rows: AnsweredRows, said: Said, bootstrap: Bootstrap) -> dict[str, list[dict[str, Any]]]:
    """Score the rows of each value of each attribute.

    Args:
        rows: the test set with its answers.
        said: attribute -> (N,) what the dataset says of each row; None where it says nothing.
        bootstrap: settings of the bootstrap.

    Returns:
        Attribute, or `age of NAME, NAME` for each grouping where datasets group people differently -> one entry per
        value: `rows` with a face and `people` (or other independent groups) among them, `accuracy` with the ends of its
        interval as `low` and `high`, `balanced_accuracy` with its own, `missed`, the number of rows whose face was not
        found, and `few`, whether the intervals are rough. Attributes that no row has are left out.
    """
    found: dict[str, list[dict[str, Any]]] = {}
    for name in (POSE, *ATTRIBUTES):
        for title, said_alike in _alike(name, rows.dataset, said.get(name, ())).items():
            values = _merged(said_alike)
            found[title] = [_score(rows, value, values == value, bootstrap) for value in _ordered(values)]
    return found


def name_poses(frontality: NDArray[np.float64], cuts: Sequence[float]) -> list[str]:
    """Return the pose of each face: profile below the first cut, half-profile below the second, else frontal.

    Args:
        frontality: (N,) 0 profile .. 1 frontal, as `align` records it.
        cuts: the two cuts, ascending.
    """
    return [_POSES[number] for number in np.searchsorted(cuts, frontality, side="right")]


def brief_groups(details: Mapping[str, Any]) -> dict[str, dict[str, dict[str, Any]]]:
    """Return the groups of details.json for metrics.json: attribute -> value -> its balanced accuracy and interval.

    Values without a face are left out. Keys have no dots, which DVC would take for the separator of two keys.
    """
    return {
        title.replace(".", ","): {entry["value"].replace(".", ","): _brief(entry) for entry in entries if entry["rows"]}
        for title, entries in details["groups"].items()
    }


def _brief(entry: Mapping[str, Any]) -> dict[str, Any]:
    balanced = entry["balanced_accuracy"]
    ends = {"low": balanced["low"], "high": balanced["high"]}
    known = {"rows": entry["rows"], "people": entry["people"], "balanced_accuracy": balanced["value"]}
    return known | {"interval": {"balanced_accuracy": ends}}


def add_groups(details: dict[str, Any], rows: AnsweredRows, said: Said, bootstrap: Bootstrap) -> None:
    """Add the groups of all rows to the content of details.json, and to each dataset that has any its own."""
    details["groups"] = describe_groups(rows, said, bootstrap)
    for name in np.unique(rows.dataset):
        mine = rows.dataset == name
        part = {key: np.array(values, object)[mine].tolist() for key, values in said.items()}
        if groups := describe_groups(rows.where(mine), part, bootstrap):
            details["per_dataset"][str(name)]["groups"] = groups


def _alike(name: str, datasets: NDArray[np.str_], values: Sequence[str | None]) -> dict[str, Sequence[str | None]]:
    """Return title -> (N,) what the datasets say that group people alike, None in the rows of others.

    Spans of years are alike if no two overlap, and words if one dataset uses no others than another. Spans and words of
    one dataset are two groupings.
    """
    # Of each row, whose words they are.
    keys = [None if value is None else (str(of), _is_span(value)) for of, value in zip(datasets, values, strict=False)]
    said: dict[tuple[str, bool], set[str]] = {}
    for key, value in zip(keys, values, strict=True):
        if key is not None and value is not None:
            said.setdefault(key, set()).add(value)
    groupings: list[set[tuple[str, bool]]] = []
    for key in sorted(said, key=lambda one: (not one[1], -len(said[one]), one[0])):
        fitting = [known for known in groupings if name in _SHARED or all(_fit(said[key], said[of]) for of in known)]
        if fitting:
            fitting[0].add(key)
        else:
            groupings.append({key})
    found: dict[str, Sequence[str | None]] = {}
    for known in groupings:
        title = name if len(groupings) == 1 else f"{name} of {', '.join(sorted({of for of, _ in known}))}"
        title += ", in words" if title in found else ""
        found[title] = [value if key in known else None for key, value in zip(keys, values, strict=True)]
    return found


def _is_span(value: str) -> bool:
    return _SPAN.fullmatch(value) is not None


def _fit(ours: Set[str], theirs: Set[str]) -> bool:
    """Return whether groups may stand side by side: no two overlap, as far as that can be known."""
    spans = [_SPAN.fullmatch(value) for value in sorted(ours | theirs)]
    if not all(spans):
        return not any(spans) and (ours <= theirs or theirs <= ours)
    ends = sorted((int(one[1]), np.inf if one[3] else int(one[2] or one[1])) for one in spans if one)
    return all(before[1] < after[0] for before, after in pairwise(ends))


def _merged(values: Sequence[str | None]) -> NDArray[np.object_]:
    """Return the values, with the rarest replaced by one word where there are very many."""
    counts = Counter(value for value in values if value is not None)
    kept = {value for value, _ in sorted(counts.items(), key=lambda one: (-one[1], one[0]))[:_MOST_VALUES]}
    return np.array([value if value is None or value in kept else _REST for value in values], object)


def _ordered(values: NDArray[np.object_]) -> list[str]:
    """Return the values, those that begin with a number first and in its order: 4-19 before 20-39."""
    return sorted({value for value in values if value is not None}, key=_place)


def _place(value: str) -> tuple[float, str]:
    number = re.match(r"\d+", value)
    return (float(number[0]) if number else np.inf, value)


def _score(rows: AnsweredRows, value: str, mask: NDArray[np.bool_], bootstrap: Bootstrap) -> dict[str, Any]:
    faces = rows.where(mask & rows.found)
    entry: dict[str, Any] = {"value": value, "rows": len(faces.label), "missed": int((mask & ~rows.found).sum())}
    if not len(faces.label):
        return entry | {"people": 0, "accuracy": None, "low": None, "high": None, "few": True}
    measured = measure(faces.answers(), bootstrap)
    accuracy = measured.scores["accuracy"]
    return entry | {
        "people": measured.groups,
        "accuracy": accuracy.value,
        "low": accuracy.low,
        "high": accuracy.high,
        "balanced_accuracy": measured.scores["balanced_accuracy"].plain(),
        "few": measured.groups < FEW_GROUPS,
    }
