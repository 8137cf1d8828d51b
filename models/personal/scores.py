"""Scores of one network on the tested faces of one person, and their means over people with intervals."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np

from models.core.affect import score_affect
from models.evaluation.intervals import interval
from models.personal.anchored import Floats, Ints
from models.personal.people import Person

_DRAWS: Final = 2000
_EVERYTHING: Final = (-np.inf, np.inf)
_LEAST: Final = 1e-7
Row = dict[str, Any]


def score(person: Person, faces: Ints, answers: Floats) -> dict[str, float]:
    """Return the scores of answers (N, C + A) to some faces of a person; NaN for what is undefined.

    Of classes: accuracy, balanced accuracy over the classes that are tested, and log loss. Of values: root mean squared
    error and concordance of each, and the means of both over the values.
    """
    found = _score_classes(person, faces, answers[:, : person.classes]) if person.classes else {}
    for column, name in enumerate(person.values):
        true, answered = person.affect[faces, column], answers[:, person.classes + column]
        scored = score_affect(answered, true, ~np.isnan(true))
        found[f"{name}_rmse"] = scored.rmse if scored else np.nan
        found[f"{name}_ccc"] = scored.ccc if scored else np.nan
    for kind in ("rmse", "ccc") if person.values else ():
        known = [found[f"{name}_{kind}"] for name in person.values if not np.isnan(found[f"{name}_{kind}"])]
        found[kind] = float(np.mean(known)) if known else np.nan
    return found


def _score_classes(person: Person, faces: Ints, answers: Floats) -> dict[str, float]:
    labels = person.labels[faces]
    answers, labels = answers[labels >= 0], labels[labels >= 0]
    if not len(labels):
        return {"accuracy": np.nan, "balanced_accuracy": np.nan, "loss": np.nan}
    right = answers.argmax(axis=1) == labels
    recalls = [right[labels == label].mean() for label in np.unique(labels)]
    loss = -np.log(np.maximum(answers[np.arange(len(labels)), labels], _LEAST)).mean()
    return {"accuracy": float(right.mean()), "balanced_accuracy": float(np.mean(recalls)), "loss": float(loss)}


def names_of_scores(rows: Sequence[Row]) -> list[str]:
    """Return the names of the scores in rows, in their order."""
    about = {"person", "draw", "shots", "network", "tested", "never_shown", "general_weight"}
    return [name for name in rows[0] if name not in about]


def mean_over_draws(rows: Iterable[Row], score_name: str) -> dict[tuple[str, int, str], float]:
    """Return the mean over draws of one score by person, shots and network; draws where it is NaN are left out."""
    found: dict[tuple[str, int, str], list[float]] = {}
    for row in rows:
        found.setdefault((row["person"], row["shots"], row["network"]), []).append(row[score_name])
    return {key: float(np.nanmean(values)) if not np.isnan(values).all() else np.nan for key, values in found.items()}


def summarize(rows: Sequence[Row], pairs: Mapping[str, tuple[str, str]]) -> dict[str, Any]:
    """Return, by number of shots and by score, the mean of each network and of each difference, with 95% intervals.

    The interval is over people, each of whom counts once with the mean of their draws. If there is one person only, it
    is over draws, and so valid for this person only.

    Args:
        rows: one for each person, draw, number of shots and network.
        pairs: name of a difference -> the network that is better if it is positive, and the other one.
    """
    several = len({row["person"] for row in rows}) > 1
    units = [row if several else {**row, "person": str(row["draw"])} for row in rows]
    curve: dict[str, Any] = {}
    for name in names_of_scores(rows):
        means = mean_over_draws(units, name)
        for shots in sorted({shots for _, shots, _ in means}):
            people = sorted({person for person, count, _ in means if count == shots})
            columns = {
                network: np.array([means[person, shots, network] for person in people])
                for network in dict.fromkeys(row["network"] for row in rows)
            }
            columns |= {pair: columns[one] - columns[other] for pair, (one, other) in pairs.items()}
            cell = curve.setdefault(str(shots), {}).setdefault(name, {})
            cell |= {network: _interval(values) for network, values in columns.items()}
    return curve


def _interval(values: Floats) -> dict[str, float | None] | None:
    known = values[~np.isnan(values)]
    if not len(known):
        return None
    picks = np.random.default_rng(0).integers(0, len(known), (_DRAWS, len(known)))
    found = interval(float(known.mean()), known[picks].mean(axis=1), len(known), _EVERYTHING)
    return None if found is None else found.plain()
