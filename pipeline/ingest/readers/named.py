"""Datasets whose file names contain all annotations: one pattern for each dataset."""

import re
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from typing import ClassVar, Final

from pipeline.core.schema import Reason
from pipeline.ingest.raw_dataset import Annotation, RawDataset, RejectedRow, Row, is_picture
from pipeline.ingest.readers.reader import Reader
from pipeline.ingest.trees.tree import Tree

# Enough names to recognise a dataset without matching every file of a large tree.
_SAMPLE: Final = 200
# A few stray pictures do not make it another dataset.
_MIN_SHARE: Final = 0.9


class NamedPictures(Reader):
    """A reader that matches the base name of every picture with one pattern, ignoring case."""

    pattern: ClassVar[re.Pattern[str]]
    example: ClassVar[str]
    # Of pictures that the release itself names wrongly: stem in upper case -> what it should be.
    misnamed: ClassVar[Mapping[str, str]] = {}

    @staticmethod
    def counts(name: str) -> bool:
        """Return whether a file can be named so at all."""
        return is_picture(name)

    @abstractmethod
    def annotate(self, path: str, found: re.Match[str]) -> Annotation | None:
        """Return the annotation in a name; None if a part of it is not a code of the dataset."""

    def evidence(self, tree: Tree, root: str) -> str | None:
        """See `Reader.evidence`."""
        if root:  # the folders around the pictures say nothing
            return None
        named = [name for name in tree.below(root) if self.counts(name)]
        # From everywhere: KDEF's release has a folder of averaged faces before those of the people.
        pictures = named[:: max(1, len(named) // _SAMPLE)]
        fitting = [name for name in pictures if self._annotation(name) is not None]
        if not fitting or len(fitting) < _MIN_SHARE * len(pictures):
            return None
        return f"files are named as {self.example}, such as {fitting[0]}"

    def begins(self, tree: Tree, root: str) -> bool:
        """See `Reader.begins`."""
        return any(self.counts(name) and self._annotation(name) for name in tree.below(root))

    def read(self, raw: RawDataset) -> Iterator[Row]:
        """See `Reader.read`."""
        for path in sorted(name for name in raw.tree.below(raw.root) if self.counts(name)):
            detail = f"{path}: not named as {self.example}"
            yield self._annotation(path) or RejectedRow(path, Reason.bad_row, detail)

    def _annotation(self, path: str) -> Annotation | None:
        name, dot, suffix = path.rpartition("/")[2].rpartition(".")
        found = self.pattern.fullmatch(self.misnamed.get(name.upper(), name) + dot + suffix)
        return self.annotate(path, found) if found else None


def name_pattern(pattern: str) -> re.Pattern[str]:
    """Compile the pattern of a picture's base name."""
    return re.compile(pattern, re.IGNORECASE | re.ASCII)
