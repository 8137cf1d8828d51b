"""What `prep forget` writes down of withdrawn samples before they are gone: digests, by which `verify` finds the bytes.

A digest of a picture shows nothing of it, and only who has the picture can compute it.
"""

import csv
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pipeline.decisions.book import BookError, locked, write_rows
from pipeline.decisions.escapes import escape, unescape

COLUMNS: Final = ("sample_id", "what", "md5")
KINDS: Final = ("picture", "crop", "pixels", "subject")
_MD5: Final = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True, order=True)
class Digest:
    """The md5 of something that shows a withdrawn sample.

    `what` is picture (the file as the dataset ships it), crop (a stored face), pixels (a decoded face) or subject (of
    `subject_md5`: everything of this person is withdrawn).
    """

    sample_id: str
    what: str
    md5: str


def subject_md5(dataset: str, subject: str) -> str:
    """Return what stands for a withdrawn person of a dataset, in hex."""
    return hashlib.md5(f"{dataset}/{subject}".encode(), usedforsecurity=False).hexdigest()


def read_digests(path: Path) -> list[Digest]:
    """Return the digests of a file, sorted; none if there is no file.

    Raises:
        BookError: it is not such a file; names the line.
    """
    try:
        rows = list(csv.reader(path.read_text(encoding="utf-8").split("\n")[:-1], strict=True))
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BookError(f"{path}: cannot be read: {error}; git restore brings it back") from None
    if not rows or tuple(rows[0]) != COLUMNS:
        raise BookError(f"{path}:1: expected the header {','.join(COLUMNS)}")
    for number, row in enumerate(rows[1:], start=2):
        if len(row) != len(COLUMNS) or row[1] not in KINDS or not _MD5.fullmatch(row[2]):
            raise BookError(f"{path}:{number}: expected a sample, one of {', '.join(KINDS)} and an md5")
    try:
        return sorted(Digest(unescape(name), what, md5) for name, what, md5 in rows[1:])
    except ValueError as error:
        raise BookError(f"{path}: {error}") from None


def add_digests(path: Path, digests: Iterable[Digest]) -> None:
    """Add digests to a file, sorted, each once, whole or not at all, while no other process does.

    Raises:
        BookError: the file cannot be taken as it is; it is left alone.
    """
    taken = set(digests)
    with locked(path):
        every = sorted(taken.union(read_digests(path)))
        write_rows(path, COLUMNS, ((escape(one.sample_id), one.what, one.md5) for one in every))
