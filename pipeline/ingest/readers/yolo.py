"""YOLO trees: a text file a picture, with a line for each face: its class, and its box in shares of the picture."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

import yaml

from pipeline.core.errors import SourceError
from pipeline.core.params.bounded import BombError, BoundedLoader
from pipeline.core.schema import Reason
from pipeline.ingest.dataset_options import code_of
from pipeline.ingest.parsing.beside import pictures_of
from pipeline.ingest.parsing.codes import Codes
from pipeline.ingest.parsing.delimited import numbers, read_lines
from pipeline.ingest.parsing.label_names import split_folder, split_of
from pipeline.ingest.parsing.picture_size import size_of
from pipeline.ingest.parsing.split_lists import SplitLists
from pipeline.ingest.raw_dataset import Annotation, Box, RawDataset, RejectedRow, Row, stem
from pipeline.ingest.readers.reader import Reader
from pipeline.ingest.releases.named_codes import name_codes
from pipeline.ingest.trees.tree import Tree

_LABELS: Final = "labels"
_SUFFIX: Final = ".txt"
_NAMES: Final = frozenset({"classes.txt", "labels.txt", "readme.txt"})
_OWN_YAML: Final = frozenset({"data", "dataset"})
# Of a description with any other name: one of them says that its names are those of classes.
_BESIDE_NAMES: Final = frozenset({"train", "val", "nc"})
_SAMPLE: Final = 50
_BOX: Final = 5  # class, centre and size
_POLYGON: Final = 7  # class and three points at least
# Boxes may leave the picture a little; a share far beyond it is a number of pixels.
_LARGEST_SHARE: Final = 2.0


class Yolo(Reader):
    """`train/images/a.jpg` and `train/labels/a.txt`; the classes are named in data.yaml or classes.txt."""

    name = "yolo"
    labels = ()
    layout = "a .txt a picture, beside it or in labels/ and not images/, lines of a class and its box, and data.yaml"

    def evidence(self, tree: Tree, root: str) -> str | None:
        """See `Reader.evidence`."""
        if root:  # its folders are searched for everywhere
            return None
        first = {name: next(read_lines(tree, name), None) for name in islice(_files(tree, root), _SAMPLE)}
        given = {name: line[1] for name, line in first.items() if line is not None}
        fits = [name for name, text in given.items() if _is_label(name, text)]
        return f"{fits[0]} has a class and a box a line" if fits and len(fits) * 2 >= len(given) else None

    def read(self, raw: RawDataset) -> Iterator[Row]:
        """See `Reader.read`."""
        said, names = _class_names(raw)
        classes = Codes(raw, names) if any(code_of(one) is None for one in names) else _Numbered(raw, said, names)
        pixels: list[str] = []
        lists = SplitLists(raw)
        rows = [row for name in _files(raw.tree, raw.root) for row in _rows(raw, name, classes, pixels, lists)]
        if isinstance(classes, Codes):
            classes.check()
        if len(pixels) * 2 > len(rows):
            raise SourceError(f"{raw.tree.src}: {pixels[0]}: boxes in pixels, where shares of the picture are expected")
        what = f"whose {said} names its classes by codes" if names else "without data.yaml or classes.txt, with classes"
        yield from name_codes(raw, rows, f"a YOLO tree {what}")


@dataclass(frozen=True, slots=True)
class _Numbered:
    """Classes whose names are codes themselves, by which params.yaml says what they mean; without names, their own.

    A class is a place among the names, so of 0, 1 and 3, class 2 is code 3.
    """

    raw: RawDataset
    said: str
    names: tuple[str, ...]
    expected: str = "a class"

    def label(self, code: str, row: str) -> str | None:
        """Return the label of a class; None if it is no place among the names."""
        place = code_of(code)
        if not self.names or place is None:
            return self.raw.meaning(code, row) or None
        if place >= len(self.names):
            # Whoever counts from 1 has all other classes wrong, too.
            raise SourceError(
                f"{self.raw.tree.src}: {row}: class {place}, but {self.said} has {len(self.names)}, from 0"
            )
        return self.raw.meaning(self.names[place], row) if place >= 0 else None


def _files(tree: Tree, root: str) -> Iterator[str]:
    prefix = f"{root}/" if root else ""
    for name in tree.names():
        folder, _, base = name.rpartition("/")
        is_text = base.casefold().endswith(_SUFFIX) and base.casefold() not in _NAMES and name.startswith(prefix)
        if is_text and (_LABELS in folder.casefold().split("/") or pictures_of(tree, name)):
            yield name


def _is_label(name: str, text: str) -> bool:
    """Return whether a line is a label; beside pictures, where any numbers may be, only one in shares."""
    parsed = _parse(text)
    in_labels = _LABELS in name.casefold().split("/")
    return parsed is not None and (in_labels or max(map(abs, parsed[1])) <= _LARGEST_SHARE)


def _rows(
    raw: RawDataset, name: str, classes: Codes | _Numbered, pixels: list[str], lists: SplitLists
) -> Iterator[Row]:
    alike = pictures_of(raw.tree, name)
    picture = alike[0] if len(alike) == 1 else None
    found = "several pictures" if alike else "no picture"
    path = picture or RejectedRow(name, Reason.missing_file, f"{name}: {found} of this name beside it or in images/")
    size = size_of(raw.tree, picture) if picture else None
    folder = name.rpartition("/")[0]
    split = split_folder(folder) or lists.split(name, name) or split_of(folder)
    lines = list(read_lines(raw.tree, name))
    if not lines:
        yield RejectedRow(picture or name, Reason.unlabelled, f"{name}: no face")
    for n, (row, text) in enumerate(lines):
        parsed = _parse(text)
        label = classes.label(parsed[0], row) if parsed else None
        if parsed is None or label is None:
            detail = f"{row}: expected {classes.expected} and a box, not {text[:80]!r}"
            yield RejectedRow(picture or name, Reason.bad_row, detail)
            continue
        in_pixels = max(map(abs, parsed[1])) > _LARGEST_SHARE
        if in_pixels:
            pixels.append(row)
        box = _box(parsed[1], size) if size and not in_pixels else None
        if box is None and picture:
            raw.drop("box (expected shares of a picture that can be read)", row)
        yield Annotation(path, (label,), row, n=n, box=box, box_kind="face" if box else None, split=split)


def _parse(text: str) -> tuple[str, tuple[float, ...]] | None:
    """Return the class and the sides of the box, in shares of the picture: left, top, right, bottom.

    After a box there may be the confidence of the detector that drew it.
    """
    words = text.split()
    given = numbers(" ".join(words[1:]))
    if given is None or code_of(words[0]) is None:
        return None
    if len(words) == _BOX or (len(words) == _BOX + 1 and 0 <= given[-1] <= 1):
        x, y, width, height = given[: _BOX - 1]
        return words[0], (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
    if len(words) >= _POLYGON and len(words) % 2:
        return words[0], (min(given[::2]), min(given[1::2]), max(given[::2]), max(given[1::2]))
    return None


def _box(shares: Sequence[float], size: tuple[int, int]) -> Box | None:
    left, top, right, bottom = (share * size[place % 2] for place, share in enumerate(shares))
    return (left, top, right, bottom) if right > left and bottom > top else None


def _class_names(raw: RawDataset) -> tuple[str, tuple[str, ...]]:
    """Return the file that names the classes, and the names by their places; ("", ()) if no file does."""
    found: dict[str, tuple[str, ...]] = {}
    for name in raw.tree.names():
        base = name.rpartition("/")[2].casefold()
        if base.endswith((".yaml", ".yml")):
            found[name] = _in_yaml(raw.tree, name)
        elif base in {"classes.txt", "obj.names"}:
            found[name] = tuple(text for _, text in read_lines(raw.tree, name))
    said = {name: names for name, names in found.items() if names}
    if len(set(said.values())) > 1:
        first, second = list(said)[:2]
        raise SourceError(f"{raw.tree.src}: {first} and {second} name other classes: give --src the folder of one")
    return next(iter(said.items()), ("", ()))


def _in_yaml(tree: Tree, name: str) -> tuple[str, ...]:
    is_own = stem(name).casefold() in _OWN_YAML
    try:
        said: Any = yaml.load(tree.read(name), Loader=BoundedLoader)  # noqa: S506 - a SafeLoader
    except (BombError, yaml.YAMLError) as error:
        if not is_own:
            return ()
        raise SourceError(f"{tree.src}/{name}: not YAML: {' '.join(str(error).split())[:200]}") from None
    if not isinstance(said, dict) or not (is_own or said.keys() & _BESIDE_NAMES):
        return ()
    names = said.get("names")
    if isinstance(names, dict):
        by_code = {code_of(str(code)): one for code, one in names.items()}
        if by_code.keys() != {*range(len(names))}:
            raise SourceError(f"{tree.src}/{name}: names: expected one for each class from 0 on")
        names = [by_code[code] for code in range(len(names))]
    return tuple(map(str, names)) if isinstance(names, list) else ()
