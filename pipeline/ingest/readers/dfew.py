"""DFEW: clips of films with one of seven expressions, in five folds of training and test clips.

Jiang et al.: DFEW: A Large-Scale Database for Recognizing Dynamic Facial Expressions in the Wild, ACM MM 2020.
"""

from collections.abc import Iterator
from typing import Final

from pipeline.ingest.parsing.codes import Codes
from pipeline.ingest.parsing.delimited import Delimited
from pipeline.ingest.raw_dataset import RawDataset, join, stem
from pipeline.ingest.readers.listed_clips import Listed, ListedClips
from pipeline.ingest.trees.tree import Tree

_FOLDER: Final = "emolabel_datasplit"
_COLUMNS: Final = ("video_name", "label")


class Dfew(ListedClips):
    """`EmoLabel_DataSplit/train(single-labeled)/set_1.csv`: video_name (no leading zeros), label 1 to 7."""

    name = "dfew"
    labels = ("happy", "sad", "neutral", "angry", "surprise", "disgust", "fear")
    layout = "EmoLabel_DataSplit/ with csv lists of video_name and label, and Clip/"

    def lists(self, tree: Tree, root: str) -> list[str]:
        """See `ListedClips.lists`."""
        folders = (name for name in tree.listing(root).folders if name.casefold() == _FOLDER)
        names = (name for folder in folders for name in tree.below(join(root, folder)))
        tables = sorted(name for name in names if name.casefold().endswith(".csv"))
        return [name for name in tables if _has_header(tree, name)]

    def entries(self, raw: RawDataset, name: str) -> Iterator[Listed]:
        """See `ListedClips.entries`."""
        codes = Codes(raw, self.labels, first=1)
        for record in Delimited(raw.tree, name, _COLUMNS).records():
            clip = record.get("video_name").removesuffix(".0")
            label = codes.label(record.get("label"), record.row)
            yield clip.lstrip("0") or clip, None if label is None else (label,), record.row
        codes.check()

    def fold(self, name: str) -> str:
        """See `ListedClips.fold`."""
        return stem(name).casefold()


def _has_header(tree: Tree, name: str) -> bool:
    table = Delimited(tree, name, _COLUMNS)
    return table.header is not None and table.has(*_COLUMNS)
