"""MAFW: clips of films and shows with one of eleven expressions, three of which are none of the eight; in five folds.

Liu et al.: MAFW: A Large-scale, Multi-modal, Compound Affective Database for Dynamic Facial Expression Recognition in
the Wild, ACM MM 2022. A compound label is several of the eleven. gender.txt has codes without a published meaning.
"""

import re
from collections.abc import Iterator
from typing import ClassVar, Final

from pipeline.ingest.parsing.delimited import read_lines
from pipeline.ingest.parsing.label_names import native_label
from pipeline.ingest.raw_dataset import RawDataset, stem
from pipeline.ingest.readers.listed_clips import Listed, ListedClips
from pipeline.ingest.trees.tree import Tree

_LIST: Final = r"(?:.*/)?{}/no_caption/set_\d/(?:train|test)\.txt"


class Mafw(ListedClips):
    """`Train & Test Set/single/no_caption/set_1/train.txt`, rows `00001.mp4 anger`."""

    name = "mafw"
    labels = (
        "anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise", "contempt", "anxiety",
        "helplessness", "disappointment",
    )  # fmt: skip
    cut_out = False
    layout = "single/no_caption/set_1/train.txt and test.txt with rows such as 00001.mp4 anger"
    subset: ClassVar[str] = "single"
    names: ClassVar[range] = range(1, 2)  # how many of the labels a row may have

    def evidence(self, tree: Tree, root: str) -> str | None:
        """See `Reader.evidence`."""
        return None if root else super().evidence(tree, root)  # its lists are searched for everywhere

    def lists(self, tree: Tree, root: str) -> list[str]:
        """See `ListedClips.lists`."""
        listed = re.compile(_LIST.format(self.subset), re.IGNORECASE)
        return sorted(name for name in tree.below(root) if listed.fullmatch(name[len(root) + 1 if root else 0 :]))

    def entries(self, raw: RawDataset, name: str) -> Iterator[Listed]:
        """See `ListedClips.entries`."""
        for row, text in read_lines(raw.tree, name):
            clip, *words = text.split(maxsplit=1)
            found = [native_label(word, self.labels) for word in "".join(words).split("_")]
            labels = tuple(label for label in found if label is not None)
            yield stem(clip), labels if len(labels) == len(found) and len(found) in self.names else None, row

    def fold(self, name: str) -> str:
        """See `ListedClips.fold`."""
        return name.split("/")[-2].casefold()


class MafwCompound(Mafw):
    """`compound/no_caption/set_1/train.txt`, rows `00001.mp4 anger_disgust`; the single clips are listed there, too."""

    name = "mafw_compound"
    layout = "compound/no_caption/set_1/train.txt and test.txt with rows such as 00001.mp4 anger_disgust"
    subset = "compound"
    names = range(1, 12)

    def evidence(self, tree: Tree, root: str) -> str | None:
        """See `Reader.evidence`: the release has both sets, of which the single one is read unless told otherwise."""
        return None if root or Mafw().lists(tree, root) else super().evidence(tree, root)

    def begins(self, tree: Tree, root: str) -> bool:
        """See `Reader.begins`."""
        return bool(self.lists(tree, root))
