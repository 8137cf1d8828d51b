"""RAF-DB basic as mirrors ship it: the aligned pictures in folders named after their codes.

Li, Deng, Du: Reliable Crowdsourcing and Deep Locality-Preserving Learning, CVPR 2017. Codes as in the release itself.
"""

import re
from collections.abc import Iterator
from typing import Final

from pipeline.core.schema import Reason
from pipeline.ingest.dataset_options import code_of
from pipeline.ingest.parsing.codes import Codes
from pipeline.ingest.parsing.delimited import Delimited
from pipeline.ingest.parsing.label_names import is_split
from pipeline.ingest.raw_dataset import Annotation, RawDataset, RejectedRow, Row, is_picture, join, name_of
from pipeline.ingest.readers.rafdb import RafDb
from pipeline.ingest.readers.reader import Reader
from pipeline.ingest.trees.tree import Tree

_NAMED: Final = re.compile(r"(train|test)_\d{4,5}(?:_aligned)?\.(?:jpe?g|png)", re.IGNORECASE | re.ASCII)
_COLUMNS: Final = ("image", "label")


class RafDbFolder(Reader):
    """`train/1/train_00001_aligned.jpg`; if there is a `train_labels.csv`, folders and list are compared."""

    name = "rafdb_folder"
    cut_out = True
    labels = RafDb.labels
    layout = "train/1/ to train/7/ and test/1/ …, or train_labels.csv, with pictures named as train_00001_aligned.jpg"

    def evidence(self, tree: Tree, root: str) -> str | None:
        """See `Reader.evidence`."""
        for _, _, folder in self._folders(tree, root):
            found = next((name for name in tree.listing(folder).files if _NAMED.fullmatch(name)), None)
            if found:
                return f"{folder} holds pictures such as {found}"
        for name in _lists(tree, root).values():
            first = next(Delimited(tree, name, _COLUMNS).records(), None)
            if first and _NAMED.fullmatch(first.get("image")) and _are_loose(tree, first.get("image")):
                return f"{name} lists pictures such as {first.get('image')}"
        return None

    def begins(self, tree: Tree, root: str) -> bool:
        """See `Reader.begins`."""
        return next(self._folders(tree, root), None) is not None

    def read(self, raw: RawDataset) -> Iterator[Row]:
        """See `Reader.read`."""
        lists = _lists(raw.tree, raw.root)
        splits = {*lists, *(name.casefold() for name in raw.tree.listing(raw.root).folders if is_split(name))}
        listed = {split: _listed(raw, lists.get(split)) for split in sorted(splits)}
        classed = set()
        codes = Codes(raw, self.labels, first=1)
        for code, split, folder in self._folders(raw.tree, raw.root):
            for path in filter(is_picture, raw.tree.below(folder)):
                classed.add(path)
                beside = listed[split.casefold()].pop(path.rpartition("/")[2], None)
                yield self._row(raw, path, code, split, beside, codes)
        for split, rest in listed.items():
            for name, (code, row) in rest.items():
                found = raw.find_ending(name, [raw.at(split), raw.root], row, split)
                classed.add(name_of(found))
                yield self._listed_row(found, code, split, row, codes)
        codes.check()
        for path in filter(is_picture, raw.tree.below(raw.root)):
            if path not in classed:
                detail = f"{path}: in no list and no folder of a class 1 to {len(self.labels)}"
                yield RejectedRow(path, Reason.unlabelled, detail)

    def _folders(self, tree: Tree, root: str) -> Iterator[tuple[str, str, str]]:
        """Yield (code, split, folder) of each class."""
        for split in tree.listing(root).folders:
            if is_split(split):
                classes = tree.listing(join(root, split)).folders
                yield from (
                    (code, split, join(join(root, split), code)) for code in classes if code_of(code) is not None
                )

    def _row(
        self, raw: RawDataset, path: str, code: str, split: str, listed: tuple[str, str] | None, codes: Codes
    ) -> Row:
        label = codes.label(code, path)
        if label is None:
            return RejectedRow(path, Reason.unlabelled, f"{path}: in no folder of {codes.expected}")
        if listed is not None:
            raw.compared += 1
            if listed[0] != code:
                raw.contradicted += 1
                detail = f"{listed[1]}: code {listed[0]}, but its folder says {code}, {label}"
                return RejectedRow(path, Reason.conflicting_labels, detail)
        return Annotation(path, (label,), path, split=split)

    @staticmethod
    def _listed_row(path: str | RejectedRow, code: str, split: str, row: str, codes: Codes) -> Row:
        """Return the row of a picture that lies in no class folder: its list alone labels it."""
        if isinstance(path, RejectedRow):
            return path
        label = codes.label(code, row)
        if label is None:
            return RejectedRow(path, Reason.bad_row, f"{row}: expected {codes.expected}, not {code[:40]!r}")
        return Annotation(path, (label,), row, split=split)


def _lists(tree: Tree, root: str) -> dict[str, str]:
    """Return split -> its list, in the folder of the splits or beside it."""
    found: dict[str, str] = {}
    for folder in dict.fromkeys((root, root.rpartition("/")[0])):
        for name in tree.listing(folder).files:
            split, end, _ = name.casefold().rpartition("_labels.csv")
            if end and is_split(split):
                found.setdefault(split, join(folder, name))
    return found


def _are_loose(tree: Tree, picture: str) -> bool:
    """Return whether a picture is there, but not in the folder of a class, where the folder says what it shows."""
    found = tree.ending(picture)
    return bool(found) and all(code_of(name.rpartition("/")[0].rpartition("/")[2]) is None for name in found)


def _listed(raw: RawDataset, name: str | None) -> dict[str, tuple[str, str]]:
    """Return base name -> (code, file and line) from the list of a split, if there is one."""
    if name is None:
        return {}
    records = Delimited(raw.tree, name, _COLUMNS).records()
    listed: dict[str, tuple[str, str]] = {}
    again = []
    for record in records:
        base = record.get("image").rpartition("/")[2]
        given = record.get("label"), record.row
        if record.surplus() is not None:
            raw.drop("row of the list (expected 2 cells)", record.row)
            continue
        if base and listed.setdefault(base, given) is not given:
            again.append(record.row)
    if again:
        raw.notes.append(f"{again[0]}: names a picture once more and is passed over, as {len(again)} rows in all")
    return listed
