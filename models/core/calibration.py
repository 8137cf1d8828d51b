"""How sure answers may be: one temperature a network, fitted on validation (Guo et al. 2017, arXiv:1706.04599).

Logits are divided by it before the softmax, so that the probabilities fit the held-out labels best; which class is the
most probable hardly changes, and not at all without mirror images.
"""

from collections.abc import Collection
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from torch import Tensor
from torch.nn import functional

_BOUNDS: Final = (0.02, 50.0)
_DECIMALS: Final = 6


def to_probabilities(logits: Tensor, temperature: float) -> Tensor:
    """Return the mean over the views of the softmax of logits (V, N, C) divided by the temperature, (N, C)."""
    return (logits / temperature).softmax(2).mean(0)


def fit_temperature(logits: Tensor, labels: NDArray[np.int64], trained: Collection[int]) -> float:
    """Return the temperature with the smallest log loss over the rows, and over a few more that speak for 1.

    Few rows that are nearly all right would make any network far too sure. So the fit sees as many more rows as there
    are classes, labelled by the answers of the network as it is: the catalytic prior of Huang, Stein, Rubin and Kou
    (PNAS 117(22), 2020), whose simpler model is the temperature 1. A hundred rows outweigh them.

    Args:
        logits: (V, N, C), of each face and, where the network answers for both, of its mirror image.
        labels: (N,) the true classes.
        trained: the classes that were trained; the loss of others says nothing of how sure the network may be.

    Returns:
        The temperature; 1 where there is no such row, or no other is better.
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
