"""Datasets whose lists name a clip and its one label a row; the clips are folders of frames or videos."""

from abc import abstractmethod
from collections.abc import Iterator
from typing import ClassVar

from pipeline.core.schema import Reason
from pipeline.ingest.parsing.clips import Clips
from pipeline.ingest.raw_dataset import Annotation, RawDataset, RejectedRow, Row
from pipeline.ingest.readers.reader import Reader
from pipeline.ingest.trees.tree import Tree

# Clip, labels that hold at once or None if the row gives none of the dataset's, and where it stands.
Listed = tuple[str, tuple[str, ...] | None, str]


class ListedClips(Reader):
    """A reader that needs to know where the lists are and what their rows say."""

    cut_out = True
    # How many components of a path name a clip.
    depth: ClassVar[int] = 1

    @abstractmethod
    def lists(self, tree: Tree, root: str) -> list[str]:
        """Return the lists below a folder, sorted."""

    @abstractmethod
    def entries(self, raw: RawDataset, name: str) -> Iterator[Listed]:
        """Yield the rows of a list."""

    def fold(self, name: str) -> str:  # noqa: ARG002 - for datasets with several
        """Return what tells a list's fold from the others; "" if the dataset has one split."""
        return ""

    def evidence(self, tree: Tree, root: str) -> str | None:
        """See `Reader.evidence`."""
        name = next(iter(self.lists(tree, root)), None)
        return None if name is None else f"{name} lists clips and their labels"

    def read(self, raw: RawDataset) -> Iterator[Row]:
        """See `Reader.read`."""
        names = self.lists(raw.tree, raw.root)
        folds = {self.fold(name) for name in names}
        if len(folds) > 1:
            raw.notes.append(f"{len(folds)} folds are listed, each a split of its own: no row gets one")
        clips = Clips(raw, self.depth)
        first: dict[str, Listed] = {}
        split_of: dict[str, str | None] = {}
        for name in names:
            split = _split(name) if len(folds) == 1 else None
            for clip, labels, row in self.entries(raw, name):
                if clip not in first:
                    first[clip] = clip, labels, row
                    split_of[clip] = split
                elif first[clip][1] != labels:
                    earlier = first[clip]
                    detail = f"{_said(labels)} in {row}; {_said(earlier[1])} in {earlier[2]}, which is kept"
                    yield RejectedRow(clip, Reason.conflicting_labels, detail)
                elif len(folds) == 1:
                    yield RejectedRow(clip, Reason.duplicate_row, f"{row}: says the same as {first[clip][2]}")
        for clip, labels, row in first.values():
            if labels is None:
                yield RejectedRow(clip, Reason.bad_row, f"{row}: expected one of {', '.join(self.labels)}")
                continue
            yield from clips.rows(clip, Annotation(clip, labels, row, split=split_of[clip]))
        clips.note()


def _said(labels: tuple[str, ...] | None) -> str:
    return "none" if labels is None else " and ".join(labels)


def _split(name: str) -> str | None:
    """Return the split that a list's path names last: `train(single-labeled)/set_1.csv`, `set_1/test.txt`."""
    words = name.casefold().replace("&", "/").split("/")
    for word in reversed(words):
        for split in ("train", "test"):
            if word.strip().startswith(split):
                return split
    return None
