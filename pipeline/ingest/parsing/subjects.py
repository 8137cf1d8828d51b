"""Subjects from file names, if nothing else names them: `Ann_Lee_0012.jpg` is another picture of `Ann_Lee`."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from pipeline.core.errors import ParamsError
from pipeline.ingest.parsing.copies import original_of
from pipeline.ingest.raw_dataset import Annotation, RawDataset, Row, join, stem

_LAST_NUMBER: Final = re.compile(r"^(.*\D)?\d+\D*$")
# A prefix that fits this much of the pictures is a camera's or a collection's (`IMG_0001`), not a person's.
_MAX_SHARE: Final = 0.1
# In a smaller dataset, shared prefixes are too often chance.
_MIN_PICTURES: Final = 40
# Of the pictures that share their subject with another one: fewer are names that are alike by chance.
_MIN_SHARED: Final = 0.5
_CKPLUS: Final = re.compile(r"(S\d{3})_(\d{3})_\d{8}", re.IGNORECASE | re.ASCII)
# A few stray pictures do not make it another dataset.
_MIN_NAMED: Final = 0.9


def name_subjects(raw: RawDataset, rows: Sequence[Row]) -> Sequence[Row]:
    """Return the rows with a subject each, by the dataset's `subject_pattern` or by names that distinguish people.

    Without a pattern, the subject is the file's name up to its last number. This is used only if it gives groups: at
    least half of the pictures share their subject with another one, and no subject has more than a tenth of them. A
    note says so. Copies of one picture count once. As many subjects as pictures mean that nobody is known.
    """
    if any(isinstance(row, Annotation) and row.subject is not None for row in rows):
        return rows
    pattern = raw.columns.get("subject_pattern")
    if pattern is not None:
        return _with_subjects(rows, _matcher(pattern))
    if (named := _with_ckplus_names(raw, rows)) is not None:
        return named
    pictures = {_original(row.path) for row in rows if isinstance(row, Annotation) and isinstance(row.path, str)}
    counts = Counter(subject for name in pictures if (subject := _before_number(name.rpartition("/")[2])))
    if counts.total() < max(_MIN_PICTURES, 0.9 * len(pictures)) or max(counts.values()) > _MAX_SHARE * counts.total():
        return rows
    if sum(count for count in counts.values() if count > 1) < _MIN_SHARED * counts.total():
        return rows
    raw.notes.append(
        f"subject_id is the file's name up to its last number ({len(counts)} people); "
        "columns.subject_pattern says otherwise"
    )
    return _with_subjects(rows, subject_of)


def _with_ckplus_names(raw: RawDataset, rows: Sequence[Row]) -> Sequence[Row] | None:
    """Return the rows with CK+'s subject and sequence if nearly all pictures are named like its frames, otherwise None.

    Many mirrors contain its frames, and up to its last number, such a name gives the sequence and not the person.
    """
    found = [_CKPLUS.fullmatch(stem(row.path)) if isinstance(row.path, str) else None for row in rows]
    if not rows or sum(map(bool, found)) < _MIN_NAMED * len(rows):
        return None
    raw.notes.append("pictures are named as CK+'s frames, S010_004_00000017: subject_id and sequence_id are its own")
    return [_as_ckplus(row, name) if name else row for row, name in zip(rows, found, strict=True)]


def _as_ckplus(row: Row, name: re.Match[str]) -> Row:
    if not isinstance(row, Annotation):
        return replace(row, subject=name[1].upper())
    return replace(row, subject=name[1].upper(), sequence=row.sequence or f"{name[1]}_{name[2]}".upper())


def subject_of(path: str) -> str | None:
    """Return a file's base name up to its last number, without the separator; None if nothing is left.

    For a copy, the name of the original is used.
    """
    return _before_number(_original(path).rpartition("/")[2])


def _original(path: str) -> str:
    """Return the folder and stem of a copy's original, or those of the picture itself."""
    return join(path.rpartition("/")[0], original_of(stem(path)) or stem(path))


def _before_number(name: str) -> str | None:
    found = _LAST_NUMBER.match(name)
    return ((found[1] or "").rstrip(" ._-(") or None) if found else None


def _matcher(pattern: str) -> Callable[[str], str | None]:
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise ParamsError(f"params.yaml: columns.subject_pattern: not a regular expression: {error}") from None
    if compiled.groups != 1:
        raise ParamsError("params.yaml: columns.subject_pattern: needs one group, such as '^(.*)_[0-9]+'")

    def subject(path: str) -> str | None:
        found = compiled.search(path.rpartition("/")[2])
        return found[1] if found else None

    return subject


def _with_subjects(rows: Sequence[Row], subject: Callable[[str], str | None]) -> list[Row]:
    return [
        replace(row, subject=subject(row.path)) if isinstance(row.path, str) else row  # of rejected rows, too
        for row in rows
    ]
