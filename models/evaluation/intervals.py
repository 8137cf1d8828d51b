"""95% intervals by the cluster bootstrap: whole groups are drawn with replacement, as many as there are.

A group is what is independent of the others: a person, or whatever else the split keeps together (Field and Welsh,
"Bootstrapping clustered data", 2007). The plain percentile interval is too narrow for few groups; here its tails are
those of the expanded percentile interval (Hesterberg, "What Teachers Should Know About the Bootstrap", The American
Statistician 69, 2015), which corrects it by Student's t and the factor sqrt(n / (n - 1)) and is the plain
one for many. Of two to four groups no quantile of the draws reaches far enough: there it is Student's interval with the
bootstrap's standard error. How often each holds the truth: docs/intervals.md.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm, t

Floats = NDArray[np.float64]

FEWEST_GROUPS: Final = 2  # below, nothing is known of how groups differ
FEW_GROUPS: Final = 20  # below, an interval is rough, and is said to be
_FEWEST_FOR_QUANTILES: Final = 5
SHARE: Final = (0.0, 1.0)
SHARE_DIFFERENCE: Final = (-1.0, 1.0)
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
    return float(norm.sf(_errors(groups))) if groups >= FEWEST_GROUPS else 0.0


def _errors(groups: int) -> float:
    """Return half the width of the interval, in standard errors as the bootstrap has them."""
    return float(np.sqrt(groups / (groups - 1)) * t.ppf(1 - _OUTSIDE / 2, groups - 1))


def interval(value: float, draws: Floats, groups: int, bounds: tuple[float, float] = SHARE) -> Interval | None:
    """Return a value with its interval; None for a value that is NaN, which nothing is known about.

    Args:
        value: of all rows.
        draws: (D,) of the draws; NaN where a draw says nothing, as one without rows of a class does of its recall.
        groups: how many groups the value is of.
        bounds: the least and the greatest that such a value can be.
    """
    if np.isnan(value):
        return None
    drawn = draws[~np.isnan(draws)]
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
