"""`prep verify`: hash everything between the raw data and the results again, and compare."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.core.errors import LineageError
from stages.say import Json, note, say, show_json

if TYPE_CHECKING:
    from pipeline.verify.project import Checked


def verify(
    file: Annotated[
        Path | None, typer.Argument(help="Check only what this result was made from.", show_default=False)
    ] = None,
    forgotten: Annotated[
        bool, typer.Option("--forgotten", help="Look for the bytes of withdrawn samples instead.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Hash every link from the raw bytes to the results again; name what does not hold and exit with 1.

    With --forgotten, look for what `prep forget` withdrew: by the digests of the pictures and crops, in raw trees and
    archives, results, kept parts, DVC's cache, experiments and remotes. Exit with 1 if anything is found, or if a place
    cannot be looked into.
    """
    if forgotten:
        _verify_forgotten(as_json=as_json)
        return
    from pipeline.split.check import check
    from pipeline.verify.project import verify_project
    from stages.withdrawn import withdrawn_pictures

    checked: list[Checked] = []
    told = checked.append if as_json else _say
    problems = verify_project(file, check, checked=told, note=note, withdrawn=withdrawn_pictures())
    if as_json:
        folders = [asdict(folder) for folder in checked]
        show_json({"folders": folders, "problems": [asdict(problem) for problem in problems]})
    for problem in problems:
        say(f"{problem.path}: {problem.detail}", err=True)
    if problems:
        raise LineageError(f"{len(problems)} of the links do not hold; the first: {problems[0].path}")


def _verify_forgotten(*, as_json: bool) -> None:
    from pipeline.forget.holder import UNPROVEN
    from pipeline.forget.places import find_holders
    from stages.project import load_params
    from stages.withdrawn import raw_trees, read_wanted

    holders = list(find_holders(read_wanted(), raw_trees(load_params())))
    if as_json:
        show_json({"holders": [asdict(holder) for holder in holders]})
    for holder in holders:
        samples = f" of {', '.join(holder.samples)}" if holder.samples else ""
        say(f"{holder.kind}  {holder.where}: {holder.detail}{samples}", err=True)
    unproven = [holder.where for holder in holders if holder.kind == UNPROVEN]
    if len(holders) > len(unproven):
        count = len(holders) - len(unproven)
        raise LineageError(f"{count} places hold withdrawn samples, or may; prep forget says how to remove them")
    if unproven:
        raise LineageError(
            f"not proven: {', '.join(unproven)} cannot be looked into from here, and nothing else holds a withdrawn "
            "sample; dvc gc --workspace --cloud --remote NAME removes from a remote what is not used now, and an "
            "archive of another kind can be unpacked"
        )
    say("nothing that can be reached from here holds the bytes of a withdrawn sample")


def _say(folder: "Checked") -> None:
    unlocked = "" if folder.recorded else "  (dvc.lock does not have it)"
    say(f"{'holds ' if folder.holds else 'broken'}  {folder.path}{unlocked}")
