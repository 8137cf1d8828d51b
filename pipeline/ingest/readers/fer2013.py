"""FER2013 as csv: 35,887 faces of 48x48 grey values, written as text.

Goodfellow et al.: Challenges in Representation Learning, ICONIP 2013.
"""

from collections import Counter
from collections.abc import Iterator
from typing import ClassVar, Final

from pipeline.core.schema import Reason
from pipeline.ingest.dataset_options import code_of
from pipeline.ingest.parsing.codes import Codes
from pipeline.ingest.parsing.delimited import Delimited, Record
from pipeline.ingest.parsing.label_names import native_label
from pipeline.ingest.parsing.pixels import COLUMNS, SIDE_PX, count_pixels, pixel_table
from pipeline.ingest.raw_dataset import Annotation, RawDataset, RejectedRow, Row, join
from pipeline.ingest.readers.fer_tables import (
    CODES,
    EarlierTables,
    check_shares,
    is_ckextended,
    named_split,
    note_others,
    pixel_files,
)
from pipeline.ingest.readers.reader import Reader
from pipeline.ingest.trees.tree import Tree

_VOTES_NAME: Final = "fer2013new.csv"


class Fer2013(Reader):
    """`emotion,pixels,Usage`, in one table or one for each split; a sample's picture is in its row."""

    name = "fer2013"
    cut_out = True
    labels: ClassVar[tuple[str, ...]] = CODES
    layout = "a csv with the columns emotion, pixels and Usage, or without a header and with these cells"
    pictures_in_table = True

    def evidence(self, tree: Tree, root: str) -> str | None:
        """See `Reader.evidence`."""
        found = (
            name
            for name in pixel_files(tree, root)
            if Delimited(tree, name, COLUMNS).has("emotion") and not is_ckextended(tree, name)
        )
        name = next(found, None)
        # Beside FER+'s votes, they are the same pictures, relabelled.
        return f"{name} holds pixels as text" if name and not votes_near(tree, root) else None

    def begins(self, tree: Tree, root: str) -> bool:
        """See `Reader.begins`."""
        return bool(pixel_files(tree, root))

    def read(self, raw: RawDataset) -> Iterator[Row]:
        """See `Reader.read`."""
        found = pixel_files(raw.tree, raw.root)
        # A person may say that a table which does not look like it is one all the same.
        names = [name for name in found if self._owns(raw.tree, name)] or found
        note_others(raw, names)
        earlier, codes, unsplit = EarlierTables(), Codes(raw, self.labels), Counter[str]()
        for name in names:
            split = named_split(name, names)
            for n, record in enumerate(Delimited(raw.tree, name, COLUMNS).records()):
                row = self._row(record, name, n, split, codes)
                if (
                    isinstance(row, Annotation)
                    and not record.get("Usage")
                    and code_of(record.get("emotion")) is not None
                ):
                    unsplit.update(row.labels)
                yield earlier.take(row, record, split) if len(names) > 1 else row
            earlier.end_table()
        codes.check()
        if not raw.meant:
            check_shares(raw, unsplit)

    def picture(self, tree: Tree, path: str, n: int) -> bytes:
        """See `Reader.picture`."""
        return pixel_table(tree, path).read(n)

    def _owns(self, tree: Tree, name: str) -> bool:
        return not is_ckextended(tree, name)

    def _row(self, record: Record, name: str, n: int, split: str | None, codes: Codes) -> Row:
        code = record.get("emotion")
        if not code:
            return RejectedRow(name, Reason.unlabelled, f"{record.row}: no emotion")
        if (surplus := record.surplus()) is not None:
            return RejectedRow(name, Reason.bad_row, surplus)
        word = None if codes.told or code_of(code) is not None else native_label(code, self.labels)
        label, wanted = word or codes.label(code, record.row), SIDE_PX * SIDE_PX
        if (count := count_pixels(record.get("pixels"))) != wanted:
            return RejectedRow(name, Reason.bad_row, f"{record.row}: expected {wanted} pixels, not {count}")
        if label is None:
            return RejectedRow(name, Reason.bad_row, f"{record.row}: expected {codes.expected}, not {code[:20]!r}")
        return Annotation(name, (label,), record.row, n=n, split=record.get("Usage") or split)


def votes_file(tree: Tree, root: str) -> str | None:
    """Return the table of FER+'s votes in a folder."""
    return next((join(root, name) for name in tree.listing(root).files if name.casefold() == _VOTES_NAME), None)


def votes_near(tree: Tree, root: str) -> bool:
    """Return whether FER+'s votes are in a folder, in its parent, or in a folder beside it."""
    around = root.rpartition("/")[0]
    beside = [join(around, name) for name in tree.listing(around).folders] if root else []
    return any(votes_file(tree, folder) for folder in (root, around, *beside))
