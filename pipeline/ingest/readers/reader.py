"""The protocol of a reader: recognise one layout, and yield everything it gives."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import ClassVar

from pipeline.ingest.raw_dataset import RawDataset, Row
from pipeline.ingest.trees.tree import Tree


class Reader(ABC):
    """One layout of one dataset. Stateless; one short file each."""

    name: ClassVar[str]
    # Every label of the dataset in its native spelling; empty where the raw dataset itself says which there are.
    labels: ClassVar[tuple[str, ...]]
    # What `evidence` looks for, in the words of an error message.
    layout: ClassVar[str]
    # A layout so common that a more particular one goes before it.
    generic: ClassVar[bool] = False

    # The release's pictures are faces that its authors cut out: where no detector sees one, it is the whole picture.
    cut_out: ClassVar[bool] = False

    # The pictures are cells of a table; `source_path` is the table and n the row.
    pictures_in_table: ClassVar[bool] = False

    # Votes may be for several labels that hold at once, not for one of them.
    multi_label: ClassVar[bool] = False

    @abstractmethod
    def evidence(self, tree: Tree, root: str) -> str | None:
        """Say what shows that the layout begins in this folder of the tree, or None."""

    def begins(self, tree: Tree, root: str) -> bool:
        """Say whether the layout begins here, where a person says that it is this one: `evidence`, or less."""
        return self.evidence(tree, root) is not None

    @abstractmethod
    def read(self, raw: RawDataset) -> Iterator[Row]:
        """Yield every row of the raw dataset, in the order in which it stands there.

        Raises:
            SourceError: a table cannot be read, or is not what the layout says.
        """

    def faces_are_cut_out(self, raw: RawDataset) -> bool:  # noqa: ARG002 - for releases that have both kinds
        """Say whether the pictures that are read are faces already."""
        return self.cut_out

    def picture(self, tree: Tree, path: str, n: int) -> bytes:  # noqa: ARG002 - for tables that hold pictures
        """Return the encoded bytes of the picture of a sample."""
        return tree.read(path)
