"""`prep train`: train a network on the shards."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.core import folders
from stages import project
from stages.device import note_other_device, note_unused_gpu
from stages.progress import bar
from stages.say import note, say


def train(
    src: Annotated[str, typer.Option(help="The shards that prep shard wrote.")] = str(folders.SHARDS),
    out: Annotated[Path, typer.Option(help="Folder for the checkpoint and the loss curves.")] = folders.TRAIN,
) -> None:
    """Train the network that params.yaml names, chosen on validation; an interrupted training goes on where it was.

    Trains on the first NVIDIA GPU, else on the CPU. PREP_DEVICE names another device (cpu, cuda, cuda:N, mps, auto),
    PREP_DEVICES says how many GPUs train together (a number, auto), PREP_NODES how many machines, PREP_STRATEGY how
    they share gradients, PREP_WORKERS how many processes decode faces: docs/gpu.md.
    """
    folder = project.local_folder("--src", src)
    project.check_made(folder)
    from models.training.stage import run
    from pipeline.core.lineage.snapshot import read_snapshot

    params = project.load_params()
    note_unused_gpu()
    with bar("train") as progress:
        summary = run(folder, out, params.train, seed=params.seed, progress=progress, say=note)
    if out == folders.TRAIN:
        note_other_device(read_snapshot(out).ran)
    scores = ", ".join(f"{name} {value:.3f}" for name, value in summary["validation"].items())
    how = f"preset {summary['preset']}, augment {summary['augment']}, {summary['size_px']} px"
    kept = f"epoch {summary['best_epoch']} of {summary['epochs']} kept"
    say(
        f"train: {summary['model']} ({how}), {summary['rows_in']} faces, {kept}; validation {scores or 'none'} -> {out}"
    )
