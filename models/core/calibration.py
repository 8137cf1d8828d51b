"""Calibrating probabilities: one temperature per network, fitted on validation (Guo et al. 2017, arXiv:1706.04599).

Logits are divided by the temperature before the softmax, so that the probabilities fit the held-out labels best. The
most probable class stays the same, except rarely with the test-time flip, where two softmaxes are averaged.
"""

from collections.abc import Collection
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from torch import Tensor
from torch.nn import functional

# Beyond these, probabilities are all 0 or 1, or all equal.
_BOUNDS: Final = (0.02, 50.0)
# More digits would differ between machines, and a checkpoint should have the same bytes.
_DECIMALS: Final = 6


def to_probabilities(logits: Tensor, temperature: float) -> Tensor:
    """Return the mean over the views of the softmax of logits (V, N, C) divided by the temperature, (N, C)."""
    return (logits / temperature).softmax(2).mean(0)


def fit_temperature(logits: Tensor, labels: NDArray[np.int64], trained: Collection[int]) -> float:
    """Return the temperature with the smallest log loss over the rows and a few artificial rows that favour 1.

    A few rows that are nearly all right would make a network far too confident. So the fit gets as many additional rows
    as there are classes, labelled by the network's own probabilities at temperature 1. This is the catalytic prior of
    Huang, Stein, Rubin and Kou (PNAS 117(22), 2020), with the temperature 1 as the simpler model. A hundred rows
    outweigh it.

    Args:
        logits: (V, N, C), of each face and, with the test-time flip, of its mirror image.
        labels: (N,) the true classes.
        trained: the classes that were trained; rows of other classes are ignored, because no temperature fits them.

    Returns:
        The temperature; 1 if there are no rows of trained classes, or no other value is better.
    """
    known = np.isin(labels, sorted(trained))
    if not known.any():
        return 1.0
    given = logits[:, torch.from_numpy(known)].double()
    truth = functional.one_hot(torch.from_numpy(labels[known]), given.shape[2])
    as_it_is = to_probabilities(given, 1.0)
    target = truth + as_it_is * (given.shape[2] / len(truth))

    def loss(log_temperature: float) -> float:
        answers = (given / float(np.exp(log_temperature))).log_softmax(2).logsumexp(0) - np.log(len(given))
        return float(-(target * answers).sum(1).mean())

    low, high = np.log(_BOUNDS)
    found = float(minimize_scalar(loss, bounds=(low, high), method="bounded", options={"xatol": 1e-7}).x)
    return round(float(np.exp(found)), _DECIMALS) if loss(found) < loss(0) else 1.0
