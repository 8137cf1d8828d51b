"""RAF-DB, basic and compound: one face per photograph, each labelled by about 40 people.

Li, Deng, Du: Reliable Crowdsourcing and Deep Locality-Preserving Learning, CVPR 2017. Codes as in the release's readme.
"""

import re
from collections.abc import Iterator
from itertools import islice
from typing import ClassVar, Final

from pipeline.core.schema import Reason
from pipeline.ingest.dataset_options import code_of
from pipeline.ingest.parsing.attributes import AGE_GROUPS, FEMALE, MALE, NO_ATTRIBUTES, UNSURE, Attributes
from pipeline.ingest.parsing.codes import Codes
from pipeline.ingest.parsing.delimited import numbers, read_lines
from pipeline.ingest.raw_dataset import Annotation, Box, RawDataset, RejectedRow, Row, join, name_of, stem
from pipeline.ingest.readers.reader import Reader
from pipeline.ingest.trees.tree import Tree

_KINDS: Final = ("original", "aligned")
_ALIGNED: Final = "_aligned"
_BETWEEN: Final = re.compile(r"[\s,;]+")  # two cells of a row
_SAMPLE_ROWS: Final = 20  # some of them may be broken
# Codes of the attributes, as in the release's readme; those of ages are AGE_GROUPS.
_GENDERS: Final = (MALE, FEMALE, UNSURE)
_RACES: Final = ("Caucasian", "African-American", "Asian")
_LISTS: Final = ("list_patition_label.txt", "list_partition_label.txt")


class RafDb(Reader):
    """`EmoLabel/list_patition_label.txt`, original or aligned pictures, boxes and five points placed by hand."""

    name = "rafdb"
    labels: ClassVar[tuple[str, ...]] = ("surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral")
    layout = "EmoLabel/list_patition_label.txt with rows such as train_00001.jpg 5 and codes 1 to 7"
    # Of the numbers in the names of the training and test pictures: what tells the two sets apart.
    digits: ClassVar[dict[str, int]] = {"train": 5, "test": 4}

    def evidence(self, tree: Tree, root: str) -> str | None:
        """See `Reader.evidence`."""
        name = _list_name(tree, root)
        for _, text in islice(read_lines(tree, name), _SAMPLE_ROWS) if name else ():
            split, _, number = text.split(".")[0].partition("_")
            if self.digits.get(split) == len(number.removesuffix(_ALIGNED)):
                return f"{name} numbers its pictures as {text.split()[0]}"
        return None

    def begins(self, tree: Tree, root: str) -> bool:
        """See `Reader.begins`."""
        return _list_name(tree, root) is not None

    def read(self, raw: RawDataset) -> Iterator[Row]:
        """See `Reader.read`."""
        name = _list_name(raw.tree, raw.root) or ""
        kind = _kind(raw)
        if kind != raw.params.rafdb_pictures:
            raw.notes.append(f"there are no {raw.params.rafdb_pictures} pictures: the {kind} ones are read")
        codes = Codes(raw, self.labels, first=1)
        for row, text in read_lines(raw.tree, name):
            yield self._row(raw, kind, row, text, codes)
        codes.check()

    def faces_are_cut_out(self, raw: RawDataset) -> bool:
        """See `Reader.faces_are_cut_out`: aligned pictures are crops, original ones are photographs."""
        return _kind(raw) == "aligned"

    def _row(self, raw: RawDataset, kind: str, row: str, text: str, codes: Codes) -> Row:
        cells = [cell for cell in _BETWEEN.split(text) if cell]
        detail = f"{row}: expected a picture and {codes.expected}, two cells, not {text[:80]!r}"
        if len(cells) != len(("picture", "code")):
            return RejectedRow(cells[0] if cells else "", Reason.bad_row, detail)
        # Names are unique: what lies before one is another machine's folder.
        given = cells[0].replace("\\", "/").rpartition("/")[2]
        aligned = kind == "aligned"
        # Some copies list the aligned pictures by their own names.
        base = stem(given).removesuffix(_ALIGNED)
        original = given if base == stem(given) else f"{base}.jpg"
        wanted = f"{base}{_ALIGNED}.jpg" if aligned else original
        path = raw.find_ending(wanted, _folders(raw, kind), row) if given else ""
        label = codes.label(cells[1], row)
        if not path or label is None:
            return RejectedRow(name_of(path), Reason.bad_row, detail)
        # Boxes and points are in pixels of the original picture.
        box = None if aligned else _box(raw, base)
        return Annotation(
            path,
            (label,),
            row,
            box=box,
            box_kind="face" if box else None,
            landmarks=None if aligned else _landmarks(raw, base),
            split=given.partition("_")[0],
            attributes=_attributes(raw, base),
        )


