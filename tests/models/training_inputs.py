"""Shards and parameters small enough to train on in a test."""

from pathlib import Path

from pipeline.core.params import TrainParams, read_params
from pipeline.shards.stage import run as write_shards
from tests.shard_inputs import make_inputs, shard_params

ROOT = Path(__file__).parents[2]


def make_training_shards(root: Path, rows: int = 120) -> Path:
    """Write shards of two datasets, one of them with valence and arousal; faces of 48 px."""
    inputs = make_inputs(root, rows=rows, hostile=False)
    write_shards(*inputs.tables, root / "shards", shard_params(), seed=1, workers=1)
    return root / "shards"


def train_params(**changes) -> TrainParams:
    """The project's own parameters, small: two epochs, 32 px, no preset."""
    given = read_params(ROOT / "params.yaml").train
    small = {
        "preset": "none", "model": "proposed", "size_px": 32, "epochs": 2, "batch_size": 32, "checkpoint_minutes": 0,
        "schedule": "constant", "ema": 0.0, "mixup": 0.0, "augment": "none", "patience": 0, "frozen_epochs": 0,
        "warmup_epochs": 0, "label_smoothing": 0.0, "class_weights": 0.0, "task": "emotion", "threads": 1,
        "optimizer": "adam", "learning_rate": 0.001, "tta_flip": False, "select": "balanced_accuracy",
    }  # fmt: skip
    return TrainParams.model_validate({**given.plain(), **small, **changes})
