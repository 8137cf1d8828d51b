"""A classical baseline, fitted to training faces and measured beside a network, so that its figure has a scale."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from models.checkpoint import Checkpoint
from models.classical.baselines import Classical
from models.core.calibration import to_probabilities
from models.core.classes import widen
from models.core.inputs import InputSpec
from models.data.faces import FaceBatch, concat_faces, faces_of
from models.data.loader import ShardLoader
from models.registry import find_model
from pipeline.core.errors import UsageError
from pipeline.core.names import TEST, TRAIN
from pipeline.core.params import EvaluateParams
from pipeline.shards.read import ShardFolder

_FEWEST_CLASSES: Final = 2


def answer_baseline(
    shards: Path, folder: ShardFolder, checkpoint: Checkpoint, params: EvaluateParams
) -> NDArray[np.float32] | None:
    """Fit `evaluate.baseline` to the first training faces of the shards, which are in random order, and let it answer.

    Args:
        shards: where the rows are.
        folder: the same, opened, without rows that have no class.
        checkpoint: the network that is measured; the baseline sees as much of the face.
        params: the name of the baseline, and the number of faces that it is fitted to at most.

    Returns:
        Probabilities (N, 8) of the test rows with a class; None without a baseline or two classes to fit it to.

    Raises:
        UsageError: the name is of no classical baseline.
    """
    if params.baseline == "none" or TRAIN not in folder.splits:
        return None
    entry = find_model(params.baseline)
    spec = entry.input(None)
    if not entry.whole_crop:
        spec = replace(spec, zoom=checkpoint.spec.zoom)
    model = entry.build(len(folder.classes), spec.size_px, None)
    if not isinstance(model, Classical):
        raise UsageError(f"evaluate.baseline: {params.baseline} is no classical baseline; give one, or none")
    known: list[FaceBatch] = []
    for batch in _faces(shards, folder, TRAIN, spec, params.batch_size):
        known.append(batch)
        if sum(map(len, known)) >= params.baseline_faces:
            break
    faces = concat_faces(known)
    if len(np.unique(faces.labels.numpy())) < _FEWEST_CLASSES:
        return None
    model.fit(faces, None)
    asked = _faces(shards, folder, TEST, spec, params.batch_size)
    logits = torch.cat([model(batch.pixels) for batch in asked])
    return widen(to_probabilities(logits[None], 1.0).numpy(), folder.classes)


def _faces(shards: Path, folder: ShardFolder, split: str, spec: InputSpec, batch_size: int) -> Iterator[FaceBatch]:
    for batch in ShardLoader(shards, split, batch_size=batch_size, shuffle=False, seed=0, spec=spec):
        yield faces_of(batch, folder.classes).scaled(spec)
