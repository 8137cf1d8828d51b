"""What people changed in FiftyOne, as decisions: tags named after verdicts, another label, a moved box.

A label or a box that was removed says nothing: FiftyOne leaves out what a view does not show when it exports it.
"""

import json
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pipeline.core.errors import DataError
from pipeline.decisions.decision import Decision, Kind, fault
from pipeline.fiftyone.fields import SAMPLES_NAME, absolute_box

# Tags that are verdicts; a label and a place are given by editing them.
TAGS: Final = (Kind.right, Kind.wrong_face, Kind.not_a_face, Kind.bad_picture, Kind.unsure)
_MOVED: Final = 1e-4  # of the picture's side: less is the rounding of a database


class EditError(DataError):
    """A folder of FiftyOne that cannot be taken as it is; the message names the sample."""


@dataclass(frozen=True, slots=True)
class Edits:
    """What was found: the decisions, how many samples were read, and how many are none of this dataset."""

    decisions: list[Decision]
    samples: int
    foreign: int


def read_edits(folder: Path, dataset: str, known: Collection[str], by: str) -> Edits:
    """Read what somebody decided from a folder that FiftyOne exported as FiftyOneDataset.

    Args:
        folder: with samples.json.
        dataset: its name.
        known: the ids of its samples.
        by: the alias of who edited it.

    Raises:
        EditError: it is no such folder, or a sample has two verdicts, an unknown label, or a sample_id that is unknown.
    """
    decided: dict[str, Decision] = {}
    count = foreign = 0
    for document in _documents(folder / SAMPLES_NAME):
        count += 1
        name = document.get("sample_id")
        if not isinstance(name, str) or not name.startswith(f"{dataset}/"):
            foreign += 1
            continue
        if name not in known:
            raise EditError(f"{folder}: {name}: {dataset} has no such sample; was it exported from other data?")
        try:
            if (verdict := _verdict(document)) is not None:
                decision = Decision(name, *verdict, by, _note(document))
                if (wrong := fault(decision)) is not None:
                    raise ValueError(wrong)
                if (first := decided.setdefault(name, decision)) != decision:
                    raise ValueError(f"is there twice and {_two(_say(first), _say(decision))}")
        except ValueError as error:
            raise EditError(f"{folder}: {name}: {error}") from None
    return Edits(list(decided.values()), count, foreign)


def _documents(path: Path) -> Iterator[Mapping[str, Any]]:
    expected = f"{path}: expected what dataset.export(export_dir=…, dataset_type=fo.types.FiftyOneDataset) writes"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise EditError(f"{expected}; there is no such file") from None
    except (OSError, ValueError, RecursionError) as error:
        raise EditError(f"{expected}: {' '.join(str(error).split())}") from None
    samples = content.get("samples") if isinstance(content, dict) else None
    if not isinstance(samples, list) or not all(isinstance(one, dict) for one in samples):
        raise EditError(f"{expected}; it has no list of samples")
    yield from samples


def _verdict(document: Mapping[str, Any]) -> tuple[Kind, str] | None:
    """Return what a sample's document says, or None if it was not changed.

    Raises:
        ValueError: it says two things, or something that cannot be.
    """
    found = {(Kind(tag), "") for tag in _all_tags(document) if tag in set(TAGS)}
    label = _part(document, "label").get("label")
    if label is not None and label != document.get("given_label"):
        found.add((Kind.other_label, str(label)))
    if (place := _moved_to(document)) is not None:
        found.discard((Kind.wrong_face, ""))  # the tag and the place say one thing
        found.add((Kind.wrong_face, place))
    if len(found) > 1:
        raise ValueError(_two(*(f"{kind} {value}".strip() for kind, value in found)))
    return next(iter(found), None)


def _two(*said: str) -> str:
    return f"says {' and '.join(sorted(said))}; a person gives one verdict to a sample"


def _say(decision: Decision) -> str:
    note = f"({decision.note})" if decision.note else ""
    return " ".join(word for word in (decision.kind, decision.value, note) if word)


def _all_tags(document: Mapping[str, Any]) -> Iterator[str]:
    """Yield the tags of a sample and of its label and face."""
    parts = [document, _part(document, "label"), *_faces(document)]
    for part in parts:
        tags = part.get("tags")
        yield from (tag for tag in (tags if isinstance(tags, list) else ()) if isinstance(tag, str))


def _part(document: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = document.get(name)
    return part if isinstance(part, dict) else {}


def _faces(document: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    faces = _part(document, "face").get("detections")
    return [face for face in faces if isinstance(face, dict)] if isinstance(faces, list) else []


def _moved_to(document: Mapping[str, Any]) -> str | None:
    """Return the box of the right face in pixels as a decision has it, or None if no box was moved or added."""
    size = _numbers(document.get("picture_px"), 2)
    if size is None:
        return None
    given = _numbers(document.get("given_box"), 4)
    boxes = [_numbers(face.get("bounding_box"), 4) for face in _faces(document)]
    if None in boxes:
        raise ValueError("a box is not four finite numbers")
    new = [box for box in boxes if box is not None and (given is None or _differ(box, given))]
    if not new:
        return None
    if len(new) > 1:
        raise ValueError(f"{len(new)} boxes were drawn; keep that of the right face")
    x0, y0, x1, y1 = absolute_box(new[0], *size)
    if x0 >= x1 or y0 >= y1:
        raise ValueError("the box is empty or beyond the picture")
    return " ".join(f"{side:g}" for side in (x0, y0, x1, y1))


def _differ(box: Sequence[float], given: Sequence[float]) -> bool:
    return any(abs(one - other) > _MOVED for one, other in zip(box, given, strict=True))


def _numbers(value: Any, count: int) -> tuple[float, ...] | None:
    if not isinstance(value, list) or len(value) != count:
        return None
    numbers = [float(one) for one in value if isinstance(one, int | float) and not isinstance(one, bool)]
    return tuple(numbers) if len(numbers) == count and all(map(math.isfinite, numbers)) else None


def _note(document: Mapping[str, Any]) -> str:
    note = document.get("note")
    return note if isinstance(note, str) else ""
