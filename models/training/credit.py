"""How far a network can be trusted: its temperature, and its validation score compared with chance."""

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from torch import nn

from models.checkpoint import Checkpoint, CheckpointInfo
from models.core.calibration import fit_temperature, to_probabilities
from models.core.classes import find_columns, find_outputs, widen
from models.evaluation.held_out import answer_logits, faces_for, read_held_out
from models.evaluation.metrics import Answers, Bootstrap, answer, measure
from pipeline.shards.read import ShardFolder

# Fewer draws than in evaluate, because this interval only decides whether a network is near chance.
_DRAWS: Final = 500
_BATCH_ROWS: Final = 256


def vouch(
    network: nn.Module, info: CheckpointInfo, folder: ShardFolder, shards: Path, split: str, trained: Collection[int]
) -> CheckpointInfo:
    """Return the metadata of a checkpoint with its temperature and its validation score filled in.

    Args:
        network: the network as it is saved; it runs on the device that it is on.
        info: the metadata without these two.
        folder: the shards, opened for rows with a class.
        shards: their folder.
        split: the name of the validation split, which must have rows.
        trained: the outputs whose classes had training rows.
    """
    rows = read_held_out(folder, shards, split)
    checkpoint = Checkpoint(info, network)
    logits = info.heads.of_classes(answer_logits(checkpoint, faces_for(checkpoint, shards, split, _BATCH_ROWS)))
    classes = info.heads.classes
    temperature = fit_temperature(logits, find_outputs(rows.label, classes), trained)
    probabilities = widen(to_probabilities(logits, temperature).numpy(), classes)
    predicted, confidence = answer(probabilities, find_columns(classes))
    answers = Answers(rows.label, predicted, confidence, rows.group)
    score = measure(answers, Bootstrap(_DRAWS, 0, 1)).scores["balanced_accuracy"]
    chance = round(1 / len(np.unique(rows.label)), 6)
    found: dict[str, Any] = {"rows": len(rows.label), "balanced_accuracy": score.value, "chance": chance}
    return replace(info, temperature=temperature, validation=found | {"low": score.low, "high": score.high})
