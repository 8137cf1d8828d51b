"""The training loss: cross-entropy with soft targets, weighted by class and sample, an error of affect, or both.

A row without a class, or without a value, has no part in the loss of that head.
"""

from dataclasses import dataclass, replace
from typing import Final

import torch
from torch import Tensor

from models.core.affect import affect_loss, squared_error
from models.core.heads import Heads, heads_of
from models.core.runtime import send
from models.data.faces import FaceBatch
from pipeline.core.params import TrainParams

# Keeps a division defined if all weights of a batch are 0; the loss is 0 then.
_TINY: Final = 1e-12


def loss_name(params: TrainParams) -> str:
    """Return what the loss of a training is called."""
    if params.task == "emotion":
        return "cross-entropy"
    of_values = "mean squared error" if params.affect_loss == "mse" else "1 - CCC"
    return f"cross-entropy + {of_values}" if params.task == "all" else of_values


@dataclass(frozen=True, slots=True)
class Objective:
    """The loss of a task and its share of right answers.

    Attributes:
        params: the training parameters.
        class_weights: (classes,) float32, weight of each class in the loss.
        given: what the network answers; None: all that `train.task` may ask for.
    """

    params: TrainParams
    class_weights: Tensor
    given: Heads | None = None

    @property
    def heads(self) -> Heads:
        """What the network answers."""
        return self.given or heads_of(self.params.task)

    def targets(self, faces: FaceBatch) -> Tensor:
        """Return what the network should answer: (N, C) probabilities, all 0 without a class, and (N, K) values."""
        parts = []
        if self.heads.classes:
            classes = torch.arange(len(self.class_weights), device=faces.labels.device)
            # `one_hot` would do the same, but first checks that each label is a class, for which it waits for the GPU.
            parts.append(faces.probs if self.params.soft_labels else (faces.labels.unsqueeze(1) == classes).float())
        if self.heads.values:
            parts.append(self._columns(faces.affect))
        return parts[0] if len(parts) == 1 else torch.cat(parts, 1)

    def loss(self, outputs: Tensor, targets: Tensor, faces: FaceBatch) -> Tensor:
        """Return the mean loss of a batch, given raw outputs (N, K) and their targets."""
        total, weight = self.totals(outputs, targets, faces)
        return total / weight.clamp(min=_TINY)

    def totals(self, outputs: Tensor, targets: Tensor, faces: FaceBatch) -> tuple[Tensor, Tensor]:
        """Return the sum of weighted losses and the sum of weights, which can be added up over the batches of an epoch.

        A concordance belongs to a set of rows and is not a sum over them, so that of a batch counts once for each row,
        and so does the sum of two losses.
        """
        parts = []
        if self.heads.classes:
            logits, shares = (_wide(self.heads.of_classes(columns)) for columns in (outputs, targets))
            class_weights = self.class_weights.to(outputs.device)
            parts.append(
                cross_entropy_totals(logits, shares, class_weights, faces.weights, self.params.label_smoothing)
            )
        if self.heads.values:
            parts.append(self._value_totals(outputs, targets, faces))
        if len(parts) == 1:
            return parts[0]
        rows = torch.full((), float(len(faces)), device=outputs.device)
        loss = torch.stack([total / weight.clamp(min=_TINY) for total, weight in parts]).sum()
        return loss * rows, rows

    def _value_totals(self, outputs: Tensor, targets: Tensor, faces: FaceBatch) -> tuple[Tensor, Tensor]:
        given, true = self._columns(faces.affect_given), self.heads.of_values(targets)
        answers = _wide(self.heads.of_values(outputs)).tanh()
        if self.params.affect_loss == "mse":
            return squared_error(answers, true, given, faces.weights)
        rows = torch.full((), float(len(faces)), device=outputs.device)
        return affect_loss(answers, true, given, "ccc", faces.weights) * rows, rows

    def sums(self, outputs: Tensor, faces: FaceBatch) -> tuple[float, ...]:
        """Return what `History.record` takes, of all rows at once: no order and no batches can change it."""
        exact = replace(faces, weights=faces.weights.double())
        total, weight = self.totals(outputs.double(), self.targets(faces).double(), exact)
        right, counted = self.right(outputs, faces)
        return (total.item(), weight.item(), right.double().sum().item(), counted.double().sum().item())

    def right(self, outputs: Tensor, faces: FaceBatch) -> tuple[Tensor, Tensor]:
        """Return (N,) how right each answer is, 0..1, and (N,) whether it counts.

        Of a network with classes: whether the class is right, where there is one. Of values: the share of right signs,
        where one is not 0.
        """
        if self.heads.classes:
            return (self.heads.of_classes(outputs).argmax(1) == faces.labels).float(), faces.labels >= 0
        true = self._columns(faces.affect)
        signed = self._columns(faces.affect_given) & (true != 0)
        agree = (outputs.sign() == true.sign()) & signed
        return agree.sum(1) / signed.sum(1).clamp(min=1), signed.any(1)

    def _columns(self, affect: Tensor) -> Tensor:
        """Return the columns (N, K) of values that are answered; indexing by a list would copy it to the GPU."""
        return torch.stack([affect[:, column] for column in self.heads.columns], 1)


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
