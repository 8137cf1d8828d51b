"""`prep ingest`: read a raw tree as it ships into one table of samples."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from pipeline.core import folders
from pipeline.core.catalog import CATALOG
from pipeline.core.errors import ParamsError
from pipeline.core.params import AnyDataset, Params, TableDataset
from stages import project
from stages.progress import bar
from stages.say import Fresh, note, one_line, say

if TYPE_CHECKING:
    from pipeline.ingest.dataset_options import DatasetOptions

AUTO: Final = "auto"


def ingest(
    src: Annotated[str, typer.Option(help="A raw tree: a folder, an archive or a folder of archives, as it ships.")],
    format: Annotated[  # noqa: A002 - the option's name
        str, typer.Option(help="A name of `prep formats`; auto: as params.yaml says, else recognised by its layout.")
    ] = AUTO,
    out: Annotated[
        Path | None, typer.Option(help="Where to write.  [default: data/samples/<dataset>]", show_default=False)
    ] = None,
    accept_mismatch: Annotated[
        bool, typer.Option("--accept-mismatch", help="Read it although its counts are not those of the release.")
    ] = False,
    fresh: Fresh = False,
) -> None:
    """Read a raw tree: one row a face, with all that the raw dataset says of it, and why any row was left out."""
    run_ingest(project.load_params(), src, format=format, out=out, accept_mismatch=accept_mismatch, fresh=fresh)


def ingest_choices(params: Params, src: str, format: str = AUTO) -> dict[str, Any]:  # noqa: A002 - the option's name
    """Return what params.yaml says of a source, as the arguments dataset, fmt, params and options of an ingest.

    Raises:
        ParamsError: params.yaml names a format, or under `terms` one, that there is not.
    """
    from pipeline.ingest.dataset_options import DatasetOptions
    from pipeline.ingest.registry import READERS

    known = project.dataset_of(params, src)
    entry = known[1] if known else None
    formats = (AUTO, *(reader.name for reader in READERS))
    if known and known[1].format not in formats:
        key = f"{folders.PARAMS}: datasets.{known[0]}.format"
        raise ParamsError(f"{key}: expected {', '.join(formats)}, not {known[1].format!r}")
    if known and known[1].terms not in (None, *CATALOG):
        key = f"{folders.PARAMS}: datasets.{known[0]}.terms"
        raise ParamsError(f"{key}: expected {', '.join(CATALOG)}, not {known[1].terms!r}")
    return {
        "dataset": project.dataset_name(params, src),
        "fmt": entry.format if entry and format == AUTO else format,
        "params": params.ingest,
        "options": DatasetOptions() if entry is None else _options(entry),
    }


def _options(entry: AnyDataset) -> "DatasetOptions":
    from pipeline.ingest.dataset_options import DatasetOptions

    if not isinstance(entry, TableDataset):
        return DatasetOptions(classes=entry.classes or {}, align=entry.align, terms=entry.terms)
    return DatasetOptions(entry.named_columns(), entry.scales(), entry.classes or {}, entry.align, entry.terms)


def run_ingest(
    params: Params,
    src: str,
    *,
    format: str = AUTO,  # noqa: A002 - the option's name
    out: Path | None = None,
    accept_mismatch: bool = False,
    fresh: bool = False,
) -> None:
    """Ingest a source as params.yaml has it and say what came of it; for `prep ingest` and the stages that need it."""
    from pipeline.core.parts import Resume
    from pipeline.ingest.stage import run as ingest_tree

    choices = ingest_choices(params, src, format)
    dataset = choices["dataset"]
    with bar(f"ingest {dataset}") as progress:
        summary = ingest_tree(
            src,
            out or folders.SAMPLES / dataset,
            accept_mismatch=accept_mismatch,
            resume=Resume(fresh, note),
            progress=progress,
            **choices,
        )
    for line in summary["notes"]:
        note(one_line(line))
    rejected = ", ".join(f"{count} {reason}" for reason, count in summary["rejected"].items())
    say(
        f"{dataset}: {summary['rows_out']} of {summary['rows_in']} rows read as {summary['format']} "
        f"({summary['recognised']}); left out: {rejected or 'none'}"
    )
