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

_BOUNDS: Final = (0.02, 50.0)
_AT_BOUND: Final = 1e-3  # in the logarithm
_DECIMALS: Final = 6


def to_probabilities(logits: Tensor, temperature: float) -> Tensor:
    """Return the mean over the views of the softmax of logits (V, N, C) divided by the temperature, (N, C)."""
    return (logits / temperature).softmax(2).mean(0)


def fit_temperature(logits: Tensor, labels: NDArray[np.int64], trained: Collection[int]) -> float:
    """Return the temperature with the smallest mean log loss.

    Args:
        logits: (V, N, C), of each face and, where the network answers for both, of its mirror image.
        labels: (N,) the true classes.
        trained: the classes that were trained; the loss of others says nothing of how sure the network may be.

    Returns:
        The temperature; 1 where there is no such row, or every answer is right and certainty has no bound.
    """
    known = np.isin(labels, sorted(trained))
    given = logits[:, torch.from_numpy(known)].double()
    truth = torch.from_numpy(labels[known])[None, :, None].expand(len(given), -1, 1)
    # Of no rows, too, all are right.
    if bool((given.argmax(2, keepdim=True) == truth).all()):
        return 1.0

    def loss(log_temperature: float) -> float:
        scaled = (given / float(np.exp(log_temperature))).log_softmax(2).gather(2, truth)[..., 0]
        return float(-(scaled.logsumexp(0) - np.log(len(scaled))).mean())

    low, high = np.log(_BOUNDS)
    found = float(minimize_scalar(loss, bounds=(low, high), method="bounded", options={"xatol": 1e-7}).x)
    return 1.0 if found - low < _AT_BOUND else round(float(np.exp(found)), _DECIMALS)
