"""The file of all decisions about a dataset, `decisions/<dataset>.csv`: read strictly, written whole or not at all.

Every decision is one line, and the lines are sorted, so that a diff shows what was decided and git merges the lines of
two people (`decisions/.gitattributes`). What spreadsheets and merges do to such a file is refused with its line: a
repaired guess about somebody's decision would be worse than none.
"""

import csv
import fcntl
import io
import os
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from operator import attrgetter
from pathlib import Path
from typing import Final

from pipeline.core.errors import DataError
from pipeline.core.lineage.identity import PARTIAL_SUFFIX
from pipeline.core.place import replace_synced
from pipeline.decisions.decision import Decision, fault, parse_kind
from pipeline.decisions.escapes import escape, unescape

COLUMNS: Final = ("sample_id", "decision", "value", "by", "note")
_MARKERS: Final = ("<<<<<<<", "|||||||", "=======", ">>>>>>>")
_UNFINISHED: Final = "a mark of an unfinished merge; keep the lines of both sides and remove the marks"
# The cells of a line, which is also how lines are sorted.
_IN_ORDER: Final = attrgetter("sample_id", "kind", "value", "by", "note")


class BookError(DataError):
    """A file of decisions that cannot be taken as it is; the message names the file and the line."""


def read_book(path: Path) -> list[Decision]:
    """Return the decisions of a file, in its order; none if there is no file.

    Raises:
        BookError: not as `write_book` writes it, or a line that says nothing possible; names the line.
    """
    return [decision for _, decision in read_lines(path)]


def read_lines(path: Path) -> list[tuple[int, Decision]]:
    """Return the decisions of a file with the number of their line, from 1; see `read_book`."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise BookError(f"{path}: cannot be read: {error.strerror}") from None
    lines = _decode(path, content).split("\n")
    _check_header(path, lines[0])
    if lines[-1]:
        raise BookError(f"{path}:{len(lines)}: the last line has no end; it may be cut off")
    found: list[tuple[int, Decision]] = []
    before: dict[tuple[str, ...], int] = {}
    for number, line in enumerate(lines[1:-1], start=2):
        try:
            decision = _parse(line)
        except ValueError as error:
            raise BookError(f"{path}:{number}: {error}") from None
        if (first := before.setdefault(decision.place, number)) != number:
            raise BookError(
                f"{path}:{number}: {decision.by} has decided about {decision.sample_id} in line {first} already; "
                "keep one of the two lines"
            )
        found.append((number, decision))
    return found


def write_book(path: Path, decisions: Iterable[Decision]) -> None:
    """Write all decisions of a file, sorted; after a power cut there is the old file or the new one."""
    write_rows(path, COLUMNS, (map(escape, _IN_ORDER(one)) for one in sorted(decisions, key=_IN_ORDER)))


def write_rows(path: Path, columns: Iterable[str], rows: Iterable[Iterable[str]]) -> None:
    """Write a csv of escaped cells; after a power cut there is the old file or the new one."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    partial = path.with_name(f".{path.name}{PARTIAL_SUFFIX}")
    partial.write_text(text.getvalue(), encoding="utf-8", newline="")
    replace_synced(partial, path)


def change_book(path: Path, change: Callable[[list[Decision]], Iterable[Decision]]) -> list[Decision]:
    """Read a file, change its decisions and write it, while no other process does.

    Returns:
        The decisions that are now on the disk, sorted.

    Raises:
        BookError: the file cannot be taken as it is, or could not be after the change; it is left alone.
    """
    with locked(path):
        before = read_book(path)
        known = set(map(id, before))
        after = sorted(change(before), key=_IN_ORDER)
        taken: set[tuple[str, ...]] = set()
        for decision in after:
            if id(decision) not in known and (wrong := fault(decision)) is not None:
                raise BookError(f"{decision.sample_id}: {wrong}")
            if decision.place in taken:
                raise BookError(f"{decision.sample_id}: {decision.by} would decide twice about it; {path} is as it was")
            taken.add(decision.place)
        if after != before:
            write_book(path, after)
        return after


def replace_own(before: Iterable[Decision], new: Decision) -> list[Decision]:
    """Return the decisions with one more, which replaces what it cannot stand beside (`Decision.place`)."""
    return replace_all(before, [new])


def replace_all(before: Iterable[Decision], new: Collection[Decision]) -> list[Decision]:
    """Return the decisions with more, as `replace_own` adds each."""
    places = {one.place for one in new}
    return [*(one for one in before if one.place not in places), *new]


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Let no other process change the files of this one's folder, which is made where it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # On the folder, because the file itself is replaced, and a lock file would be one more file in git.
    opened = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(opened, fcntl.LOCK_EX)
        yield
    finally:
        os.close(opened)


def _decode(path: Path, content: bytes) -> str:
    if content.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        raise BookError(
            f"{path}:1: begins with a byte order mark, as spreadsheets write it; save it as plain UTF-8 without one"
        )
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise BookError(f"{path}:{line}: not UTF-8, as a spreadsheet may save it; save it as UTF-8") from None
    if "\r" in text:
        line = text.count("\n", 0, text.index("\r")) + 1
        raise BookError(f"{path}:{line}: ends as lines do on Windows (CRLF); save it with LF")
    return text


def _check_header(path: Path, line: str) -> None:
    wanted = ",".join(COLUMNS)
    if line == wanted:
        return
    if line.startswith(_MARKERS):
        raise BookError(f"{path}:1: {_UNFINISHED}")
    for mark, name in ((";", "semicolons"), ("\t", "tabs")):
        if line == wanted.replace(",", mark):
            raise BookError(f"{path}:1: separated by {name}, as spreadsheets do; expected commas: {wanted}")
    raise BookError(f"{path}:1: expected the header {wanted}, not {line[:80]!r}")


# A page reads the whole file at every key; all lines but one are those of the last time.
@lru_cache(maxsize=1 << 18)
def _parse(line: str) -> Decision:
    if line.startswith(_MARKERS):
        raise ValueError(_UNFINISHED)
    try:
        rows = list(csv.reader([line], strict=True))
    except csv.Error as error:
        raise ValueError(f"not a line of csv: {error}") from None
    if len(rows) != 1 or len(rows[0]) != len(COLUMNS):
        cells = len(rows[0]) if rows else 0
        raise ValueError(f"{cells} cells, not {len(COLUMNS)}: {','.join(COLUMNS)}")
    sample_id, kind, value, by, note = map(unescape, rows[0])
    decision = Decision(sample_id, parse_kind(kind), value, by, note)
    if (wrong := fault(decision)) is not None:
        raise ValueError(wrong)
    return decision
