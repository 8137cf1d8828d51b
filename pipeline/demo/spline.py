"""A smooth map of the plane through given pairs of points, with the same bits on every machine.

Displacements are interpolated by multiquadric radial functions (Hardy: Multiquadric equations of topography and other
irregular surfaces, Journal of Geophysical Research 76(8), 1971). Besides sums and products they need only a square
root, which IEEE 754 rounds exactly. A thin-plate spline would need a logarithm, and LAPACK and BLAS add in an order
that depends on the processor. The raw trees must have the same bytes wherever `dvc repro` runs.
"""

from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]
Real = TypeVar("Real", np.float32, np.float64)
# How far around a knot the map is rounded off, in the units of the knots: less than the gap between two lids.
_SOFT: Final = 5.0
# Minus a distance, the multiquadric is conditionally positive definite (Micchelli, 1986); a constant above every
# distance in the portrait makes it positive definite, so that no pivots have to be searched.
_CEILING: Final = 2000.0


@dataclass(frozen=True, slots=True)
class Spline:
    """The map."""

    knots: Points  # (K, 2)
    weights: Points  # (K, 2)

    def __call__(self, points: Points) -> Points:
        """Map points, (N, 2) to (N, 2)."""
        kernel = _kernel(self.knots.astype(np.float32), points.astype(np.float32))
        weights = self.weights.astype(np.float32)
        # Summed along the first axis: row after row, in this order, whatever the width of the processor's vectors.
        moved = [np.add.reduce(kernel * weights[:, axis, None], axis=0) for axis in (0, 1)]
        return np.asarray(points + np.column_stack(moved))


def build_spline(knots: Points, values: Points) -> Spline:
    """Return the smooth map from each knot to its value; both (K, 2), no two knots equal."""
    return Spline(knots, _solve(_kernel(knots, knots), values - knots))


def _kernel(knots: NDArray[Real], points: NDArray[Real]) -> NDArray[Real]:
    right = points[None, :, 0] - knots[:, None, 0]
    down = points[None, :, 1] - knots[:, None, 1]
    squared: NDArray[Real] = right * right + down * down
    squared += right.dtype.type(_SOFT * _SOFT)
    return np.asarray(right.dtype.type(_CEILING) - np.sqrt(squared), right.dtype)


def _solve(matrix: Points, wanted: Points) -> Points:
    """Return the solution of a positive definite system with two right sides, by Gaussian elimination row by row."""
    size = len(matrix)
    system = np.column_stack([matrix, wanted])
    for step in range(size - 1):
        factors = system[step + 1 :, step] / system[step, step]
        system[step + 1 :, step + 1 :] -= factors[:, None] * system[step, step + 1 :]
    solution = np.zeros((size, 2))
    for step in range(size - 1, -1, -1):
        known = system[step, step + 1 : size, None] * solution[step + 1 :]
        solution[step] = (system[step, size:] - np.add.reduce(known, axis=0)) / system[step, step]
    return solution
