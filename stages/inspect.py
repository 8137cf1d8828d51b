"""`prep inspect`: what is in a raw tree, and what to type so that it is read."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Final

import typer
import yaml

from pipeline.core import folders
from pipeline.core.params import Params
from stages import project
from stages.ingest import AUTO, ingest_choices
from stages.say import Json, one_line, show, show_json

_UNSAID: Final = "…"  # what only a person can say
_UNITS: Final = ("B", "kB", "MB", "GB", "TB")


def inspect(
    path: Annotated[str, typer.Argument(help="A raw tree: a folder, an archive or a folder of archives.")],
    format: Annotated[  # noqa: A002 - the option's name
        str, typer.Option(help="A name of `prep formats`; auto: as params.yaml says, else recognised by its layout.")
    ] = AUTO,
    as_json: Json = False,
) -> None:
    """Print what a raw tree is, how many rows of each class it has, what is odd, and its entry for params.yaml.

    Nothing is written.
    """
    from pipeline.ingest.overview import inspect_tree

    params = project.load_params()
    known = project.dataset_of(params, path)
    found = inspect_tree(path, **_choices(params, path, format))
    _ask_unknown(found)
    if known is not None:
        found["entry"] = None
    if as_json:
        show_json(found)
        return
    for line in _lines(found):
        show(line)


def _choices(params: Params, path: str, fmt: str) -> dict[str, Any]:
    """Return what params.yaml says of a tree; one whose name is taken gets another name."""
    known = project.dataset_of(params, path)
    if known is not None:
        return ingest_choices(params, path, fmt)
    from pipeline.ingest.dataset_options import DatasetOptions

    name = re.sub(r"[^A-Za-z0-9_-]+", "_", Path(path).name.split(".")[0]).strip("_-") or "dataset"
    taken = set(params.datasets)
    free = next(one for one in (name, *(f"{name}-{n}" for n in range(2, len(taken) + 3))) if one not in taken)
    return {"dataset": free, "fmt": fmt, "params": params.ingest, "options": DatasetOptions()}


def _ask_unknown(found: dict[str, Any]) -> None:
    """Add to the notes and to the entry the labels that `harmonize` would refuse, with … for what they mean."""
    if "counts" not in found:
        return
    from pipeline.ingest.clues import MAX_CLASSES
    from pipeline.ingest.detect_format import find_reader
    from pipeline.ingest.registry import READERS
    from pipeline.labels.taxonomy import Lookup, read_taxonomy

    lookup = Lookup(read_taxonomy(found["format"]))
    unknown = sorted({label for of in found["counts"].values() for label in of if lookup.find(label) is None})
    if not unknown:
        return
    shown = ", ".join(unknown[:MAX_CLASSES])
    found["notes"].append(f"{len(unknown)} labels that prep harmonize knows no class for: {shown}")
    # So many are no classes, and a reader with labels of its own takes no others.
    if len(unknown) <= MAX_CLASSES and not find_reader(READERS, found["format"]).labels:
        found["entry"]["classes"] = dict.fromkeys(unknown, _UNSAID)


def _lines(found: dict[str, Any]) -> Iterator[str]:
    """Yield the report for people, a line at a time."""
    yield f"{found['src']}: {found['files']} files, {_size(found['bytes'])}"
    if "problem" in found:
        yield f"not read: {found['problem']}"
        yield from (f"  {clue}" for clue in found["clues"])
    else:
        yield f"recognised as {found['format']}: {found['recognised']}"
        yield from _counts(found)
    yield "suffixes: " + ", ".join(
        f"{suffix or 'none'} {of['files']} ({_size(of['bytes'])})" for suffix, of in found["suffixes"].items()
    )
    if found["duplicates"]["files"]:
        one, other = found["duplicates"]["examples"][0]
        yield f"duplicates: {found['duplicates']['files']} files have the bytes of another, such as {one} and {other}"
    else:
        yield "duplicates: no two files have the same bytes"
    for odd in found["odd"]:
        yield f"odd: {odd['count']} {odd['what']}, such as {odd['such_as'][0]}"
    yield from _entry(found)


def _counts(found: dict[str, Any]) -> Iterator[str]:
    """Yield a table of the rows of each class and split, what is left out, and the notes of the reader."""
    counts: dict[str, dict[str, int]] = found["counts"]
    labels = sorted({label for of in counts.values() for label in of})
    rows = [["class", *counts, "all"]]
    for label in labels:
        of = [split.get(label, 0) for split in counts.values()]
        rows.append([label, *map(str, of), str(sum(of))])
    sums = [sum(of.values()) for of in counts.values()]
    rows.append(["all", *map(str, sums), str(sum(sums))])
    # Without splits, the only column is that of all rows.
    rows = [[row[0], row[-1]] for row in rows] if list(counts) == ["all"] else rows
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    for row in rows:
        cells = [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        yield "  ".join(["", one_line(row[0]).ljust(widths[0]), *cells])
    rejected = ", ".join(f"{count} {reason}" for reason, count in found["rejected"].items())
    yield f"rows: {found['rows']}; left out: {rejected or 'none'}"
    if "refused" in found:
        yield f"prep ingest refuses it unless ingest.accept_mismatch has its name: {found['refused']}"
    release = found["release"]
    if release["release"]:
        yield f"release: {release['verdict']}, {release['release']}"
    yield from (f"note: {one_line(line)}" for line in found["notes"])


def _entry(found: dict[str, Any]) -> Iterator[str]:
    if found["entry"] is None:
        yield f"{folders.PARAMS} has it as {found['dataset']}"
        return
    if "format" not in found and "filled_in" not in found:
        yield "if the clues help, begin with:"
    elif "problem" in found and "filled_in" not in found:
        yield f"for {folders.PARAMS}, below datasets, once that is mended:"
    else:
        text = str(found["entry"])
        lead = "fill in each … of this" if _UNSAID in text else "add this"
        yield f"for {folders.PARAMS}, below datasets, {lead}:"
    text = yaml.safe_dump(found["entry"], default_flow_style=True, allow_unicode=True, sort_keys=False, width=1 << 20)
    yield f"  {found['dataset']}: {text.strip()}"


def _size(count: int) -> str:
    """Return a number of bytes as people read it."""
    size, unit = float(count), 0
    while size >= 1000 and unit < len(_UNITS) - 1:
        size, unit = size / 1000, unit + 1
    return f"{size:.0f} {_UNITS[unit]}" if not unit else f"{size:.1f} {_UNITS[unit]}"
