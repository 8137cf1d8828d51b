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
    as_json: Json = False,
) -> None:
    """Hash every link from the raw bytes to the results again; name what does not hold and exit with 1."""
    from pipeline.split.check import check
    from pipeline.verify.project import verify_project

    checked: list[Checked] = []
    problems = verify_project(file, check, checked=checked.append if as_json else _say, note=note)
    if as_json:
        folders = [asdict(folder) for folder in checked]
        show_json({"folders": folders, "problems": [asdict(problem) for problem in problems]})
    for problem in problems:
        say(f"{problem.path}: {problem.detail}", err=True)
    if problems:
        raise LineageError(f"{len(problems)} of the links do not hold; the first: {problems[0].path}")


def _say(folder: "Checked") -> None:
    unlocked = "" if folder.recorded else "  (dvc.lock does not have it)"
    say(f"{'holds ' if folder.holds else 'broken'}  {folder.path}{unlocked}")
