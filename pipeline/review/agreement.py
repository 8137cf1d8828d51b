"""How far two people agree about the same samples: Cohen's kappa (Educational and Psychological Measurement, 1960)."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from pipeline.decisions.decision import VERDICTS, Decision
from pipeline.decisions.settle import meaning


@dataclass(frozen=True, slots=True)
class Agreement:
    """Two people: `samples` is about how many both decided, `same` about how many alike.

    `kappa` is 1 where they agree on all, 0 where they agree as by chance; None if both gave one verdict throughout, for
    which it is not defined, or if no sample is common.
    """

    first: str
    second: str
    samples: int
    same: int
    kappa: float | None


def agreements(decisions: Iterable[Decision]) -> list[Agreement]:
    """Return the agreement of every two people, by their verdicts; a label and another label are two verdicts."""
    given: dict[str, dict[str, str]] = {}
    for one in decisions:
        if one.kind in VERDICTS:
            given.setdefault(one.by, {})[one.sample_id] = " ".join(meaning(one))
    people = sorted(given)
    pairs = [(first, second) for place, first in enumerate(people) for second in people[place + 1 :]]
    return [_agree(first, second, given[first], given[second]) for first, second in pairs]


def _agree(first: str, second: str, one: dict[str, str], other: dict[str, str]) -> Agreement:
    from sklearn.metrics import cohen_kappa_score

    common = sorted(one.keys() & other.keys())
    ours, theirs = [one[name] for name in common], [other[name] for name in common]
    same = sum(mine == yours for mine, yours in zip(ours, theirs, strict=True))
    kappa = math.nan if len({*ours, *theirs}) < 2 else float(cohen_kappa_score(ours, theirs))
    return Agreement(first, second, len(common), same, None if math.isnan(kappa) else round(kappa, 4))
