"""AffectNet, csv release: lists of the manually and the automatically annotated pictures.

Mollahosseini, Hasani, Mahoor: AffectNet, IEEE TAC 2017. Columns and codes as in the release's own readme.
"""

from collections.abc import Iterator
from typing import Final

from pipeline.schema import Reason
from pipeline.sources.delimited import Delimited, Record, numbers
from pipeline.sources.reader import Reader
from pipeline.sources.rows import Annotation, Box, Dump, Refusal, Row, join
from pipeline.sources.tree import Tree

CODES: Final = (
    "neutral",
    "happy",
    "sad",
    "surprise",
    "fear",
    "disgust",
    "anger",
    "contempt",
    "none",
    "uncertain",
    "no-face",
)
_COLUMNS: Final = (
    "subDirectory_filePath",
    "face_x",
    "face_y",
    "face_width",
    "face_height",
    "facial_landmarks",
    "expression",
    "valence",
    "arousal",
)
_LISTS: Final = {
    "manual": (
        ("training", "Manually_Annotated_file_lists/training.csv"),
        ("validation", "Manually_Annotated_file_lists/validation.csv"),
    ),
    "automatic": (("automatic", "Automatically_Annotated_file_lists/automatically_annotated.csv"),),
}
_LOOSE: Final = {"training": "training.csv", "validation": "validation.csv", "automatic": "automatically_annotated.csv"}
_PICTURES: Final = {"manual": "Manually_Annotated_Images", "automatic": "Automatically_Annotated_Images"}


class AffectNet(Reader):
    """Lists in csv, pictures in numbered folders; boxes, 68 points, valence and arousal."""

    name = "affectnet"
    labels = CODES
    layout = "Manually_Annotated_file_lists/{training,validation}.csv with subDirectory_filePath"

    def evidence(self, tree: Tree, root: str) -> str | None:
        """See `Reader.evidence`."""
        for _, _, name in _lists(tree, root):
            if Delimited(tree, name, _COLUMNS).has("subDirectory_filePath", "expression"):
                return f"{name} has AffectNet's columns"
        return None

    def read(self, dump: Dump) -> Iterator[Row]:
        """See `Reader.read`."""
        dump.notes.extend(_missing(dump))
        for kind, split, name in _lists(dump.tree, dump.root):
            if dump.params.affectnet_lists not in {kind, "both"}:
                dump.notes.append(f"{name} was passed over: ingest.affectnet_lists is {dump.params.affectnet_lists}")
                continue
            bases = _bases(dump, kind)
            for record in Delimited(dump.tree, name, _COLUMNS).records():
                yield _row(dump, record, bases, split)


def _lists(tree: Tree, root: str) -> Iterator[tuple[str, str, str]]:
    for kind, lists in _LISTS.items():
        for split, name in lists:
            for found in (join(root, name), join(root, _LOOSE[split])):
                if found in tree:
                    yield kind, split, found
                    break


def _missing(dump: Dump) -> Iterator[str]:
    """Say which of the two manual lists is not there while the other is."""
    there = {split for _, split, _ in _lists(dump.tree, dump.root)}
    for split, name in _LISTS["manual"]:
        if split not in there and there & {"training", "validation"}:
            yield f"{name}: no such file; its rows are missing"


def _bases(dump: Dump, kind: str) -> list[str]:
    named = _PICTURES[kind]
    # The archives of the release unpack into a folder of the same name once more, depending on the tool.
    candidates = (dump.at(named), dump.at(f"{named}/{named}"), dump.at("images"), dump.root)
    return [base for base in candidates if dump.tree.listing(base).folders] or [dump.at(named)]


def _row(dump: Dump, record: Record, bases: list[str], split: str) -> Row:
    given = record.get("subDirectory_filePath")
    label = affectnet_label(record.get("expression"))
    if not given or label is None:
        detail = f"{record.row}: expected a path and a code 0 to 10, not {record.get('expression')!r}"
        return Refusal(given, Reason.bad_row, detail)
    box = _box(record)
    return Annotation(
        dump.find_ending(given, bases, record.row),
        (label,),
        record.row,
        box=box,
        box_kind="face" if box else None,
        landmarks=_landmarks(record.get("facial_landmarks")),
        split=split,
        valence=unit_affect(record.number("valence")),
        arousal=unit_affect(record.number("arousal")),
    )


def affectnet_label(text: str) -> str | None:
    """Return the native name of a code, written as a whole number or as 3.0; None for anything else."""
    code = text.removesuffix(".0").strip()
    return CODES[int(code)] if code.isascii() and code.isdigit() and int(code) < len(CODES) else None


def unit_affect(value: float | None) -> float | None:
    """Return a valence or arousal on [-1, 1]; -2 and everything else beyond means "not given"."""
    return value if value is not None and -1 <= value <= 1 else None


def _box(record: Record) -> Box | None:
    values = [record.number(f"face_{side}") for side in ("x", "y", "width", "height")]
    x, y, width, height = (-1 if value is None else value for value in values)
    return None if None in values or width <= 0 or height <= 0 else (x, y, x + width, y + height)


def _landmarks(text: str) -> list[float] | None:
    points = numbers(text.strip("; "), lambda cell: cell.split(";"))
    return points if points is not None and len(points) == 136 else None
