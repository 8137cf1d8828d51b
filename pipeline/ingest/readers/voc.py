"""Pascal VOC: an XML a picture, with the name and the box of each face."""

from collections.abc import Iterator
from itertools import islice
from typing import Final
from xml.etree import ElementTree as ET

from pipeline.core.schema import Reason
from pipeline.ingest.parsing.beside import pictures_of
from pipeline.ingest.parsing.delimited import number
from pipeline.ingest.parsing.label_names import split_folder, split_of
from pipeline.ingest.parsing.split_lists import SplitLists
from pipeline.ingest.raw_dataset import Annotation, Box, RawDataset, RejectedRow, Row, join
from pipeline.ingest.readers.reader import Reader
from pipeline.ingest.releases.named_codes import name_codes
from pipeline.ingest.trees.tree import Tree

_SUFFIX: Final = ".xml"
_SAMPLE: Final = 20
_MAX_BYTES: Final = 1 << 20
_SIDES: Final = ("xmin", "ymin", "xmax", "ymax")


class Voc(Reader):
    """`train/a.xml` beside `train/a.jpg`, or `Annotations/a.xml` and `JPEGImages/a.jpg`."""

    name = "voc"
    labels = ()
    layout = "an .xml a picture, of Pascal VOC, with object, name and bndbox"

    def evidence(self, tree: Tree, root: str) -> str | None:
        """See `Reader.evidence`."""
        if root:  # its files are searched for everywhere
            return None
        for name in islice(_files(tree, root), _SAMPLE):
            said = _load(tree, name)
            if said is not None and said.find("object/name") is not None:
                return f"{name} has an object with a name"
        return None

    def read(self, raw: RawDataset) -> Iterator[Row]:
        """See `Reader.read`."""
        raw.listed = lambda: (_filename(_load(raw.tree, name)) for name in _files(raw.tree, raw.root))
        lists = SplitLists(raw)
        rows = [row for name in _files(raw.tree, raw.root) for row in _rows(raw, name, lists)]
        yield from name_codes(raw, rows, "objects of Pascal VOC named by codes")


def _files(tree: Tree, root: str) -> Iterator[str]:
    prefix = f"{root}/" if root else ""
    return (name for name in tree.names() if name.startswith(prefix) and name.casefold().endswith(_SUFFIX))


def _load(tree: Tree, name: str) -> ET.Element | None:
    """Return the annotation in a file; None if it is none. What declares entities is not parsed: they can be bombs."""
    if tree.size(name) > _MAX_BYTES:
        return None
    content = tree.read(name)
    if b"\0" in content or b"<!" in content.replace(b"<!--", b""):
        return None
    try:
        said = ET.fromstring(content)  # noqa: S314 - without declarations
    except (ET.ParseError, ValueError, LookupError):
        return None
    return said if said.tag == "annotation" else None


def _filename(said: ET.Element | None) -> str:
    return ("" if said is None else said.findtext("filename") or "").strip()


def _rows(raw: RawDataset, name: str, lists: SplitLists) -> Iterator[Row]:
    said = _load(raw.tree, name)
    if said is None:
        yield RejectedRow(name, Reason.bad_row, f"{name}: not an annotation of Pascal VOC")
        return
    folder = name.rpartition("/")[0]
    split = split_folder(folder) or lists.split(name, name) or split_of(folder)
    path = _picture(raw, name, _filename(said), split)
    objects = said.findall("object")
    if not objects:
        given = path if isinstance(path, str) else path.path
        yield RejectedRow(given, Reason.unlabelled, f"{name}: no object")
    for n, one in enumerate(objects):
        row = f"{name} object {n}"
        label = (one.findtext("name") or "").strip()
        box = _box(one.find("bndbox"))
        if box is None:
            raw.drop("box (expected xmin, ymin, xmax and ymax)", row)
        labels = (raw.meaning(label, row),) if label else ()
        yield Annotation(path, labels, row, n=n, box=box, box_kind="face" if box else None, split=split)


def _picture(raw: RawDataset, name: str, given: str, split: str | None) -> str | RejectedRow:
    """Return the picture by the annotation's own name, else by `filename`."""
    alike = pictures_of(raw.tree, name)
    if len(alike) == 1:
        return alike[0]
    if not given:
        return RejectedRow(name, Reason.missing_file, f"{name}: no picture of this name")
    folder = name.rpartition("/")[0]
    above = folder.rpartition("/")[0]
    return raw.find_ending(given, [folder, join(above, "JPEGImages"), above], name, split)


def _box(given: ET.Element | None) -> Box | None:
    if given is None:
        return None
    left, top, right, bottom = (number(given.findtext(side) or "") for side in _SIDES)
    if left is None or top is None or right is None or bottom is None or right <= left or bottom <= top:
        return None
    return left, top, right, bottom
