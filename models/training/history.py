"""The history of a training: one row per epoch, the validation scores, and the best weights so far."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from torch import Tensor

from models.core.affect import score_affect
from models.core.heads import Heads

COLUMNS = ("epoch", "phase", "train_loss", "val_loss", "train_accuracy", "val_accuracy")
NO_SUMS: Final = (0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Phase:
    """Consecutive epochs in which the same layers train.

    Attributes:
        name: train, or features and finetune.
        first_epoch: number of epochs before the phase.
        epochs: number of epochs in it.
        unfreeze_blocks: blocks at the end of the base that train; None: all.
        learning_rate: the highest one of the phase.
    """

    name: str
    first_epoch: int
    epochs: int
    unfreeze_blocks: int | None
    learning_rate: float


@dataclass
class History:
    """The history of a training so far.

    Attributes:
        select: which epoch is kept: balanced_accuracy (of values the mean CCC, of both the mean of both), loss or last.
            Without a validation set it is the last.
        rows: the rows of losses.csv.
        scores: validation scores after each epoch; empty without a validation set.
        best: number of the best epoch, from 0; -1 before the first.
        best_state: the weights after the best epoch.
    """

    select: str
    rows: list[dict[str, Any]] = field(default_factory=list)
    scores: list[dict[str, float]] = field(default_factory=list)
    best: int = -1
    best_state: dict[str, Tensor] = field(default_factory=dict)

    def record(self, phase: str, sums: Sequence[Sequence[float]], scores: Mapping[str, float]) -> bool:
        """Record one epoch; return whether it is the best so far.

        Args:
            phase: name of the phase.
            sums: of training and of validation: weighted losses, weights, right answers, samples.
            scores: validation scores.
        """
        number = len(self.rows)
        train, val = (_means(part) for part in sums)
        values = (number + 1, phase, train[0], val[0], train[1], val[1])
        self.rows.append(dict(zip(COLUMNS, values, strict=True)))
        self.scores.append(dict(scores))
        better = self.best < 0 or self._rank(number) > self._rank(self.best)
        if better:
            self.best = number
        return better

    def plain(self) -> dict[str, Any]:
        """Return what a saved state of the training contains; the best weights have a file of their own."""
        return {"select": self.select, "rows": self.rows, "scores": self.scores, "best": self.best}

    def restore(self, values: Mapping[str, Any]) -> None:
        """Restore what `plain` returned."""
        for name, value in values.items():
            setattr(self, name, value)

    def _rank(self, number: int) -> tuple[float, ...]:
        """Return a key that orders epochs: larger is better, and NaN is worse than every number."""
        scores, loss = self.scores[number], self.rows[number]["val_loss"]
        loss = math.inf if math.isnan(loss) else loss
        if self.select == "last" or not scores:
            return (number,)
        if self.select == "loss":
            return (-loss,)
        ccc = [value for name, value in scores.items() if name.endswith("_ccc")]
        parts = [scores["balanced_accuracy"]] if "balanced_accuracy" in scores else []
        parts += [float(np.mean(ccc))] if ccc else []
        score = float(np.mean(parts)) if parts else 0.0
        return (-math.inf if math.isnan(score) else score, -loss)


def score_classes(outputs: Tensor, labels: Tensor) -> dict[str, float]:
    """Return the mean recall over the classes that occur, given logits (N, C) and labels (N,); nothing without any."""
    right = outputs.argmax(1) == labels
    recalls = [right[labels == label].double().mean().item() for label in np.unique(labels[labels >= 0].numpy())]
    return {"balanced_accuracy": float(np.mean(recalls))} if recalls else {}


def score_values(heads: Heads, outputs: Tensor, affect: Tensor, given: Tensor) -> dict[str, float]:
    """Return rows, CCC, Pearson, RMSE and sign agreement of each value that the network answers.

    Args:
        heads: what the network answers.
        outputs: (N, C + K), of values before the final tanh.
        affect: (N, 3) annotations.
        given: (N, 3) whether it is annotated.
    """
    scores: dict[str, float] = {}
    answers = heads.of_values(outputs).tanh()
    for position, (name, column) in enumerate(zip(heads.values, heads.columns, strict=True)):
        found = score_affect(answers[:, position].numpy(), affect[:, column].numpy(), given[:, column].numpy())
        if found is not None:
            of_value = {"rows": found.rows, **found.scores()}
            scores |= {f"{name}_{score}": value for score, value in of_value.items()}
    return scores


def _means(sums: Sequence[float]) -> tuple[float, float]:
    losses, weight, right, samples = sums
    return (losses / weight if weight else math.nan, right / samples if samples else math.nan)