class RafDbCompound(RafDb):
    """The same tree for faces that show two emotions at once."""

    name = "rafdb_compound"
    labels = (
        "happily surprised",
        "happily disgusted",
        "sadly fearful",
        "sadly angry",
        "sadly surprised",
        "sadly disgusted",
        "fearfully angry",
        "fearfully surprised",
        "angrily surprised",
        "angrily disgusted",
        "disgustedly surprised",
    )
    layout = "EmoLabel/list_patition_label.txt with rows such as train_0001.jpg 8 and codes 1 to 11"
    digits: ClassVar[dict[str, int]] = {"train": 4, "test": 3}


def _folders(raw: RawDataset, kind: str) -> list[str]:
    return [raw.at(f"Image/{kind}"), raw.at(kind)]


def _kind(raw: RawDataset) -> str:
    """Return which pictures to read: those that params.yaml asks for, unless the dataset has only the other ones."""
    wanted = raw.params.rafdb_pictures
    there = {kind: any(raw.tree.listing(folder).files for folder in _folders(raw, kind)) for kind in _KINDS}
    other = next(kind for kind in _KINDS if kind != wanted)
    return other if there[other] and not there[wanted] else wanted


def _list_name(tree: Tree, root: str) -> str | None:
    folders = (join(root, "EmoLabel"), root)
    return next((found for folder in folders for name in _LISTS if (found := join(folder, name)) in tree), None)


def _annotation(raw: RawDataset, kind: str, name: str) -> str:
    """Return the text of an annotation file, "" if the dataset does not have it."""
    candidates = (raw.at(f"Annotation/{kind}/{name}"), raw.at(f"{kind}/{name}"))
    found = next((candidate for candidate in candidates if candidate in raw.tree), None)
    return raw.tree.read(found).decode("ascii", "replace") if found else ""


def _box(raw: RawDataset, name: str) -> Box | None:
    text = _annotation(raw, "boundingbox", f"{name}_boundingbox.txt")
    values = numbers(text)
    if values is not None and len(values) == 4 and values[2] > values[0] and values[3] > values[1]:
        return values[0], values[1], values[2], values[3]
    if text.strip():
        raw.drop("box (expected x1 y1 x2 y2)", f"{name}_boundingbox.txt")
    return None


def _attributes(raw: RawDataset, name: str) -> Attributes:
    """Return gender, race and age, the three whole numbers after the five points placed by hand."""
    codes = [code_of(word) for word in _manual(raw, name)[10:]]
    if not codes:
        return NO_ATTRIBUTES
    meanings = (_GENDERS, _RACES, AGE_GROUPS)
    if len(codes) != len(meanings):
        raw.drop("list of attributes (expected gender, race and age)", name)
        return NO_ATTRIBUTES
    said: list[str | None] = []
    for what, code, words in zip(("gender", "race", "age"), codes, meanings, strict=True):
        said.append(words[code] if code is not None and 0 <= code < len(words) else None)
        if said[-1] is None:
            raw.drop(f"{what} (expected a code 0 to {len(words) - 1})", name)
    return Attributes(gender=said[0], race=said[1], age=said[2])


def _manual(raw: RawDataset, name: str) -> list[str]:
    return _annotation(raw, "manual", f"{name}_manu_attri.txt").split()


def _landmarks(raw: RawDataset, name: str) -> list[float] | None:
    """Return the five points placed by hand (eyes, nose, corners of the mouth), otherwise the 37 automatic ones."""
    manual = _manual(raw, name)[:10]
    automatic = _annotation(raw, "auto", f"{name}_auto_attri.txt").split()
    for words, count in ((manual, 10), (automatic, 74)):
        points = numbers(" ".join(words))
        if points is not None and len(points) == count:
            return points
        if words:
            raw.drop(f"list of landmarks (expected {count // 2} points)", name)
    return None
