"""Scores of valence, arousal and dominance, each with a 95% bootstrap interval over people, as classes have theirs.

Draws are computed from sums per group of rows, in whole numbers, so that they are the same on any machine
(`models.evaluation.metrics`); the values themselves are computed from the rows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.core.affect import AFFECT_SCORES, score_affect
from models.evaluation.intervals import SHARE, Interval, interval
from models.evaluation.metrics import Bootstrap, draw_sums

Floats = NDArray[np.float64]

MEAN_CCC: Final = "mean_ccc"
# The field's figure is the mean over these two, whatever else a network answers.
_MEAN_OF: Final = ("valence", "arousal")
_STEPS: Final = 1 << 16  # values are rounded to multiples of 1 / _STEPS in draws, whose squares add up exactly
_BOUNDS: Final = {"ccc": (-1.0, 1.0), "pearson": (-1.0, 1.0), "rmse": (0.0, 2.0)}
# Of each group: rows, sums of x, y, x x, y y, x y, then rows that have a sign, agreeing ones of these, agreeing ones.
_SUMS: Final = 9


@dataclass(frozen=True, slots=True)
class MeasuredValue:
    """The scores of one value: annotated rows, the groups they come from, and name in AFFECT_SCORES -> interval.

    A score is None where it is undefined.
    """

    rows: int
    groups: int
    scores: Mapping[str, Interval | None]


@dataclass(frozen=True, slots=True)
class MeasuredAffect:
    """The scores of each value that has an annotation, and the mean CCC of valence and arousal, None without both."""

    values: Mapping[str, MeasuredValue]
    mean_ccc: Interval | None


def measure_affect(
    names: Sequence[str], answers: NDArray[np.floating], true: NDArray[np.floating], group: NDArray[np.int64],
    bootstrap: Bootstrap,
) -> MeasuredAffect:  # fmt: skip
    """Score answers.

    Args:
        names: of the K values.
        answers: (N, K) in [-1, 1].
        true: (N, K) annotations in [-1, 1], NaN where there is none.
        group: (N,) the number of each row's group; the bootstrap draws groups, not rows.
        bootstrap: settings of the bootstrap.
    """
    # Groups without any annotation say nothing, so they are not drawn.
    known = ~np.isnan(true).all(axis=1)
    answers, true, (_, group) = answers[known], true[known], np.unique(group[known], return_inverse=True)
    given = ~np.isnan(true)
    whole = {
        name: score for k, name in enumerate(names) if (score := score_affect(answers[:, k], true[:, k], given[:, k]))
    }
    if not whole:
        return MeasuredAffect({}, None)
    sums = [_sum_groups(answers[:, k], true[:, k], given[:, k], group) for k in range(len(names))]
    drawn = draw_sums(np.concatenate(sums, axis=1), bootstrap)
    draws = {name: _scores(drawn[:, k * _SUMS : (k + 1) * _SUMS]) for k, name in enumerate(names)}
    found = {}
    for k, name in enumerate(names):
        if name in whole:
            groups = len(np.unique(group[given[:, k]]))
            points = whole[name].scores()
            scores = {
                score: interval(points[score], draws[name][score], groups, _BOUNDS.get(score, SHARE))
                for score in AFFECT_SCORES
            }
            found[name] = MeasuredValue(whole[name].rows, groups, scores)
    mean = None
    if set(_MEAN_OF) <= whole.keys():
        mean = interval(
            float(np.mean([whole[name].ccc for name in _MEAN_OF])),
            np.mean([draws[name]["ccc"] for name in _MEAN_OF], axis=0),
            min(found[name].groups for name in _MEAN_OF),
            _BOUNDS["ccc"],
        )
    return MeasuredAffect(found, mean)


def _sum_groups(
    answers: NDArray[np.floating], true: NDArray[np.floating], given: NDArray[np.bool_], group: NDArray[np.int64]
) -> Floats:
    """Return (G, _SUMS) whole numbers."""
    x, y = (np.rint(values[given].astype(np.float64) * _STEPS) for values in (answers, true))
    agree, signed = np.sign(answers[given]) == np.sign(true[given]), true[given] != 0
    columns = (np.ones(len(x)), x, y, x * x, y * y, x * y, signed, agree & signed, agree)
    groups, of = int(group.max()) + 1, group[given]
    return np.stack([np.bincount(of, weights=column, minlength=groups) for column in columns], axis=1)


def _scores(sums: Floats) -> dict[str, Floats]:
    """Return every score of each row of sums (D, _SUMS) as (D,), NaN where it is undefined."""
    rows, signed = sums[:, 0], sums[:, 6]
    with np.errstate(divide="ignore", invalid="ignore"):
        x, y, xx, yy, xy = (sums[:, 1:6] / rows[:, None]).T
        spread_x, spread_y, shared = np.maximum(xx - x * x, 0), np.maximum(yy - y * y, 0), xy - x * y
        return {
            "ccc": 2 * shared / (spread_x + spread_y + (x - y) ** 2),
            "pearson": shared / np.sqrt(spread_x * spread_y),
            "rmse": np.sqrt(np.maximum(xx - 2 * xy + yy, 0)) / _STEPS,
            "sign_agreement": sums[:, 7] / signed,
            "sign_agreement_with_zeros": sums[:, 8] / rows,
        }
