"""`prep forget`: withdraw people or samples, and say what still holds their bytes and how to remove it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.core import folders
from pipeline.core.errors import SourceError, UsageError
from pipeline.core.params import Params
from pipeline.decisions.escapes import unescape
from stages import project
from stages.decided import SUFFIX, book_of
from stages.ingest import ingest_choices
from stages.say import note, say, show

if TYPE_CHECKING:
    from pipeline.decisions.forgotten import Digest
    from pipeline.ingest.registry import Pictures


def forget(
    dataset: Annotated[str, typer.Option(help="The dataset that the samples are of.", show_default=False)],
    by: Annotated[str, typer.Option("--as", help="Your alias, as it stands in git; no name.", show_default=False)],
    subject: Annotated[list[str] | None, typer.Option(help="A person; may be given again.", show_default=False)] = None,
    sample: Annotated[list[str] | None, typer.Option(help="A sample; may be given again.", show_default=False)] = None,
    listed: Annotated[
        Path | None, typer.Option("--list", help="A file with one sample a line.", show_default=False)
    ] = None,
) -> None:
    """Withdraw samples: no stage uses them again, and what still holds their bytes is named with the commands to type.

    Adds a decision `withdrawn` for each to decisions/<dataset>.csv, which nothing overrides, and the digests of their
    pictures and crops to decisions/forgotten/<dataset>.csv, by which `prep verify --forgotten` looks for them. Of a
    person these are all pictures, those that are no samples too, and none of them is ever used again.
    """
    from pipeline.decisions.book import change_book, replace_all
    from pipeline.decisions.decision import ALIAS, Decision, Kind
    from pipeline.decisions.forgotten import add_digests
    from pipeline.forget.commands import removal
    from pipeline.forget.digests import find_samples, take_digests
    from pipeline.forget.places import find_holders
    from pipeline.forget.resembling import resembling
    from pipeline.ingest.registry import has_tables
    from stages.withdrawn import raw_trees, read_wanted

    params = project.load_params()
    if dataset not in params.datasets:
        raise UsageError(f"--dataset {dataset}: params.yaml has {', '.join(params.datasets)}")
    if not ALIAS.fullmatch(by):
        raise UsageError(f"--as {by!r}: expected a small letter, then up to 19 small letters, digits, - or _")
    project.check_made(folders.SAMPLES / dataset)
    names = [*(sample or ()), *(_read_list(listed) if listed else ())]
    rows = find_samples(dataset, set(subject or ()), set(names))
    found = {row["sample_id"] for row in rows}
    if missing := sorted({*names} - found):
        raise UsageError(f"{missing[0]}: {dataset} has no such sample")
    if not names and not subject:
        raise UsageError("name people by --subject, samples by --sample, or a file of samples by --list")
    place = folders.FORGOTTEN / f"{dataset}{SUFFIX}"
    pictures = _open_raw(dataset, params.datasets[dataset].src)
    more = [one for who in subject or () for one in _of_person(params, dataset, who, rows, pictures)]
    # The digests come first: once they are on the disk, a run that is cut off here can be repeated.
    add_digests(place, [*take_digests(dataset, rows, pictures), *more])

    withdrawn = [Decision(name, Kind.withdrawn, "", by) for name in found]
    change_book(book_of(dataset), lambda lines: replace_all(lines, withdrawn))
    others = len({one.sample_id for one in more} - found)
    say(f"{book_of(dataset)}: {len(found)} samples withdrawn" + (f", and {others} other pictures" if others else ""))
    for line in resembling(found, in_table=has_tables(project.told_of(dataset, "format"))):
        note(line)
    holders = list(find_holders(read_wanted(), raw_trees(params)))
    for holder in holders:
        show(f"{holder.kind}  {holder.where}: {holder.detail}")
    show("To remove them, type in this order (dvc gc also removes all other results that are not those of now):")
    for command in removal(holders):
        show(f"  {command}")


def _open_raw(dataset: str, src: str) -> "Pictures | None":
    from pipeline.ingest.registry import open_pictures

    try:
        return open_pictures(src, project.told_of(dataset, "format"))
    except SourceError as error:  # somebody who withdraws must not wait until it is there again
        note(f"warning: {error}; the digests of its files in {folders.SAMPLES / dataset} are taken instead")
        return None


def _of_person(
    params: Params, dataset: str, subject: str, rows: list[dict[str, Any]], pictures: "Pictures | None"
) -> "list[Digest]":
    """Return the digests of a person's name and of the pictures that are no samples; whoever has neither is unknown."""
    from pipeline.decisions.forgotten import Digest, subject_md5
    from pipeline.forget.digests import more_digests
    from pipeline.ingest.people import pictures_of

    more: list[Digest] = []
    own = [row for row in rows if row["subject_id"] == subject]
    if pictures is not None:
        told = ingest_choices(params, params.datasets[dataset].src, project.told_of(dataset, "format"))
        found = pictures_of(params.datasets[dataset].src, told["fmt"], told["params"], told["options"], [subject])
        more = more_digests(dataset, own, found, pictures.in_table)
    names = [*(row["sample_id"] for row in own), *(one.sample_id for one in more)]
    if not names:
        raise UsageError(f"{subject}: {dataset} has no such subject")
    return [Digest(min(names), "subject", subject_md5(dataset, subject)), *more]


def _read_list(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")  # and no other character, for names may have any
        return [unescape(line.removesuffix("\r")) for line in lines if line.strip()]
    except (OSError, ValueError) as error:
        raise UsageError(f"--list {path}: cannot be read: {error}") from None
