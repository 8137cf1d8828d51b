"""Splits as lists of pictures: Pascal VOC's `ImageSets/Main/train.txt`, Darknet's `train.txt`."""

import re
from collections.abc import Iterator
from typing import Final

from pipeline.core.split_names import split_name
from pipeline.ingest.parsing.beside import pictures_of
from pipeline.ingest.parsing.delimited import read_lines
from pipeline.ingest.raw_dataset import RawDataset, is_picture, stem
from pipeline.ingest.trees.tree import Tree

_BOTH: Final = "trainval"  # repeats what the lists of its two halves say
_MARK: Final = re.compile(r"\s+-?[01]$")  # whether the picture shows an object


class SplitLists:
    """The splits of the pictures of a tree, by their stems."""

    def __init__(self, raw: RawDataset) -> None:
        """Read every list that is named after a split."""
        self._raw = raw
        self._splits: dict[str, set[str]] = {}
        for name in sorted(_lists(raw.tree), key=lambda name: stem(name).casefold() == _BOTH):
            split, is_rest = stem(name), stem(name).casefold() == _BOTH
            for _, text in read_lines(raw.tree, name):
                given = _MARK.sub("", text).replace("\\", "/").rpartition("/")[2]
                listed = self._splits.setdefault((stem(given) if is_picture(given) else given).casefold(), set())
                if not (is_rest and listed):
                    listed.add(split)

    def split(self, picture: str, row: str) -> str | None:
        """Return the split of a picture, in its list's own words; None if none is listed, or two."""
        found = self._splits.get(stem(picture).casefold(), set())
        if len({split_name(one) for one in found}) > 1:
            self._raw.drop("split (listed in two)", row)
            return None
        return min(found, default=None)


def _lists(tree: Tree) -> Iterator[str]:
    for name in tree.names():
        if name.casefold().endswith(".txt") and split_name(stem(name)) and not pictures_of(tree, name):
            yield name
