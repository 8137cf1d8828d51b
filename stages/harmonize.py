"""`prep harmonize`: map a dataset's own labels to the eight classes."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.core import folders
from stages import project
from stages.decided import decided_table
from stages.progress import bar
from stages.say import say


def harmonize(
    src: Annotated[Path, typer.Option(help="A folder of samples, as ingest writes it.", show_default=False)],
    out: Annotated[Path | None, typer.Option(help="Default: data/labels/ and the name of --src.")] = None,
) -> None:
    """Give every sample one of the eight classes by its dataset's taxonomy; what has none is a reject.

    What has no class but a valence, an arousal or a dominance is kept without one.
    """
    project.check_made(src)
    from pipeline.core.names import DECIDED_HARMONIZE_NAME
    from pipeline.labels.stage import run as harmonize_labels

    folder = out or folders.LABELS / src.resolve().name
    with bar(f"harmonize {folder.name}") as progress:
        summary = harmonize_labels(
            src,
            folder,
            project.load_params().harmonize,
            decided=decided_table(src.resolve().name, DECIDED_HARMONIZE_NAME),
            progress=progress,
        )
    rejected = sum(summary["rejected"].values())
    taxonomy = "{name} version {version}".format(**summary["taxonomy"])
    unclassed = sum(summary["unclassed"].values())
    without = f", {unclassed} without a class but with valence, arousal or dominance" if unclassed else ""
    classed = summary["rows_out"] - unclassed
    say(f"{folder}: {classed} labels{without}, {rejected} rejected, taxonomy {taxonomy}")
