"""95% intervals by the cluster bootstrap: whole groups are drawn with replacement, as many as there are.

Groups are independent of each other: a person, or whatever else the split keeps together (Field and Welsh,
"Bootstrapping clustered data", 2007). The plain percentile interval is too narrow for few groups. The expanded
percentile interval (Hesterberg, "What Teachers Should Know About the Bootstrap", The American Statistician 69, 2015)
corrects its tails by Student's t and the factor sqrt(n / (n - 1)), and equals the plain one for many groups. For two to
four groups, no quantile of the draws reaches far enough, so Student's interval with the bootstrap's standard error is
used. docs/intervals.md shows how often each contains the true value.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm, t

Floats = NDArray[np.float64]

FEWEST_GROUPS: Final = 2  # fewer say nothing about how groups differ
FEW_GROUPS: Final = 20  # with fewer, intervals are rough, and evaluate says so
_FEWEST_FOR_QUANTILES: Final = 5
# Bounds of a share, and of the difference of two.
SHARE: Final = (0.0, 1.0)
SHARE_DIFFERENCE: Final = (-1.0, 1.0)
# The share of draws outside a 95% interval.
_OUTSIDE: Final = 0.05
_DECIMALS: Final = 6


@dataclass(frozen=True, slots=True)
class Interval:
    """A value with the ends of its 95% interval, which are None if there are fewer than two groups."""

    value: float
    low: float | None
    high: float | None

    def plain(self) -> dict[str, float | None]:
        """Return it as JSON."""
        return {"value": self.value, "low": self.low, "high": self.high}


def tail(groups: int) -> float:
    """Return the share of draws outside each end of the interval: 0.025 for many groups, less for few."""
    return float(norm.sf(_errors(groups))) if groups >= FEWEST_GROUPS else 0.0


def _errors(groups: int) -> float:
    """Return half the width of the interval in the bootstrap's standard errors, which are too small for few groups."""
    return float(np.sqrt(groups / (groups - 1)) * t.ppf(1 - _OUTSIDE / 2, groups - 1))


def interval(value: float, draws: Floats, groups: int, bounds: tuple[float, float] = SHARE) -> Interval | None:
    """Return a value with its interval; None for a value that is NaN, because it is undefined.

    Args:
        value: computed on all rows.
        draws: (D,) computed on the bootstrap draws; NaN if it is undefined in a draw, such as the recall of a class
            without rows.
        groups: number of groups that contribute to the value.
        bounds: the lowest and highest possible value.
    """
    if np.isnan(value):
        return None
    drawn = draws[~np.isnan(draws)]  # a draw without rows of a class has no recall of it
    if groups < FEWEST_GROUPS or not len(drawn):
        return Interval(_round(value), None, None)
    if groups < _FEWEST_FOR_QUANTILES:
        half = _errors(groups) * float(drawn.std())
        return Interval(_round(value), _round(max(value - half, bounds[0])), _round(min(value + half, bounds[1])))
    outside = 100 * tail(groups)
    low, high = np.percentile(drawn, [outside, 100 - outside])
    return Interval(_round(value), _round(low), _round(high))


def _round(value: Any) -> float:
    return round(float(value), _DECIMALS)
