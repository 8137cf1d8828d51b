"""`prep train`: a network from the shards."""

from pathlib import Path
from typing import Annotated

import typer

from stages import project
from stages.progress import bar


def train(
    src: Annotated[str, typer.Option(help="The shards that prep shard wrote.")] = str(project.SHARDS),
    out: Annotated[Path, typer.Option(help="Folder for the checkpoint and the loss curves.")] = project.TRAIN,
) -> None:
    """Train the network that params.yaml names, chosen on validation; an interrupted training goes on where it was."""
    folder = project.local_folder("--src", src)
    project.check_made(folder)
    from models.train import train as run

    params = project.load_params()
    with bar("train") as progress:
        summary = run(folder, out, params.train, seed=params.seed, progress=progress)
    scores = ", ".join(f"{name} {value:.3f}" for name, value in summary["validation"].items())
    how = f"preset {summary['preset']}, augment {summary['augment']}, {summary['size_px']} px"
    kept = f"epoch {summary['best_epoch']} of {summary['epochs']} kept"
    typer.echo(
        f"train: {summary['model']} ({how}), {summary['rows_in']} faces, {kept}; validation {scores or 'none'} -> {out}"
    )
