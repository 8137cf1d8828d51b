"""Printing for `prep`. Names of files, labels and links come from others, so their control characters are escaped."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Annotated, Any, Final

import typer

Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
Fresh = Annotated[
    bool, typer.Option("--fresh", envvar="PREP_FRESH", help="Take over no part of an earlier run; make all anew.")
]
SetParam = Annotated[
    list[str] | None,
    typer.Option("-S", "--set-param", metavar="KEY=VALUE", help="Replace a value of params.yaml, as in dvc exp run."),
]
Start = Annotated[
    bool, typer.Option("--run/--no-run", help="Run the experiments that are missing, or only read what there is.")
]

_QUIET: Final[ContextVar[bool]] = ContextVar("quiet", default=False)


def say(text: str, *, err: bool = False) -> None:
    """Print what came of a command, or on stderr a warning or an error; under --quiet only the latter."""
    if err or not is_quiet():
        show(text, err=err)


def note(line: str) -> None:
    """Print a line that explains and does not warn, on stderr."""
    if not is_quiet():
        show(f"note: {line}", err=True)


def show(text: str, *, err: bool = False) -> None:
    """Print what was asked for, with all that is no printable character, line break or tab written as an escape."""
    typer.echo("".join(map(_printable, text)), err=err)


def show_json(content: Any) -> None:
    """Print an answer for programs. What is no printable character is escaped as JSON has it."""
    text = json.dumps(content, indent=1, ensure_ascii=False)
    show("".join(mark if mark.isprintable() or mark == "\n" else json.dumps(mark)[1:-1] for mark in text))


def is_quiet() -> bool:
    """Say whether --quiet was given to the command that runs."""
    return _QUIET.get()


@contextmanager
def quieted(*, on: bool) -> Iterator[None]:
    """Run in here as --quiet asks."""
    token = _QUIET.set(on)
    try:
        yield
    finally:
        _QUIET.reset(token)


def one_line(text: str) -> str:
    """Return a text, such as a path, without line breaks: the rest of it would be taken for another answer."""
    return text.replace("\r", "\\r").replace("\n", "\\n")


def _printable(character: str) -> str:
    if character.isprintable() or character in "\n\t":
        return character
    return character.encode("unicode_escape").decode()
