"""COCO's JSON: pictures, categories and a box for each face, with a file for each split or one for all."""

import json
from collections.abc import Iterator, Mapping
from heapq import nlargest
from typing import Any, Final

from pipeline.core.errors import SourceError
from pipeline.core.schema import Reason
from pipeline.ingest.parsing.label_names import split_of
from pipeline.ingest.raw_dataset import Annotation, Box, RawDataset, RejectedRow, Row, join
from pipeline.ingest.readers.reader import Reader
from pipeline.ingest.releases.named_codes import name_codes
from pipeline.ingest.trees.tree import Tree

_SUFFIX: Final = ".json"
_KEYS: Final = ("images", "annotations", "categories")
_MAX_FILES: Final = 8
_HEAD_BYTES: Final = 1 << 16
_SIDES: Final = 4  # left, top, width and height


class Coco(Reader):
    """`train/_annotations.coco.json` or `annotations/instances_train.json`; boxes are left, top, width, height."""

    name = "coco"
    labels = ()
    layout = "a .json with images, annotations and categories"

    def evidence(self, tree: Tree, root: str) -> str | None:
        """See `Reader.evidence`."""
        if root:  # its files are searched for everywhere
            return None
        # Among thousands of small files, the largest ones have the annotations.
        largest = nlargest(_MAX_FILES, _files(tree, root), tree.size)
        name = next((name for name in largest if _looks(tree, name)), None)
        return f"{name} has images, annotations and categories" if name else None

    def read(self, raw: RawDataset) -> Iterator[Row]:
        """See `Reader.read`."""
        found = [name for name in _files(raw.tree, raw.root) if _looks(raw.tree, name)]
        # A file of all pictures repeats what those of the splits say.
        names = sorted(found, key=lambda name: split_of(name) is None)
        raw.listed = lambda: (path for name in names for path in _paths(raw, name))
        rows = [row for name in names for row in _read_file(raw, name)]
        yield from name_codes(raw, rows, f"{names[0] if names else raw.root} names its categories by codes")


def _files(tree: Tree, root: str) -> Iterator[str]:
    prefix = f"{root}/" if root else ""
    return (name for name in tree.names() if name.startswith(prefix) and name.casefold().endswith(_SUFFIX))


def _looks(tree: Tree, name: str) -> bool:
    """Return whether a file has COCO's keys; in a large one, the first of them must be near its beginning."""
    with tree.open(name) as stream:
        head = stream.read(_HEAD_BYTES)
    if not any(f'"{key}"'.encode() in head for key in _KEYS):
        return False
    said = _load(tree, name)
    return isinstance(said, Mapping) and all(isinstance(said.get(key), list) for key in _KEYS)


def _load(tree: Tree, name: str) -> Any:
    try:
        return json.loads(tree.read(name))
    except (ValueError, RecursionError):
        return None


def _paths(raw: RawDataset, name: str) -> Iterator[str]:
    return iter(_by_id(raw, name, _load(raw.tree, name)["images"], "file_name", "images").values())


def _read_file(raw: RawDataset, name: str) -> Iterator[Row]:
    said = _load(raw.tree, name)
    pictures = _by_id(raw, name, said["images"], "file_name", "images")
    classes = _by_id(raw, name, said["categories"], "name", "categories")
    folder, split = name.rpartition("/")[0], split_of(name)
    bases = [folder, join(folder, "images"), join(raw.root, "images"), raw.root]
    bare = dict.fromkeys(pictures)
    for place, of in enumerate(said["annotations"]):
        row = f"{name} annotation {place}"
        given = pictures.get(_id(of.get("image_id"))) if isinstance(of, Mapping) else None
        label = classes.get(_id(of.get("category_id"))) if given is not None else None
        if given is None or label is None:
            yield RejectedRow(given or "", Reason.bad_row, f"{row}: its picture or category is not in the file")
            continue
        bare.pop(_id(of["image_id"]), None)
        box = _box(of.get("bbox"))
        if box is None and of.get("bbox"):
            raw.drop("box (expected left, top, width and height)", row)
        path = raw.find_ending(given, bases, row, split)
        yield Annotation(path, (raw.meaning(label, row),), row, box=box, box_kind="face" if box else None, split=split)
    for number in bare:
        yield RejectedRow(pictures[number], Reason.unlabelled, f"{name}: no annotation of {pictures[number]}")


def _id(given: Any) -> str:
    """Return an id as text: files of several tools mix 7 and "7"."""
    return str(given)


def _by_id(raw: RawDataset, name: str, given: list[Any], key: str, what: str) -> dict[str, str]:
    """Return id -> file name or class.

    Raises:
        SourceError: one id stands for two things, so that no annotation of it can be trusted.
    """
    found: dict[str, str] = {}
    for one in given:
        if not isinstance(one, Mapping) or not isinstance(one.get("id"), int | str) or one.get(key) in (None, ""):
            raise SourceError(f"{raw.tree.src}/{name}: {what}: expected objects with id and {key}")
        if (known := found.setdefault(_id(one["id"]), str(one[key]))) != str(one[key]):
            raise SourceError(f"{raw.tree.src}/{name}: {what}: id {one['id']} is both {known} and {one[key]}")
    return found


def _box(sides: Any) -> Box | None:
    if not isinstance(sides, list) or len(sides) != _SIDES or not all(isinstance(one, int | float) for one in sides):
        return None
    left, top, width, height = map(float, sides)
    return (left, top, left + width, top + height) if width > 0 and height > 0 else None
