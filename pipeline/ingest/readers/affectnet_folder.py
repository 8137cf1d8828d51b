"""AffectNet as mirrors ship it: a folder for each class and a csv, which do not always agree."""

from collections.abc import Iterator
from typing import Final

from pipeline.core.schema import Reason
from pipeline.ingest.dataset_options import code_of
from pipeline.ingest.parsing.delimited import Delimited, Record
from pipeline.ingest.parsing.label_names import is_split, native_label
from pipeline.ingest.raw_dataset import Annotation, RawDataset, RejectedRow, Row, is_picture, join, name_of
from pipeline.ingest.readers.affectnet import CODES
from pipeline.ingest.readers.reader import Reader
from pipeline.ingest.trees.tree import Tree

_NAME: Final = "labels.csv"
_COLUMNS: Final = ("pth", "label", "relFCs")


class AffectNetFolder(Reader):
    """`labels.csv` with `pth,label,relFCs`; a row whose folder says another class is rejected, not guessed."""

    name = "affectnet_folder"
    cut_out = True
    labels = CODES
    layout = "labels.csv with the columns pth and label, beside class folders"

    def evidence(self, tree: Tree, root: str) -> str | None:
        """See `Reader.evidence`."""
        name = join(root, _NAME)
        found = name in tree and (table := Delimited(tree, name, _COLUMNS)).header and table.has("pth", "label")
        return f"{name} has the columns pth and label" if found else None

    def read(self, raw: RawDataset) -> Iterator[Row]:
        """See `Reader.read`."""
        seen = set()
        table = Delimited(raw.tree, raw.at(_NAME), _COLUMNS)
        raw.listed = lambda: (record.get("pth") for record in table.records())
        for record in table.records():
            path = raw.find_ending(record.get("pth"), [raw.root], record.row)
            seen.add(path)
            yield self._row(raw, record, path)
        unlisted = [name for name in raw.tree.below(raw.root) if is_picture(name) and name not in seen]
        if unlisted:
            raw.notes.append(f"{len(unlisted)} pictures are in no row of {_NAME}; their folder is their label")
        for name in unlisted:
            label = self._of_folder(raw, name)
            yield Annotation(name, (label,) if label else (), name, split=_split(raw, name))

    def _row(self, raw: RawDataset, record: Record, path: str | RejectedRow) -> Row:
        cell, given = record.get("label"), name_of(path)
        if (surplus := record.surplus()) is not None:
            return RejectedRow(given, Reason.bad_row, surplus)
        label = native_label(raw.meaning(cell, record.row), self.labels)
        if not cell:
            return Annotation(path, (), record.row, split=_split(raw, given))
        hint = "; classes in params.yaml says what codes mean" if code_of(cell) is not None else ""
        if label is None:
            return RejectedRow(given, Reason.bad_row, f"{record.row}: no class of AffectNet: {cell[:40]!r}{hint}")
        folder = self._of_folder(raw, given)
        if folder is not None:
            raw.compared += 1
        if folder not in {None, label}:
            raw.contradicted += 1
            return RejectedRow(given, Reason.conflicting_labels, f"{record.row}: {label}, but its folder says {folder}")
        return Annotation(path, (label,), record.row, split=_split(raw, given))

    def _of_folder(self, raw: RawDataset, path: str) -> str | None:
        return native_label(raw.meaning(path.rpartition("/")[0].rpartition("/")[2], path), self.labels)


def _split(raw: RawDataset, path: str) -> str | None:
    """Return the split from a picture's path: newer copies have Train/ and Test/ around the class folders."""
    top = path.removeprefix(f"{raw.root}/").partition("/")[0]
    return top if is_split(top) else None
