"""`prep shard`: write balanced Parquet and WebDataset shards of all datasets."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.core import folders
from stages import project
from stages.progress import bar
from stages.say import Fresh, note, say


def shard(
    faces: Annotated[Path, typer.Option(help="Folder with the faces of each dataset.")] = folders.FACES,
    selected: Annotated[Path, typer.Option(help="Folder with the selected faces of each dataset.")] = folders.SELECTED,
    labels: Annotated[Path, typer.Option(help="Folder with the labels of each dataset.")] = folders.LABELS,
    split: Annotated[Path, typer.Option(help="Folder with split.parquet.")] = folders.SPLIT,
    out: Annotated[str, typer.Option(help="Folder to write, or a storage address such as s3://bucket/shards.")] = str(
        folders.SHARDS
    ),
    fresh: Fresh = False,
) -> None:
    """Balance the training classes and write the faces of all datasets as shards that any tool opens."""
    from pipeline.core.parallel.pool import worker_count
    from pipeline.core.parts import Resume
    from pipeline.shards.stage import run as write_shards

    params = project.load_params()
    project.check_made(split)
    with bar("shard") as progress:
        summary = write_shards(
            project.own_folders(params, faces),
            project.own_folders(params, selected),
            project.own_folders(params, labels),
            split,
            out,
            params.shard,
            seed=params.seed,
            workers=worker_count(),
            resume=Resume(fresh, note),
            test_caps={name: entry.test_per_class for name, entry in params.datasets.items() if entry.test_per_class},
            progress=progress,
        )
    counts = ", ".join(f"{count} {name}" for name, count in summary["shards"].items())
    say(f"{out}: {summary['rows_written']} rows in {counts} shards")
