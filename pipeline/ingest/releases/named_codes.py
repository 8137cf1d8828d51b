"""Codes without names: counts can prove what they mean, and if they do not, nobody guesses."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from pipeline.ingest.clues import MAX_CLASSES
from pipeline.ingest.dataset_options import NOT_GIVEN, UNSAID, SettingError, classes_line, code_key, code_of
from pipeline.ingest.raw_dataset import NO_SPLIT, Annotation, RawDataset, Row
from pipeline.ingest.releases.counts import HELD_OUT, RELEASES, Release, split_key
from pipeline.ingest.releases.said_names import said_names

# Copies of a release lack a handful of broken files. Two classes of a release never differ by so little.
_TOLERANCE: Final = 0.005
# Fewer rows could have the counts of a release by chance.
_MIN_ROWS: Final = 500


Counts = Mapping[str, Counter[str]]  # split -> code or label -> rows


def name_codes(raw: RawDataset, rows: Sequence[Row], what: str = "labels that are codes") -> Sequence[Row]:
    """Return the rows with names for labels that are codes, if a file says them or a release's counts prove them.

    Rows whose labels are words, or codes with a meaning in params.yaml, are returned as they are.

    Args:
        raw: the dataset, for the note and the error.
        rows: all of its rows.
        what: how the dataset gives its labels, for the error.

    Raises:
        SettingError: all labels are codes, and nothing says what they mean; gives the line to type.
    """
    given = {label for row in rows if isinstance(row, Annotation) for label in row.labels}
    if raw.meant or not given - {NOT_GIVEN} or any(code_of(label) is None for label in given):
        return rows
    counts = _counts(rows)
    said = said_names(raw)
    if said is not None and set().union(*counts.values()) <= said[1].keys():
        raw.notes.append(f"{said[0]} says that " + ", ".join(f"{code} is {name}" for code, name in said[1].items()))
        return [_named(row, said[1]) for row in rows]
    proven = None if said is not None else proven_names(counts)
    if proven is None:
        raise _question(raw, counts, what, f"{said[0]} names other codes" if said is not None else "No file says it")
    release, names = proven
    raw.notes.append(
        f"the counts are those of {release.name}, which proves that "
        + ", ".join(f"{code} is {name}" for code, name in names.items())
    )
    return [_named(row, names) for row in rows]


def _named(row: Row, names: Mapping[str, str]) -> Row:
    if not isinstance(row, Annotation) or not row.labels:
        return row
    keys = map(code_key, row.labels)
    return replace(row, labels=tuple(names[key] for key in keys if key != NOT_GIVEN))


def _counts(rows: Sequence[Row]) -> dict[str, Counter[str]]:
    counts: dict[str, Counter[str]] = {}
    for row in rows:
        if isinstance(row, Annotation) and row.labels:
            split = split_key(row.split) if row.split else NO_SPLIT
            counts.setdefault(split, Counter()).update(
                key for label in row.labels if (key := code_key(label)) != NOT_GIVEN
            )
    return counts


def proven_names(counts: Counts) -> tuple[Release, dict[str, str]] | None:
    """Return the only release with these counts, and the label of each code in it; None if the counts prove none.

    Args:
        counts: split -> code -> rows; splits as `split_key` spells them.
    """
    if sum(of.total() for of in counts.values()) < _MIN_ROWS:
        return None
    known = (release for release in RELEASES if release.labels and not release.sequences)
    found = [(release, names) for release in known if (names := _names(counts, release)) is not None]
    # Two releases of one dataset may agree; two that do not prove nothing.
    return found[0] if found and all(names == found[0][1] for _, names in found) else None


def _names(counts: Counts, release: Release) -> dict[str, str] | None:
    known: dict[str, Counter[str]] = {}
    for split, of in release.labels.items():
        known.setdefault(split_key(split), Counter()).update(of)
    merged = {NO_SPLIT: sum(known.values(), Counter[str]())}
    total = {NO_SPLIT: sum(counts.values(), Counter[str]())}
    for own, of_release in ((counts, known), (counts, _folded(known, counts)), (total, merged)):
        if (names := _assigned(own, of_release)) is not None:
            return names
    return None


def _folded(known: Counts, counts: Counts) -> Counts:
    """Return a release's counts with all that it holds out in the one such split that the dataset has."""
    here = counts.keys() & HELD_OUT
    if len(here) != 1 or not known.keys() & HELD_OUT:
        return known
    held_out = sum((of for split, of in known.items() if split in HELD_OUT), Counter[str]())
    return {split: of for split, of in known.items() if split not in HELD_OUT} | {here.pop(): held_out}


def _assigned(counts: Counts, known: Counts) -> dict[str, str] | None:
    """Return the label of each code if exactly one has its counts in every split, and every label has a code."""
    if not set(counts) <= set(known):
        return None
    codes = sorted({code for of in counts.values() for code in of}, key=lambda code: (len(code), code))
    labels = list(known[next(iter(counts))])
    names: dict[str, str] = {}
    for code in codes:
        alike = [
            label
            for label in labels
            if all(
                abs(of[code] - known[split][label]) <= _TOLERANCE * known[split][label] for split, of in counts.items()
            )
        ]
        if len(alike) != 1:
            return None
        names[code] = alike[0]
    return names if len(set(names.values())) == len(labels) == len(codes) else None


def _question(raw: RawDataset, counts: Counts, what: str, why: str) -> SettingError:
    total = sum(counts.values(), Counter[str]())
    codes = sorted(total, key=lambda code: (len(code), code))
    shown = ", ".join(f"{total[code]} of {code}" for code in codes[:MAX_CLASSES])
    message = (
        f"{raw.tree.src}: {what}, {codes[0]} to {codes[-1]}; which class is {codes[0]}? {why}, and the "
        f"counts ({shown}) prove no release's order; say in params.yaml, in the entry of the dataset, what they mean: "
        f"{classes_line(codes[:MAX_CLASSES])}"
    )
    return SettingError(message, {"classes": dict.fromkeys(codes, UNSAID)})
