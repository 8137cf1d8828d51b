"""What a network may be believed: what it scored on validation, beside chance, and whether it ever saw a real face."""

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from torch import nn

from models.checkpoint import Checkpoint, CheckpointInfo
from models.core.calibration import fit_temperature, to_probabilities
from models.evaluation.held_out import answer_logits, faces_for, read_held_out
from models.evaluation.metrics import Answers, Bootstrap, answer, measure
from pipeline.core.emotions import CLASSES
from pipeline.shards.read import ShardFolder

_DRAWS: Final = 500
_BATCH_ROWS: Final = 256


def vouch(
    network: nn.Module, info: CheckpointInfo, folder: ShardFolder, shards: Path, split: str, trained: Collection[int]
) -> CheckpointInfo:
    """Return what a checkpoint says of itself, with its temperature and its score on validation.

    Args:
        network: as it is saved; it answers where it lies.
        info: without these two.
        folder: the shards, opened.
        shards: their folder.
        split: of the validation rows, at least one.
        trained: the classes that had training rows.
    """
    rows = read_held_out(folder, shards, split)
    checkpoint = Checkpoint(info, network)
    logits = answer_logits(checkpoint, faces_for(checkpoint, shards, split, _BATCH_ROWS))
    temperature = fit_temperature(logits, rows.label, trained)
    predicted, confidence = answer(to_probabilities(logits, temperature).numpy(), range(len(CLASSES)))
    answers = Answers(rows.label, predicted, confidence, rows.group)
    score = measure(answers, Bootstrap(_DRAWS, 0, 1)).scores["balanced_accuracy"]
    chance = round(1 / len(np.unique(rows.label)), 6)
    found: dict[str, Any] = {"rows": len(rows.label), "balanced_accuracy": score.value, "chance": chance}
    return replace(info, temperature=temperature, validation=found | {"low": score.low, "high": score.high})
