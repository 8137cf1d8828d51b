"""The smooth map, against its own knots and against SciPy's."""

import numpy as np
import pytest
from scipy.interpolate import RBFInterpolator

from pipeline.demo.spline import build_spline


@pytest.fixture
def knots():
    random = np.random.default_rng(3)
    grid = np.stack(np.meshgrid(np.arange(20, 360, 34.0), np.arange(10, 350, 34.0)), -1).reshape(-1, 2)
    return grid + random.uniform(-8, 8, grid.shape)


def test_every_knot_goes_to_its_value(knots):
    values = knots + np.random.default_rng(4).uniform(-6, 6, knots.shape)
    np.testing.assert_allclose(build_spline(knots, values)(knots), values, atol=0.02)


def test_knots_that_stay_move_nothing(knots):
    points = np.random.default_rng(5).uniform(0, 350, (50, 2))
    np.testing.assert_allclose(build_spline(knots, knots)(points), points, atol=1e-9)


def test_between_the_knots_it_is_the_multiquadric_of_scipy(knots):
    moved = np.random.default_rng(6).uniform(-6, 6, knots.shape)
    points = np.random.default_rng(7).uniform(30, 340, (200, 2))
    scipy = RBFInterpolator(knots, moved, kernel="multiquadric", epsilon=1 / 5, degree=0)
    np.testing.assert_allclose(build_spline(knots, knots + moved)(points) - points, scipy(points), atol=0.05)
