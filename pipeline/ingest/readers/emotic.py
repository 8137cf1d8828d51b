"""EMOTIC, mat release: people in context, with any of 26 categories at once, valence, arousal and dominance.

Kosti, Alvarez, Recasens, Lapedriza: Context Based Emotion Recognition using EMOTIC Dataset, TPAMI 2019.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from pipeline.core.errors import SourceError
from pipeline.core.schema import Reason
from pipeline.ingest.parsing.delimited import number
from pipeline.ingest.parsing.matlab import as_list, read_mat
from pipeline.ingest.parsing.scales import KINDS
from pipeline.ingest.raw_dataset import Annotation, Box, RawDataset, RejectedRow, Row, join, name_of
from pipeline.ingest.readers.reader import Reader
from pipeline.ingest.trees.tree import Tree

CATEGORIES: Final = (
    "Affection",
    "Anger",
    "Annoyance",
    "Anticipation",
    "Aversion",
    "Confidence",
    "Disapproval",
    "Disconnection",
    "Disquietment",
    "Doubt/Confusion",
    "Embarrassment",
    "Engagement",
    "Esteem",
    "Excitement",
    "Fatigue",
    "Fear",
    "Happiness",
    "Pain",
    "Peace",
    "Pleasure",
    "Sadness",
    "Sensitivity",
    "Suffering",
    "Surprise",
    "Sympathy",
    "Yearning",
)
_SPELLINGS: Final = {"disquietement": "Disquietment"} | {name.casefold(): name for name in CATEGORIES}
_SPLITS: Final = ("train", "val", "test")
SCALE: Final = (1.0, 10.0)  # of valence, arousal and dominance


class Emotic(Reader):
    """`Annotations/Annotations.mat`; boxes of bodies. Fields are read by name, because their order differs by split."""

    name = "emotic"
    labels = CATEGORIES
    multi_label = True
    layout = "Annotations/Annotations.mat with the variables train, val and test"

    def evidence(self, tree: Tree, root: str) -> str | None:
        """See `Reader.evidence`."""
        name = _mat_name(tree, root)
        return f"{name} is there" if name else None

    def read(self, raw: RawDataset) -> Iterator[Row]:
        """See `Reader.read`."""
        name = _mat_name(raw.tree, raw.root) or ""
        raw.scales = dict.fromkeys(KINDS, SCALE)
        content = _load(raw.tree, name)
        for split in _SPLITS:
            for ordinal, item in enumerate(content.get(split, []), 1):
                row = f"{name} {split} row {ordinal}"
                given = join(str(_field(item, "folder") or ""), str(_field(item, "filename") or ""))
                path = raw.find_ending(given, picture_folders(raw), row)
                for place, person in enumerate(as_list(_field(item, "person")), 1):
                    yield _person(raw, person, path, split, f"{row} person {place}")


def _mat_name(tree: Tree, root: str) -> str | None:
    candidates = (join(join(root, folder), "Annotations.mat") for folder in ("Annotations", "annotations", ""))
    return next((name for name in candidates if name in tree), None)


def picture_folders(raw: RawDataset) -> list[str]:
    """Return the folders that EMOTIC's picture names may be relative to."""
    return [raw.at("emotic"), raw.root, raw.at("images")]


def _load(tree: Tree, name: str) -> dict[str, list[Any]]:
    found = read_mat(tree.read(name), _SPLITS, f"{tree.src}/{name}")
    if not found:
        raise SourceError(f"{tree.src}/{name}: holds none of the variables {', '.join(_SPLITS)}")
    return found


def _field(item: Any, name: str) -> Any:
    return item.get(name) if isinstance(item, dict) else None


def _text(item: Any, name: str) -> str:
    value = _field(item, name)
    return value if isinstance(value, str) else ""


def _person(raw: RawDataset, person: Any, path: str | RejectedRow, split: str, row: str) -> Row:
    # Several people annotated val and test. The release combines their answers without saying how many gave each.
    annotators = [as_list(_field(one, "categories")) for one in as_list(_field(person, "annotations_categories"))]
    if not any(annotators):
        annotators = [as_list(_field(person, "combined_categories"))]
    affects = as_list(_field(person, "combined_continuous")) or as_list(_field(person, "annotations_continuous"))
    counted = count_categories([[str(label) for label in labels] for labels in annotators])
    if isinstance(counted, str):
        return RejectedRow(name_of(path), Reason.bad_row, f"{row}: no category of EMOTIC: {counted!r}")
    sides = as_list(_field(person, "body_bbox"))
    box = emotic_box([value for value in sides if isinstance(value, int | float)])
    if box is None and sides:
        raw.drop("body_bbox (expected x1, y1, x2, y2)", row)
    values = [mean_rating([one for affect in affects for one in as_list(_field(affect, name))]) for name in KINDS]
    return Annotation(
        path,
        tuple(counted),
        row,
        distinct=True,
        votes=votes_of(counted, annotators),
        box=box,
        box_kind="body" if box else None,
        split=split,
        valence=values[0],
        arousal=values[1],
        dominance=values[2],
        attributes=raw.attributes(row, gender=_text(person, "gender"), age=_text(person, "age")),
    )


def count_categories(annotators: Sequence[Sequence[str]]) -> dict[str, int] | str:
    """Return native category -> number of annotators who chose it, or the first name that is not a category.

    Args:
        annotators: the categories that each of them chose; a category counts once per annotator.
    """
    counts: dict[str, int] = {}
    for labels in annotators:
        names: dict[str, None] = {}
        for label in labels:
            name = _SPELLINGS.get(label.strip().casefold())
            if name is None:
                return label
            names[name] = None
        for name in names:
            counts[name] = counts.get(name, 0) + 1
    return counts


def votes_of(counted: Mapping[str, int], annotators: Sequence[Sequence[str]]) -> tuple[float, ...] | None:
    """Return the votes for the categories in their order; None if one person annotated, as in train."""
    return tuple(map(float, counted.values())) if counted and len(annotators) > 1 else None


def emotic_box(values: Sequence[float]) -> Box | None:
    """Return the box of a body. Some rows have a fifth value, and some a box without area."""
    if len(values) < 4 or not all(math.isfinite(value) for value in values[:4]):
        return None
    x0, y0, x1, y1 = values[:4]
    return (x0, y0, x1, y1) if x1 > x0 and y1 > y0 else None


def mean_rating(ratings: Sequence[Any]) -> float | None:
    """Return the mean of the given ratings on `SCALE`; if one is outside the scale, that one, so that it is noticed."""
    numbers = [found for one in ratings if (found := number(str(one))) is not None]
    beyond = next((one for one in numbers if not SCALE[0] <= one <= SCALE[1]), None)
    return beyond if beyond is not None else sum(numbers) / len(numbers) if numbers else None
