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
from pipeline.ingest.raw_dataset import Annotation, RawDataset, RejectedRow, Row, is_picture, join
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
    layout = "train/1/ to train/7/ and test/1/ to test/7/ with pictures named as train_00001_aligned.jpg"

    def evidence(self, tree: Tree, root: str) -> str | None:
        """See `Reader.evidence`."""
        for _, _, folder in self._folders(tree, root):
            found = next((name for name in tree.listing(folder).files if _NAMED.fullmatch(name)), None)
            if found:
                return f"{folder} holds pictures such as {found}"
        return None

    def begins(self, tree: Tree, root: str) -> bool:
        """See `Reader.begins`."""
        return next(self._folders(tree, root), None) is not None

    def read(self, raw: RawDataset) -> Iterator[Row]:
        """See `Reader.read`."""
        listed = {split: _listed(raw, split) for split in raw.tree.listing(raw.root).folders if is_split(split)}
        classed = set()
        codes = Codes(raw, self.labels, first=1)
        for code, split, folder in self._folders(raw.tree, raw.root):
            for path in filter(is_picture, raw.tree.below(folder)):
                classed.add(path)
                beside = listed[split].pop(path.rpartition("/")[2], None)
                yield self._row(raw, path, code, split, beside, codes)
        codes.check()
        for path in filter(is_picture, raw.tree.below(raw.root)):
            if path not in classed:
                yield RejectedRow(path, Reason.unlabelled, f"{path}: in no folder of a class 1 to {len(self.labels)}")
        for rest in listed.values():
            for name, (_, row) in rest.items():
                yield RejectedRow(name, Reason.missing_file, f"{row}: no such picture in the folders of the classes")

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


def _listed(raw: RawDataset, split: str) -> dict[str, tuple[str, str]]:
    """Return base name -> (code, file and line) from the list of a split, if there is one."""
    beside = raw.root.rpartition("/")[0]
    candidates = (join(folder, f"{split}_labels.csv") for folder in (raw.root, beside))
    name = next((candidate for candidate in candidates if candidate in raw.tree), None)
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
