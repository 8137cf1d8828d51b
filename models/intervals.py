"""95% intervals by the cluster bootstrap: whole groups are drawn with replacement, as many as there are.

A group is what is independent of the others: a person, or whatever else the split keeps together (Field and Welsh,
"Bootstrapping clustered data", 2007). The plain percentile interval is too narrow for few groups; here its tails are
those of the expanded percentile interval (Hesterberg, "What Teachers Should Know About the Bootstrap", The American
Statistician 69, 2015), which corrects it by Student's t and the factor sqrt(n / (n - 1)) and is the plain
one for many.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm, t

Floats = NDArray[np.float64]

FEWEST_GROUPS: Final = 2  # below, nothing is known of how groups differ
FEW_GROUPS: Final = 20  # below, an interval is rough, and is said to be
_OUTSIDE: Final = 0.05
_DECIMALS: Final = 6


@dataclass(frozen=True, slots=True)
class Interval:
    """A value with the ends of its 95% interval, which are None where there are fewer than two groups."""

    value: float
    low: float | None
    high: float | None

    def plain(self) -> dict[str, float | None]:
        """Return it as JSON."""
        return {"value": self.value, "low": self.low, "high": self.high}


def tail(groups: int) -> float:
    """Return the share of draws beyond each end of the interval: 0.025 for many groups, less for few."""
    if groups < FEWEST_GROUPS:
        return 0.0
    wide = np.sqrt(groups / (groups - 1)) * t.ppf(1 - _OUTSIDE / 2, groups - 1)
    return float(norm.sf(wide))


def interval(value: float, draws: Floats, groups: int) -> Interval | None:
    """Return a value with its interval; None for a value that is NaN, which nothing is known about.

    Args:
        value: of all rows.
        draws: (D,) of the draws; NaN where a draw says nothing, as one without rows of a class does of its recall.
        groups: how many groups the value is of.
    """
    if np.isnan(value):
        return None
    drawn = draws[~np.isnan(draws)]
    if groups < FEWEST_GROUPS or not len(drawn):
        return Interval(_round(value), None, None)
    outside = 100 * tail(groups)
    low, high = np.percentile(drawn, [outside, 100 - outside])
    return Interval(_round(value), _round(low), _round(high))


def _round(value: Any) -> float:
    return round(float(value), _DECIMALS)
