"""What training minimizes: cross-entropy against soft targets, weighted by class and sample, or an error of affect."""

from dataclasses import dataclass, replace
from typing import Final

import torch
from torch import Tensor

from models.core.affect import AFFECTS, TASK_OUTPUTS, affect_loss, squared_error
from models.core.runtime import send
from models.data.faces import FaceBatch
from pipeline.core.params import TrainParams

_TINY: Final = 1e-12


@dataclass(frozen=True, slots=True)
class Objective:
    """The loss of a task, and the share of right answers beside it.

    Attributes:
        params: how targets are made.
        class_weights: (classes,) float32, of each class in the loss.
    """

    params: TrainParams
    class_weights: Tensor

    def targets(self, faces: FaceBatch) -> Tensor:
        """Return what the network is to answer: (N, classes) probabilities, or (N, K) valence and arousal."""
        if self.params.task != "emotion":
            return faces.affect[:, self._columns()]
        if self.params.soft_labels:
            return faces.probs
        # As `one_hot` does, which first looks whether each label is a class, and so waits for the GPU.
        return (faces.labels.unsqueeze(1) == torch.arange(len(self.class_weights), device=faces.labels.device)).float()

    def loss(self, outputs: Tensor, targets: Tensor, faces: FaceBatch) -> Tensor:
        """Return the mean loss of a batch, given raw outputs (N, K) and their targets."""
        total, weight = self.totals(outputs, targets, faces)
        return total / weight.clamp(min=_TINY)

    def totals(self, outputs: Tensor, targets: Tensor, faces: FaceBatch) -> tuple[Tensor, Tensor]:
        """Return the sum of weighted losses and the sum of weights, which add up over the batches of an epoch.

        A concordance is of all rows and no sum: it counts once for each row of its batch.
        """
        if self.params.task == "emotion":
            class_weights = self.class_weights.to(outputs.device)
            return cross_entropy_totals(
                _wide(outputs), targets, class_weights, faces.weights, self.params.label_smoothing
            )
        given = faces.affect_given[:, self._columns()]
        answers = _wide(outputs).tanh()
        if self.params.affect_loss == "mse":
            return squared_error(answers, targets, given, faces.weights)
        rows = torch.full((), float(len(faces)), device=outputs.device)
        return affect_loss(answers, targets, given, "ccc", faces.weights) * rows, rows

    def sums(self, outputs: Tensor, faces: FaceBatch) -> tuple[float, ...]:
        """Return what `History.record` takes, of all rows at once: no order and no batches can change it."""
        exact = replace(faces, weights=faces.weights.double())
        total, weight = self.totals(outputs.double(), self.targets(faces).double(), exact)
        return (total.item(), weight.item(), self.right(outputs, faces).double().sum().item(), float(len(faces)))

    def right(self, outputs: Tensor, faces: FaceBatch) -> Tensor:
        """Return (N,) how right each answer is, 0 or 1: the class, or the sign of what is given."""
        if self.params.task == "emotion":
            return (outputs.argmax(1) == faces.labels).float()
        columns = self._columns()
        given = faces.affect_given[:, columns]
        agree = (outputs.sign() == faces.affect[:, columns].sign()) & given
        return agree.sum(1) / given.sum(1).clamp(min=1)

    def _columns(self) -> slice:
        """Return which columns of affect are answered. A list of them would be copied to the GPU, which waits."""
        names = TASK_OUTPUTS[self.params.task]
        first = AFFECTS.index(names[0])
        return slice(first, first + len(names))


def soft_cross_entropy(
    logits: Tensor, targets: Tensor, class_weights: Tensor, sample_weights: Tensor, smoothing: float
) -> Tensor:
    """Return the weighted mean cross-entropy; see `cross_entropy_totals`."""
    total, weight = cross_entropy_totals(logits, targets, class_weights, sample_weights, smoothing)
    return total / weight.clamp(min=_TINY)


def cross_entropy_totals(
    logits: Tensor, targets: Tensor, class_weights: Tensor, sample_weights: Tensor, smoothing: float
) -> tuple[Tensor, Tensor]:
    """Return the sum of the weighted cross-entropies, and the sum of the weights.

    With hard targets and equal sample weights their quotient is `torch.nn.CrossEntropyLoss(weight=...)`. Label
    smoothing is that of Szegedy et al. 2016 (arXiv:1512.00567). With both, a face has the weight of its own class,
    smoothed or not. `CrossEntropyLoss(weight=..., label_smoothing=...)` is another: there each class weighs the part of
    the target that is spread to it, so that every face pulls the answers towards the rare classes.

    Args:
        logits: (N, C).
        targets: (N, C) probabilities.
        class_weights: (C,).
        sample_weights: (N,).
        smoothing: share of each target that is spread evenly over the classes.
    """
    smooth = targets * (1 - smoothing) + smoothing / targets.shape[1]
    losses = -(smooth * logits.log_softmax(1)).sum(1)
    weights = (targets * class_weights).sum(1) * sample_weights
    return (losses * weights).sum(), weights.sum()


def balance_classes(labels: Tensor, classes: int, power: float) -> Tensor:
    """Return (classes,) weights: (mean count / count) ** power, averaging 1 over the samples; absent classes get 1."""
    counts = torch.bincount(labels, minlength=classes).float()
    present = counts > 0
    weights = torch.ones(classes)
    weights[present] = (counts[present].mean() / counts[present]) ** power
    return weights * counts.sum() / (weights * counts).sum().clamp(min=1e-12)


def mix(pixels: Tensor, targets: Tensor, alpha: float) -> tuple[Tensor, Tensor]:
    """Blend each face and its target with another of the batch: mixup, Zhang et al. 2018 (arXiv:1710.09412).

    Args:
        pixels: (N, C, S, S) float.
        targets: (N, K).
        alpha: of the Beta distribution that the share is drawn from.
    """
    share = torch.distributions.Beta(alpha, alpha).sample().item()
    order = send(torch.randperm(len(pixels)), pixels.device)  # drawn alike with and without a GPU
    return pixels * share + pixels[order] * (1 - share), targets * share + targets[order] * (1 - share)


def _wide(outputs: Tensor) -> Tensor:
    """Return bf16 and fp16 as float32."""
    return outputs if outputs.dtype == torch.float64 else outputs.float()
