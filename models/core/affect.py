"""Valence, arousal and dominance: a loss that skips rows without annotations, and the scores common in the field.

CCC is Lin's concordance correlation coefficient (Lin 1989, Biometrics 45:255), with population moments. Sign agreement
is that of Nicolaou et al. (2011, IEEE Transactions on Affective Computing 2:92).
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

AFFECTS: Final = ("valence", "arousal", "dominance")
AFFECT_SCORES: Final = ("ccc", "pearson", "rmse", "sign_agreement", "sign_agreement_with_zeros")
# With one value there is no variance, so a concordance is undefined.
_FEWEST_FOR_CCC: Final = 2
# Keeps a division defined if no row is annotated; the numerator is 0 then.
_TINY: Final = 1e-8


@dataclass(frozen=True, slots=True)
class AffectScore:
    """How well a value was answered. What is undefined is NaN.

    Attributes:
        rows: number of annotated samples.
        ccc: concordance correlation in [-1, 1]; undefined for one sample, or if all values are the same.
        pearson: Pearson's correlation in [-1, 1]; undefined if one side does not vary.
        rmse: root of the mean squared error, for values in [-1, 1].
        sign_agreement: share of samples whose sign is right; samples with a true 0 are left out, and without others it
            is undefined.
        sign_agreement_with_zeros: the same over all samples; a true 0 is right if the answer is exactly 0.
    """

    rows: int
    ccc: float
    pearson: float
    rmse: float
    sign_agreement: float
    sign_agreement_with_zeros: float

    def scores(self) -> dict[str, float]:
        """Return the scores by name."""
        return {name: getattr(self, name) for name in AFFECT_SCORES}


def score_affect(
    predicted: NDArray[np.floating], true: NDArray[np.floating], given: NDArray[np.bool_]
) -> AffectScore | None:
    """Score one column.

    Args:
        predicted: (N,) answers.
        true: (N,) annotations; values without an annotation are ignored.
        given: (N,) whether there is an annotation.

    Returns:
        The scores, or None if no sample is annotated.
    """
    if not given.any():
        return None
    answer, truth = predicted[given].astype(np.float64), true[given].astype(np.float64)
    agree, signed = np.sign(answer) == np.sign(truth), truth != 0
    spreads = answer.std() * truth.std()
    return AffectScore(
        rows=len(truth),
        ccc=concordance(answer, truth),
        pearson=float(np.mean((answer - answer.mean()) * (truth - truth.mean())) / spreads) if spreads else np.nan,
        rmse=float(np.sqrt(np.mean((answer - truth) ** 2))),
        sign_agreement=float(agree[signed].mean()) if signed.any() else np.nan,
        sign_agreement_with_zeros=float(agree.mean()),
    )


def concordance(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Return the concordance correlation coefficient of two (N,) arrays; NaN for one value, or if all are the same."""
    if len(first) < _FEWEST_FOR_CCC:
        return np.nan
    shared = float(np.mean((first - first.mean()) * (second - second.mean())))
    spread = float(first.var() + second.var() + (first.mean() - second.mean()) ** 2)
    return 2 * shared / spread if spread > 0 else np.nan


def affect_loss(answers: Tensor, true: Tensor, given: Tensor, kind: str, weights: Tensor) -> Tensor:
    """Return the weighted loss over the annotated values; 0, with a gradient of 0, if there are none.

    Args:
        answers: (N, K) in [-1, 1].
        true: (N, K) in [-1, 1].
        given: (N, K) bool, whether there is an annotation.
        kind: mse, or ccc for the mean over columns of 1 - CCC.
        weights: (N,) of each sample; a sample of weight 2 counts like two.
    """
    if kind == "mse":
        total, weight = squared_error(answers, true, given, weights)
        return total / weight.clamp(min=_TINY)
    # Rows without an annotation get a weight of 0. To leave them out, the processor would have to wait for a GPU to say
    # how many rows remain.
    counted = given * weights[:, None]
    columns = [_ccc_loss(answers[:, k], true[:, k], counted[:, k], given[:, k]) for k in range(true.shape[1])]
    return torch.stack(columns).mean() + 0 * answers.sum()


def squared_error(answers: Tensor, true: Tensor, given: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Return the sum of the weighted squared errors, and the sum of the weights; the arguments are `affect_loss`'s."""
    counted = given * weights[:, None]
    return ((answers - true) ** 2 * counted).sum(), counted.sum()


def _ccc_loss(answers: Tensor, true: Tensor, weights: Tensor, given: Tensor) -> Tensor:
    share = weights / weights.sum().clamp(min=_TINY)
    means = (share * answers).sum(), (share * true).sum()
    apart = answers - means[0], true - means[1]
    spread = (share * apart[0] ** 2).sum() + (share * apart[1] ** 2).sum() + (means[0] - means[1]) ** 2
    loss = 1 - 2 * (share * apart[0] * apart[1]).sum() / (spread + _TINY)
    return loss * (given.sum() >= _FEWEST_FOR_CCC)
