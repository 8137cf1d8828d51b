"""One decision of one person about one sample, and what each kind of decision may say."""

import difflib
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from pipeline.core.emotions import CLASSES

# Short, so that it does not tempt anybody to write a name or an address, which git would keep for ever.
ALIAS: Final = re.compile(r"[a-z][a-z0-9_-]{0,19}")
# Of all cells only a note can begin with one of these: a sample begins with the name of its dataset.
_FORMULA: Final = ("=", "+", "-", "@")


class Kind(StrEnum):
    """What a person can say about a sample."""

    right = "right"
    other_label = "other_label"  # value: one of the eight classes
    wrong_face = "wrong_face"  # value: `x y` in the right face, its box `x0 y0 x1 y1`, or nothing if there is none
    not_a_face = "not_a_face"
    bad_picture = "bad_picture"
    unsure = "unsure"
    same_person = "same_person"  # value: the other sample
    same_picture = "same_picture"  # value: the other sample
    withdrawn = "withdrawn"


# Of these a person gives one to a sample; the others stand beside it.
VERDICTS: Final = (
    Kind.right, Kind.other_label, Kind.wrong_face, Kind.not_a_face, Kind.bad_picture, Kind.unsure,
)  # fmt: skip
LINKS: Final = (Kind.same_person, Kind.same_picture)


@dataclass(frozen=True, slots=True, order=True)
class Decision:
    """One line of a book: `by` is an alias, `note` a text of one line for people."""

    sample_id: str
    kind: Kind
    value: str
    by: str
    note: str = ""

    @property
    def place(self) -> tuple[str, ...]:
        """Return what only one line of a book may have: a person gives one verdict to a sample, and links it once."""
        if self.kind in VERDICTS:
            return self.sample_id, self.by, "verdict"
        return self.sample_id, self.by, self.kind, self.value


def fault(decision: Decision) -> str | None:
    """Return what is wrong with a decision by itself, or None."""
    if (wrong := _fault_of_note(decision.note)) is not None:
        return wrong
    if not ALIAS.fullmatch(decision.by):
        return (
            f"{decision.by!r} is no alias: a small letter, then up to 19 small letters, digits, - or _; "
            "no name and no address, because git keeps them for ever"
        )
    match decision.kind:
        case Kind.other_label:
            return None if decision.value in CLASSES else _unknown("label", decision.value, CLASSES)
        case Kind.wrong_face:
            return None if _is_place(decision.value) else f"{decision.value!r} is neither `x y` nor `x0 y0 x1 y1`"
        case Kind.same_person | Kind.same_picture:
            named = decision.value not in ("", decision.sample_id)
            return None if named else f"{decision.kind} names the other sample, not {decision.value!r}"
        case _:
            return f"{decision.kind} takes no value, not {decision.value!r}" if decision.value else None


def _fault_of_note(note: str) -> str | None:
    if not note.isprintable():
        return "the note holds a control character or a line break"
    if note.startswith(_FORMULA):
        return f"the note begins with {note[0]}, so spreadsheets would take it for a formula"
    return None


def parse_kind(text: str) -> Kind:
    """Return a kind by its name.

    Raises:
        ValueError: there is no such kind; says which is nearest.
    """
    try:
        return Kind(text)
    except ValueError:
        raise ValueError(_unknown("decision", text, [str(kind) for kind in Kind])) from None


def parse_place(value: str) -> tuple[float, ...]:
    """Return the numbers of a point (2) or box (4), in pixels of the source picture; none for an empty text."""
    return tuple(float(word) for word in value.split(" ")) if value else ()


def _is_place(value: str) -> bool:
    try:
        numbers = parse_place(value)
    except ValueError:
        return False
    if len(numbers) not in (0, 2, 4) or not all(math.isfinite(number) and number >= 0 for number in numbers):
        return False
    return len(numbers) < 4 or (numbers[0] < numbers[2] and numbers[1] < numbers[3])


def nearest(given: str, known: Iterable[str]) -> str | None:
    """Return the name that a mistyped one resembles most, or None if it resembles none."""
    return next(iter(difflib.get_close_matches(given, list(known), 1)), None)


def _unknown(what: str, given: str, known: Iterable[str]) -> str:
    close = nearest(given, known)
    return f"unknown {what} {given!r}; " + (f"did you mean {close!r}?" if close else f"expected {', '.join(known)}")
