"""MAFW: clips of films and shows with one of eleven expressions, three of which are none of the eight; in five folds.

Liu et al.: MAFW: A Large-scale, Multi-modal, Compound Affective Database for Dynamic Facial Expression Recognition in
the Wild, ACM MM 2022. Of its compound set no list is read, and gender.txt has codes without a published meaning.
"""

import re
from collections.abc import Iterator
from typing import Final

from pipeline.ingest.parsing.delimited import read_lines
from pipeline.ingest.parsing.label_names import native_label
from pipeline.ingest.raw_dataset import RawDataset, stem
from pipeline.ingest.readers.listed_clips import Listed, ListedClips
from pipeline.ingest.trees.tree import Tree

_LIST: Final = re.compile(r"(?:.*/)?single/no_caption/(set_\d)/(?:train|test)\.txt", re.IGNORECASE)


class Mafw(ListedClips):
    """`Train & Test Set/single/no_caption/set_1/train.txt`, rows `00001.mp4 anger`."""

    name = "mafw"
    labels = (
        "anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise", "contempt", "anxiety",
        "helplessness", "disappointment",
    )  # fmt: skip
    cut_out = False
    layout = "single/no_caption/set_1/train.txt and test.txt with rows such as 00001.mp4 anger"

    def lists(self, tree: Tree, root: str) -> list[str]:
        """See `ListedClips.lists`."""
        return sorted(name for name in tree.below(root) if _LIST.fullmatch(name[len(root) + 1 if root else 0 :]))

    def entries(self, raw: RawDataset, name: str) -> Iterator[Listed]:
        """See `ListedClips.entries`."""
        for row, text in read_lines(raw.tree, name):
            clip, _, word = text.strip().partition(" ")
            yield stem(clip), native_label(word, self.labels), row

    def fold(self, name: str) -> str:
        """See `ListedClips.fold`."""
        return name.split("/")[-2].casefold()
