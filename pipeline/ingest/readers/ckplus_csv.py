"""CK+ as a csv of pixels: `ckextended.csv`, 920 faces in the columns and codes of FER2013, with contempt as the eighth.

It has one peak picture of each of the 327 labelled sequences and one neutral picture of each of the 593 (Lucey et al.,
CVPRW 2010). It does not say who is in a picture, and its splits, drawn at random, share people.
"""

from pipeline.ingest.readers.fer2013 import Fer2013
from pipeline.ingest.readers.fer_tables import CODES, is_ckextended, pixel_files
from pipeline.ingest.trees.tree import Tree


class CkPlusCsv(Fer2013):
    """`emotion,pixels,Usage` with codes 0 to 7; recognised by its name, or by its size and the code 7."""

    name = "ckplus_csv"
    labels = (*CODES, "contempt")
    layout = "ckextended.csv, or any csv of about 920 rows with the columns emotion, pixels and Usage and a code 7"

    def evidence(self, tree: Tree, root: str) -> str | None:
        """See `Reader.evidence`."""
        name = next((name for name in pixel_files(tree, root) if is_ckextended(tree, name)), None)
        return f"{name} holds pixels as text, of CK+ with contempt as 7" if name else None

    def _owns(self, tree: Tree, name: str) -> bool:
        return is_ckextended(tree, name)
