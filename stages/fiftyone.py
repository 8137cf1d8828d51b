"""`prep fiftyone`: write a dataset for FiftyOne, or read what was decided there."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from pipeline.core import folders
from pipeline.core.errors import UsageError
from stages import project
from stages.decided import book_of
from stages.progress import bar
from stages.say import note, say


class Direction(StrEnum):
    """Which way."""

    export = "export"
    import_ = "import"


def fiftyone(
    direction: Annotated[Direction, typer.Argument(help="Export writes a folder, import reads one.")],
    dataset: Annotated[str, typer.Option(help="The dataset.", show_default=False)],
    folder: Annotated[
        Path | None, typer.Option("--dir", help="The folder.  [default of export: runs/export/fiftyone/DATASET]")
    ] = None,
    by: Annotated[
        str | None, typer.Option("--as", help="Import: your alias, as it stands in git; no name.", show_default=False)
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Export: at most so many samples, the most doubtful.  [default: all]")
    ] = None,
) -> None:
    """Export a dataset to a folder that FiftyOne imports, or import what was decided there as decisions.

    FiftyOne itself is not needed. The folder holds whole pictures of people, and only you may read it. Import takes the
    folder that FiftyOne's dataset.export writes: another label, a moved box and the tags right, wrong_face,
    not_a_face, bad_picture and unsure become lines of decisions/<dataset>.csv.
    """
    params = project.load_params()
    if dataset not in params.datasets:
        raise UsageError(f"--dataset {dataset}: params.yaml has {', '.join(params.datasets)}")
    project.check_made(folders.SAMPLES / dataset)
    if direction is Direction.export:
        if by is not None:
            raise UsageError("--as is for import: an export decides nothing")
        _export(dataset, params.datasets[dataset].src, folder or folders.RUNS / "export/fiftyone" / dataset, limit)
        return
    if folder is None or by is None or limit is not None:
        raise UsageError("import needs --dir, a folder that FiftyOne exported, and --as, your alias; it has no --limit")
    _import(dataset, folder, by)


def _export(dataset: str, src: str, out: Path, limit: int | None) -> None:
    from pipeline.fiftyone.export import export
    from pipeline.ingest.registry import open_pictures
    from stages.withdrawn import withdrawn_samples

    withdrawn = withdrawn_samples(dataset)
    pictures = open_pictures(src, project.told_of(dataset, "format"))
    with bar(f"fiftyone {dataset}") as progress:
        summary = export(dataset, pictures, out, withdrawn=withdrawn, limit=limit, progress=progress)
    say(f"{out}: {summary['rows_out']} samples, {summary['pictures']} pictures; it shows faces, so keep it where it is")
    if rejected := sum(summary["rejected"].values()):
        note(f"{rejected} samples left out; see {out / 'rejects.parquet'}")
    note(f"fo.Dataset.from_dir({str(out)!r}, dataset_type=fo.types.FiftyOneDataset)")


def _import(dataset: str, folder: Path, by: str) -> None:
    from pipeline.core.names import SAMPLES_NAME
    from pipeline.core.tables import read_table
    from pipeline.decisions.book import change_book, replace_all
    from pipeline.decisions.decision import ALIAS
    from pipeline.fiftyone.edits import read_edits

    if not ALIAS.fullmatch(by):
        raise UsageError(f"--as {by!r}: expected a small letter, then up to 19 small letters, digits, - or _")
    known = read_table(folders.SAMPLES / dataset / SAMPLES_NAME, ["sample_id"])["sample_id"].to_pylist()
    edits = read_edits(folder, dataset, frozenset(known), by)
    if edits.decisions:
        change_book(book_of(dataset), lambda lines: replace_all(lines, edits.decisions))
    say(f"{book_of(dataset)}: {len(edits.decisions)} decisions of {edits.samples} samples")
    if edits.foreign:
        note(f"warning: {edits.foreign} samples of {folder} are none of {dataset}")
