"""`prep sheet`: pictures of what a network is trained on."""

from pathlib import Path
from typing import Annotated, Final

import typer

from pipeline.core import folders
from stages import project
from stages.say import say

_FOLDER: Final = folders.RUNS / "export"  # what people take away; no stage reads it


def sheet(
    src: Annotated[str, typer.Option(help="The shards that prep shard wrote.")] = str(folders.SHARDS),
    out: Annotated[Path | None, typer.Option(help=f"The picture to write, a .png; default: one in {_FOLDER}.")] = None,
    augmented: Annotated[
        bool, typer.Option("--augmented", help="What train.augment makes of one training face of each class.")
    ] = False,
    split: Annotated[str, typer.Option(help="train, val or test, for a sheet that is not augmented.")] = "train",
    columns: Annotated[int, typer.Option(min=2, max=40, help="Pictures in a row.")] = 8,
    seed: Annotated[int | None, typer.Option(min=0, help="Of the draw; default: seed of params.yaml.")] = None,
) -> None:
    """Draw a sheet of faces at random: a row a class, or one face of each class as augmentation changes it.

    The picture shows people, so keep it where the dataset is. Faces that the terms do not allow to show are left out.
    """
    folder = project.local_folder("--src", src)
    project.check_made(folder)
    from models.registry import find_model
    from models.training.run import Job
    from models.training.samples import sheet_of_augmentations, sheet_of_classes
    from pipeline.core.errors import UsageError
    from pipeline.core.names import SPLITS
    from pipeline.core.parallel.pool import no_progress
    from pipeline.report.sheet import write_png
    from pipeline.shards.read import open_shards

    if split not in SPLITS:
        raise UsageError(f"--split {split}: expected {', '.join(SPLITS)}")
    out = out or _FOLDER / ("augmented.png" if augmented else f"{split}.png")
    if out.suffix != ".png":
        raise UsageError(f"--out {out}: the name must end with .png")
    params = project.load_params()
    shards, drawn = open_shards(folder), params.seed if seed is None else seed
    if augmented:
        train = params.train.resolved()
        job = Job(folder, shards, train, find_model(train.model), drawn, no_progress)
        pixels = sheet_of_augmentations(job, columns)
    else:
        pixels = sheet_of_classes(shards, split, columns, drawn)
    out.parent.mkdir(parents=True, exist_ok=True)
    write_png(out, pixels)
    say(f"{out}: {'augmented faces' if augmented else f'faces of {split}'}, seed {drawn}")
