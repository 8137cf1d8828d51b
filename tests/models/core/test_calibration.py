"""Temperatures against an independent fit: scipy's BFGS over the inverse temperature, a fine grid, and simulations."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax
from sklearn.metrics import log_loss

from models.core.calibration import fit_temperature, to_probabilities


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

    # The prior by hand: eight more rows, shared out evenly over the faces, labelled as the network answers them.
    target = np.eye(8)[labels] + softmax(logits[0].numpy(), axis=1) * 8 / 600

    def loss(inverse):
        return -(target * log_softmax(logits[0].numpy() * inverse[0], axis=1)).sum(1).mean()

    expected = 1 / minimize(loss, [1.0], method="BFGS", options={"gtol": 1e-9}).x[0]
    found = fit_temperature(logits, labels, range(8))
    assert found == pytest.approx(expected, rel=1e-4)
    assert found == pytest.approx(sharpness, rel=0.15)


def with_prior(logits, labels, heat):
    """The log loss of scikit-learn over the rows and eight more, each class of each face a row of its own."""
    before, after = (softmax(logits / each, axis=2).mean(0) for each in (1, heat))
    rows = len(labels)
    truth = np.r_[labels, np.tile(range(8), rows)]
    weights = np.r_[np.ones(rows), before.ravel() * 8 / rows]
    return log_loss(truth, np.r_[after, np.repeat(after, 8, 0)], sample_weight=weights, labels=range(8))


def test_with_mirror_images_it_fits_the_mean_of_both_answers():
    logits, labels = answers(500, 3.0, seed=1, views=2)
    grid = np.geomspace(2, 4.5, 80)
    losses = [with_prior(logits.numpy(), labels, heat) for heat in grid]
    assert fit_temperature(logits, labels, range(8)) == pytest.approx(grid[np.argmin(losses)], rel=6e-3)


def test_rows_of_classes_that_were_never_trained_do_not_count():
    logits, labels = answers(400, 2.0, seed=2)
    logits[:, :, 1] = -100
    mine = labels != 1
    assert fit_temperature(logits, labels, set(range(8)) - {1}) == fit_temperature(
        logits[:, mine], labels[mine], range(8)
    )


def test_without_rows_and_where_no_other_is_better_it_stays_as_it_is():
    labels = np.arange(8)
    assert fit_temperature(torch.eye(8, dtype=torch.float64)[None] * 3, labels, set()) == 1
    assert fit_temperature(torch.eye(8, dtype=torch.float64)[None] * 1e6, labels, range(8)) == 1


def test_few_rows_that_are_all_right_make_a_network_a_little_surer():
    few, many = (fit_temperature(*all_right(rows), range(8)) for rows in (16, 1600))
    assert 0.5 < few < 1
    assert many < few


def all_right(rows):
    labels = np.arange(rows) % 8
    return 3 * torch.eye(8, dtype=torch.float64)[labels][None], labels


@pytest.mark.parametrize(("sharpness", "most"), [(0.5, 0.16), (1.0, 0.09), (2.0, 0.15)])
def test_on_thirty_rows_it_is_nearly_as_good_as_the_true_temperature(sharpness, most):
    """The oracle is the network's own truth: labels drawn from it, and its loss over 4,000 other faces."""
    faces, _ = answers(4000, sharpness, seed=99)
    truth = softmax(faces[0].numpy() / sharpness, axis=1)

    def risk(heat):
        return -(truth * log_softmax(faces[0].numpy() / heat, axis=1)).sum(1).mean()

    excess = [risk(fit_temperature(*answers(33, sharpness, seed), range(8))) - risk(sharpness) for seed in range(40)]
    assert np.mean(excess) < 0.04
    assert max(excess) < most


def test_answers_are_the_mean_over_the_views():
    logits, _ = answers(5, 1.0, views=2)
    expected = softmax(logits.numpy() / 2.5, axis=2).mean(0)
    np.testing.assert_allclose(to_probabilities(logits, 2.5), expected, rtol=1e-12)
