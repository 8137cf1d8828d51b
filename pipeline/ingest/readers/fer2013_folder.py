"""FER2013 as pictures in class folders, as mirrors convert the csv; some add copies."""

import re
from collections.abc import Iterator
from typing import Final

from pipeline.core.schema import Reason
from pipeline.ingest.parsing.label_names import native_label
from pipeline.ingest.raw_dataset import Annotation, RawDataset, RejectedRow, Row, is_picture
from pipeline.ingest.readers.class_folders import class_folders
from pipeline.ingest.readers.fer_tables import CODES
from pipeline.ingest.readers.reader import Reader
from pipeline.ingest.trees.tree import Tree

_NAMED: Final = re.compile(r"(Training|PublicTest|PrivateTest)_\d+.*", re.ASCII)
_ORIGINAL: Final = re.compile(r"(Training|PublicTest|PrivateTest)_\d+\.(?i:jpe?g|png)", re.ASCII)


class Fer2013Folder(Reader):
    """`train/angry/Training_123.jpg`; the file name gives the official split, whatever folder a mirror put it in."""

    name = "fer2013_folder"
    cut_out = True
    labels = CODES
    layout = "{train,validation,test}/<class>/ with pictures named as Training_123.jpg"

    def evidence(self, tree: Tree, root: str) -> str | None:
        """See `Reader.evidence`."""
        for _, _, folder in class_folders(tree, root):
            found = next((name for name in tree.listing(folder).files if _NAMED.fullmatch(name)), None)
            if found:
                return f"{folder} holds pictures such as {found}"
        return None

    def read(self, raw: RawDataset) -> Iterator[Row]:
        """See `Reader.read`."""
        classed = set()
        for name, _, folder in class_folders(raw.tree, raw.root):
            label = native_label(raw.meaning(name, folder), self.labels)
            for path in filter(is_picture, raw.tree.below(folder)):
                classed.add(path)
                yield _row(path, label)
        for path in filter(is_picture, raw.tree.below(raw.root)):
            if path not in classed:
                yield RejectedRow(path, Reason.unlabelled, f"{path}: in no class folder")


def _row(path: str, label: str | None) -> Row:
    original = _ORIGINAL.fullmatch(path.rpartition("/")[2])
    if original is None:
        return RejectedRow(
            path, Reason.not_original, f"{path}: not named as FER2013's own pictures; a copy or a stranger"
        )
    if label is None:
        return RejectedRow(path, Reason.bad_row, f"{path}: in no class folder of {', '.join(CODES)}")
    return Annotation(path, (label,), path, split=original[1])
