"""Temperatures against an independent fit: scipy's BFGS over the inverse temperature, and a fine grid."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax
from sklearn.metrics import log_loss

from models.calibration import fit_temperature, to_probabilities


def answers(rows, sharpness, seed=0, views=1):
    """Logits whose true temperature is `sharpness`, and labels drawn from them."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(0, 1.5, (views, rows, 8))
    chances = softmax(logits, axis=2).mean(0)
    labels = (chances.cumsum(1) > generator.random((rows, 1))).argmax(1)
    return torch.from_numpy(logits * sharpness), labels


@pytest.mark.parametrize("sharpness", [0.3, 1.0, 4.0])
def test_it_is_that_of_a_fit_by_scipy(sharpness):
    logits, labels = answers(600, sharpness)

    def loss(inverse):
        return -log_softmax(logits[0].numpy() * inverse[0], axis=1)[np.arange(600), labels].mean()

    expected = 1 / minimize(loss, [1.0], method="BFGS", options={"gtol": 1e-9}).x[0]
    found = fit_temperature(logits, labels, range(8))
    assert found == pytest.approx(expected, rel=1e-4)
    assert found == pytest.approx(sharpness, rel=0.15)


def test_with_mirror_images_it_fits_the_mean_of_both_answers():
    logits, labels = answers(500, 3.0, seed=1, views=2)
    grid = np.geomspace(1.5, 6, 2000)
    losses = [log_loss(labels, softmax(logits.numpy() / heat, axis=2).mean(0), labels=range(8)) for heat in grid]
    assert fit_temperature(logits, labels, range(8)) == pytest.approx(grid[np.argmin(losses)], rel=2e-3)


def test_rows_of_classes_that_were_never_trained_do_not_count():
    logits, labels = answers(400, 2.0, seed=2)
    logits[:, :, 1] = -100
    mine = labels != 1
    assert fit_temperature(logits, labels, set(range(8)) - {1}) == fit_temperature(
        logits[:, mine], labels[mine], range(8)
    )


def test_where_nothing_bounds_the_certainty_it_stays_as_it_is():
    labels = np.arange(8)
    right = torch.eye(8, dtype=torch.float64)[None] * 3
    assert fit_temperature(right, labels, range(8)) == 1
    assert fit_temperature(right, labels, set()) == 1


def test_answers_are_the_mean_over_the_views():
    logits, _ = answers(5, 1.0, views=2)
    expected = softmax(logits.numpy() / 2.5, axis=2).mean(0)
    np.testing.assert_allclose(to_probabilities(logits, 2.5), expected, rtol=1e-12)
