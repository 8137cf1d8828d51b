"""Shards and an untrained network's run folder, made in the test's folder, for what reads both."""

from pathlib import Path

import pyarrow.parquet as pq
import torch

from models.checkpoint import CHECKPOINT_NAME, CheckpointInfo, save_checkpoint
from models.registry import find_model
from pipeline.core.emotions import CLASSES
from pipeline.core.params import EvaluateParams
from pipeline.core.stage_output import stage_output
from pipeline.shards.read import open_shards
from pipeline.shards.stage import run as write_shards
from tests.shard_inputs import make_inputs, shard_params, write_selected


def evaluate_params(**changes) -> EvaluateParams:
    values = {
        "batch_size": 16,
        "bootstrap_draws": 100,
        "calibration_bins": 15,
        "pose_cuts": [0.5, 0.8],
        "saliency_per_class": 4,
        "mistakes": 5,
        "map_faces": 40,
        "baseline": "none",
        "baseline_faces": 60,
        "occlusion": [],
        "threads": 1,
    }
    return EvaluateParams(**(values | changes))


def make_shards(root: Path, rows: int = 150, classes=CLASSES) -> Path:
    """Write shards of two datasets; three test rows of each have no face."""
    inputs = make_inputs(root, rows=rows, classes=classes)
    for folder in inputs.selected.values():
        ids = pq.read_table(folder / "selected.parquet")["sample_id"].to_pylist()
        tested = [key for key in ids if inputs.rows[key]["split"] == "test"][:3]
        write_selected(folder, [key for key in ids if key not in tested])
    write_shards(*inputs.tables, root / "shards", shard_params(), seed=1, workers=1)
    return root / "shards"


def make_run(
    shards: Path,
    out: Path,
    *,
    model: str = "proposed",
    contract: dict | None = None,
    classes=CLASSES,
    task: str = "emotion",
    seed: int = 1,
    validate_on: str = "val",
) -> Path:
    """Write a run folder as train does, with random weights."""
    folder = open_shards(shards)
    with stage_output(out, stage="train", sources=[shards], params={}) as output:
        make_checkpoint(
            output.folder,
            contract or folder.contract,
            model=model,
            classes=classes,
            task=task,
            seed=seed,
            shards=folder.snapshot_id,
            validate_on=validate_on,
        )
        output.finish(rows_in=0, rows_out=0)
    return out


def make_checkpoint(
    out: Path,
    contract: dict,
    *,
    model: str = "proposed",
    classes=CLASSES,
    task: str = "emotion",
    seed: int = 1,
    shards: str = "none",
    validate_on: str = "val",
    **more,
) -> Path:
    """Write an untrained network's checkpoint into a folder and return its path."""
    entry = find_model(model)
    torch.manual_seed(seed)
    size_px = max(entry.min_size_px, 32)
    network = entry.build(len(classes), size_px, None)
    params = {"augment": "none", "weights": "none", "validate_on": validate_on}
    info = CheckpointInfo(entry.name, classes, entry.input(size_px), contract, shards, task, False, params, **more)
    out.mkdir(parents=True, exist_ok=True)
    save_checkpoint(out / CHECKPOINT_NAME, network, info)
    return out / CHECKPOINT_NAME
