"""The rate at every step against its closed form and torch's own schedules; which weights decay, and how they move."""

import math

import pytest
import torch
from torch import nn

from models.training.optimizer import build_optimizer, rate_share
from tests.models.training_inputs import train_params


def shares(epochs, steps, **changes):
    params = train_params(**changes)
    return [rate_share(params, epochs, step, steps) for step in range(epochs * steps + 1)]


def test_warm_up_is_a_straight_line_to_the_full_rate_and_counts_in_steps():
    # Two epochs of four steps: nine equal strides to 1, of which the ninth is the first step after.
    found = shares(3, 4, schedule="constant", warmup_epochs=2)
    assert found == pytest.approx([1 / 9, 2 / 9, 3 / 9, 4 / 9, 5 / 9, 6 / 9, 7 / 9, 8 / 9, 1, 1, 1, 1, 1])
    half = shares(1, 4, schedule="constant", warmup_epochs=0.5)
    assert half == pytest.approx([1 / 3, 2 / 3, 1, 1, 1])


def test_exponential_falls_by_its_factor_after_each_epoch_of_those_that_follow_the_warm_up():
    assert shares(3, 2, schedule="exponential", decay=0.5, warmup_epochs=0) == [1, 1, 0.5, 0.5, 0.25, 0.25, 0.125]
    warm = shares(3, 2, schedule="exponential", decay=0.5, warmup_epochs=1)
    assert warm == pytest.approx([1 / 3, 2 / 3, 1, 1, 0.5, 0.5, 0.25])


def test_cosine_is_torchs_annealing_over_the_steps_after_the_warm_up():
    warm, epochs, steps = 1, 4, 5
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    torchs = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, (epochs - warm) * steps)
    expected = []
    for _ in range((epochs - warm) * steps + 1):
        expected.append(torchs.get_last_lr()[0])
        optimizer.step()
        torchs.step()
    found = shares(epochs, steps, schedule="cosine", warmup_epochs=warm)
    assert found[warm * steps :] == pytest.approx(expected, abs=1e-12)
    params = train_params(schedule="cosine", warmup_epochs=warm)
    assert rate_share(params, epochs, 99 * steps, steps) == pytest.approx(0, abs=1e-12)
    # All of it warm-up: nothing is divided by nothing.
    assert rate_share(train_params(schedule="cosine", warmup_epochs=2), 2, 10, 5) == pytest.approx(1)
    assert rate_share(train_params(schedule="cosine", warmup_epochs=0), 2, 1, 0) == pytest.approx(0.5)


@pytest.fixture
def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(2, 3))


@pytest.mark.parametrize("name", ["adam", "adamw", "sgd"])
def test_weights_decay_and_biases_and_norms_do_not(network, name):
    network[3].weight.requires_grad_(False)
    found = build_optimizer(network, train_params(optimizer=name, weight_decay=0.25), 0.125)
    assert type(found) is {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}[name]
    decayed, plain = found.param_groups
    assert [id(p) for p in decayed["params"]] == [id(network[0].weight)]
    rest = (network[0].bias, network[1].weight, network[1].bias, network[3].bias)
    assert [id(p) for p in plain["params"]] == [id(p) for p in rest]
    assert (decayed["weight_decay"], plain["weight_decay"]) == (0.25, 0.0)
    assert [group["lr"] for group in found.param_groups] == [0.125, 0.125]
    assert not any(group["fused"] for group in found.param_groups)
    assert all(
        group["fused"] for group in build_optimizer(network, train_params(optimizer=name), 1, fused=True).param_groups
    )


def test_a_group_without_weights_is_left_out(network):
    for parameter in (network[0].bias, network[1].weight, network[1].bias, network[3].bias):
        parameter.requires_grad_(False)
    assert [len(group["params"]) for group in build_optimizer(network, train_params(), 1).param_groups] == [2]


def test_sgd_has_nesterovs_momentum():
    """Two steps on a slope of 1: Sutskever et al. 2013 with 0.9, worked out by hand."""
    weight = nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        weight.weight.fill_(1.0)
    optimizer = build_optimizer(weight, train_params(optimizer="sgd", weight_decay=0.0), 0.1)
    for expected in (1 - 0.1 * 1.9, 1 - 0.1 * 1.9 - 0.1 * (1 + 0.9 * 1.9)):
        weight.weight.grad = torch.ones(1, 1)
        optimizer.step()
        assert weight.weight.item() == pytest.approx(expected, abs=1e-6)


def test_adamw_takes_the_decay_off_the_weight_and_adam_adds_it_to_the_slope():
    for name, expected in (("adamw", 2 - 0.1 * 0.5 * 2 - 0.1), ("adam", 2 - 0.1)):
        weight = nn.Linear(1, 1, bias=False)
        with torch.no_grad():
            weight.weight.fill_(2.0)
        weight.weight.grad = torch.full((1, 1), 3.0)
        build_optimizer(weight, train_params(optimizer=name, weight_decay=0.5), 0.1).step()
        assert weight.weight.item() == pytest.approx(expected, abs=1e-6)
    assert math.isclose(rate_share(train_params(schedule="constant"), 1, 0, 1), 1)
