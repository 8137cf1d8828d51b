"""Other networks and a classical baseline, measured on the same rows as a network."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.checkpoint import CHECKPOINT_NAME, Checkpoint
from models.core.calibration import to_probabilities
from models.core.classes import find_columns, widen
from models.evaluation.baseline import answer_baseline
from models.evaluation.held_out import HeldOut, answer_logits, faces_for
from models.evaluation.measured import Done, TestSet, answered_rows, load_matching, read_index, read_training
from models.evaluation.summary import Training, beside, brief_beside, build_views
from pipeline.core.errors import UsageError
from pipeline.core.names import TEST
from pipeline.core.parallel.pool import Progress
from pipeline.shards.read import ShardFolder


def compare_networks(test: TestSet, rows: HeldOut, done: Done, others: Mapping[str, Path], progress: Progress) -> None:
    """Measure other networks of classes.

    Raises:
        UsageError: one answers no classes.
    """
    for name, other in others.items():
        rival = load_matching(other / CHECKPOINT_NAME, test.folder)
        classes = rival.info.heads.classes
        if not classes:
            raise UsageError(f"--beside: compares networks of classes; {other} answers {rival.info.task}")
        faces = faces_for(rival, test.shards, TEST, test.params.batch_size)
        logits = rival.info.heads.of_classes(answer_logits(rival, faces, progress))
        answers = widen(to_probabilities(logits, rival.info.temperature).numpy(), classes)
        training = replace(read_training(other, test.shards), outputs=tuple(find_columns(classes)))
        _compare(name, answers, training, test, rows, done, progress)


def compare_baseline(
    test: TestSet,
    rows: HeldOut,
    checkpoint: Checkpoint,
    folder: ShardFolder,
    done: Done,
    others: Collection[str],
    progress: Progress,
) -> None:
    """Measure the baseline, unless a network of its name was given."""
    name = test.params.baseline
    answers = None if name in others else answer_baseline(test.shards, folder, checkpoint, test.params)
    if answers is not None:
        training = replace(read_index(test.shards), outputs=tuple(find_columns(folder.classes)))
        _compare(name, answers, training, test, rows, done, progress)


def _compare(
    name: str,
    answers: NDArray[np.float32],
    training: Training,
    test: TestSet,
    rows: HeldOut,
    done: Done,
    progress: Progress,
) -> None:
    views = build_views(answered_rows(rows, answers), training, test.bootstrap, progress)
    done.report.setdefault("beside", {})[name] = brief_beside(done.views, views)
    done.details.setdefault("beside", {})[name] = beside(done.views, views)
