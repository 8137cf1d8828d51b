"""SFEW 2.0: frames of films with faces aligned by the authors; the test labels are not public.

Dhall, Goecke, Lucey, Gedeon: Static Facial Expressions in Tough Conditions, ICCVW 2011.
"""

from collections.abc import Iterator
from typing import Final

from pipeline.core.schema import Reason
from pipeline.ingest.parsing.label_names import native_label
from pipeline.ingest.raw_dataset import Annotation, RawDataset, RejectedRow, Row, is_picture, join, stem
from pipeline.ingest.readers.reader import Reader
from pipeline.ingest.trees.tree import Tree

_SPLITS: Final = {"train": "Train", "val": "Val", "test": "Test"}
_MARK: Final = "_aligned_faces"


class Sfew(Reader):
    """`Train_Aligned_Faces/Angry/Airheads_000519240_00000005.png`: film, time and frame."""

    name = "sfew"
    cut_out = True
    labels = ("Angry", "Disgust", "Fear", "Happy", "Neutral", "Sad", "Surprise")
    layout = "Train_Aligned_Faces/<Class>/ or Val_Aligned_Faces/<Class>/"

    def evidence(self, tree: Tree, root: str) -> str | None:
        """See `Reader.evidence`."""
        found = next((folder for split, folder in _folders(tree, root) if split != "Test"), None)
        return f"{found} holds class folders" if found and tree.listing(found).folders else None

    def read(self, raw: RawDataset) -> Iterator[Row]:
        """See `Reader.read`."""
        for split, folder in _folders(raw.tree, raw.root):
            for path in raw.tree.below(folder):
                if is_picture(path):
                    name = path[len(folder) + 1 :].partition("/")[0]
                    yield self._row(path, split, raw.meaning(name, path))

    def _row(self, path: str, split: str, folder: str) -> Row:
        label = native_label(folder, self.labels)
        if label is None and split == "Test":
            return RejectedRow(path, Reason.unlabelled, f"{path}: the test labels are not public")
        if label is None:
            return RejectedRow(path, Reason.bad_row, f"{path}: in no class folder of {', '.join(self.labels)}")
        # Frames of one scene of a film are near-duplicates.
        return Annotation(path, (label,), path, split=split, sequence=stem(path).rpartition("_")[0] or None)


def _folders(tree: Tree, root: str, depth: int = 2) -> Iterator[tuple[str, str]]:
    """Yield (split, folder of its classes). Archives are in Train/, Val/, Test/ and contain a folder of their name."""
    for name in tree.listing(root).folders:
        split, mark, _ = name.casefold().partition(_MARK)
        inner = join(root, name)
        if mark and split in _SPLITS:
            again = (join(inner, folder) for folder in tree.listing(inner).folders if _MARK in folder.casefold())
            yield _SPLITS[split], next(again, inner)
        elif name.casefold() in _SPLITS and depth > 1:
            yield from _folders(tree, inner, depth - 1)
