"""The protocol of a reader: it recognises one layout and yields all of its rows."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import ClassVar

from pipeline.ingest.raw_dataset import RawDataset, Row
from pipeline.ingest.trees.tree import Tree


class Reader(ABC):
    """One layout of one dataset. Readers have no state and a short file each."""

    name: ClassVar[str]
    # All labels of the dataset in their native spelling; empty if the raw dataset itself defines them.
    labels: ClassVar[tuple[str, ...]]
    # What `evidence` searches for, for error messages.
    layout: ClassVar[str]
    # Whether the layout is so common that it is tried only after all others.
    generic: ClassVar[bool] = False

    # Whether the release's pictures are crops of faces. If no detector finds a face in one, the whole picture is used.
    cut_out: ClassVar[bool] = False

    # Whether the pictures are cells of a table; `source_path` is then the table and n the row.
    pictures_in_table: ClassVar[bool] = False

    # Whether an annotator may vote for several labels at once.
    multi_label: ClassVar[bool] = False

    @abstractmethod
    def evidence(self, tree: Tree, root: str) -> str | None:
        """Return the evidence that the layout begins in this folder of the tree; None if there is none."""

    def begins(self, tree: Tree, root: str) -> bool:
        """Return whether the layout begins here, given that the user named this format; may ask for less evidence."""
        return self.evidence(tree, root) is not None

    def names_all(self, tree: Tree, root: str) -> bool:  # noqa: ARG002 - for layouts with lists
        """Return whether its lists name all pictures and videos here with words, so that class folders add nothing."""
        return False

    @abstractmethod
    def read(self, raw: RawDataset) -> Iterator[Row]:
        """Yield every row of the raw dataset, in its own order.

        Raises:
            SourceError: a table cannot be read, or is not what the layout says.
        """

    def faces_are_cut_out(self, raw: RawDataset) -> bool:  # noqa: ARG002 - for releases that have both kinds
        """Return whether the pictures are already crops of faces."""
        return self.cut_out

    def picture(self, tree: Tree, path: str, n: int) -> bytes:  # noqa: ARG002 - for tables that hold pictures
        """Return the encoded bytes of a sample's picture."""
        return tree.read(path)
