"""The training loss: cross-entropy with soft targets, weighted by class and sample, or an error of affect."""

from dataclasses import dataclass, replace
from typing import Final

import torch
from torch import Tensor

from models.core.affect import AFFECTS, TASK_OUTPUTS, affect_loss, squared_error
from models.core.runtime import send
from models.data.faces import FaceBatch
from pipeline.core.params import TrainParams

# Keeps a division defined if all weights of a batch are 0; the loss is 0 then.
_TINY: Final = 1e-12


def loss_name(params: TrainParams) -> str:
    """Return what the loss of a training is called."""
    if params.task == "emotion":
        return "cross-entropy"
    return "mean squared error" if params.affect_loss == "mse" else "1 - CCC"


@dataclass(frozen=True, slots=True)
class Objective:
    """The loss of a task and its share of right answers.

    Attributes:
        params: the training parameters.
        class_weights: (classes,) float32, weight of each class in the loss.
    """

    params: TrainParams
    class_weights: Tensor

    def targets(self, faces: FaceBatch) -> Tensor:
        """Return what the network should answer: (N, classes) probabilities, or (N, K) values of affect."""
        if self.params.task != "emotion":
            return faces.affect[:, self._columns()]
        if self.params.soft_labels:
            return faces.probs
        # `one_hot` would do the same, but first checks that each label is a class, for which it waits for the GPU.
        return (faces.labels.unsqueeze(1) == torch.arange(len(self.class_weights), device=faces.labels.device)).float()

    def loss(self, outputs: Tensor, targets: Tensor, faces: FaceBatch) -> Tensor:
        """Return the mean loss of a batch, given raw outputs (N, K) and their targets."""
        total, weight = self.totals(outputs, targets, faces)
        return total / weight.clamp(min=_TINY)

    def totals(self, outputs: Tensor, targets: Tensor, faces: FaceBatch) -> tuple[Tensor, Tensor]:
        """Return the sum of weighted losses and the sum of weights, which can be added up over the batches of an epoch.

        A concordance belongs to a set of rows and is not a sum over them, so that of a batch counts once for each row.
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
        """Return (N,) how right each answer is, 0..1: whether the class is right, or the share of right signs."""
        if self.params.task == "emotion":
            return (outputs.argmax(1) == faces.labels).float()
        columns = self._columns()
        given = faces.affect_given[:, columns]
        agree = (outputs.sign() == faces.affect[:, columns].sign()) & given
        return agree.sum(1) / given.sum(1).clamp(min=1)

    def _columns(self) -> slice:
        """Return the columns of affect that the task predicts, as a slice, because a list must be copied to the GPU."""
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

    With hard targets and equal sample weights, their quotient is `torch.nn.CrossEntropyLoss(weight=...)`. Label
    smoothing is that of Szegedy et al. 2016 (arXiv:1512.00567). With both, the weight of a face is that of its own
    class. `CrossEntropyLoss(weight=..., label_smoothing=...)` differs: it weights the part of the target that smoothing
    spreads to a class by that class's weight, so that every face pulls the answers towards the rare classes.

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
    """Return (classes,) weights: (mean count / count) ** power, scaled to average 1 over samples; 1 for absent classes.

    The scaling keeps the size of the loss, and so the meaning of the learning rate, independent of the class counts.
    """
    counts = torch.bincount(labels, minlength=classes).float()
    present = counts > 0  # an absent class has no mean count to be compared with, and never occurs in a target
    weights = torch.ones(classes)
    weights[present] = (counts[present].mean() / counts[present]) ** power
    return weights * counts.sum() / (weights * counts).sum().clamp(min=1e-12)


def mix(pixels: Tensor, targets: Tensor, alpha: float) -> tuple[Tensor, Tensor]:
    """Blend each face and its target with another of the batch: mixup, Zhang et al. 2018 (arXiv:1710.09412).

    Args:
        pixels: (N, C, S, S) float.
        targets: (N, K).
        alpha: of the Beta(alpha, alpha) distribution that the share is drawn from.
    """
    share = torch.distributions.Beta(alpha, alpha).sample().item()
    order = send(torch.randperm(len(pixels)), pixels.device)  # drawn on the CPU, so it is the same with a GPU
    return pixels * share + pixels[order] * (1 - share), targets * share + targets[order] * (1 - share)


def _wide(outputs: Tensor) -> Tensor:
    """Return bf16 and fp16 as float32, because the loss needs all of its digits."""
    return outputs if outputs.dtype == torch.float64 else outputs.float()
