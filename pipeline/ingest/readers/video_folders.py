"""Any folder of class folders with videos: `<root>[/<split>]/<class>/…`, as CAER has them.

Lee et al.: Context-Aware Emotion Recognition Networks, ICCV 2019 (CAER).
"""

from collections.abc import Iterator

from pipeline.core.schema import Reason
from pipeline.ingest.parsing.clips import video_rows
from pipeline.ingest.parsing.label_names import class_word, is_split
from pipeline.ingest.raw_dataset import Annotation, RawDataset, RejectedRow, Row, join
from pipeline.ingest.readers.reader import Reader
from pipeline.ingest.trees.tree import Tree
from pipeline.video.container import is_video


class VideoFolders(Reader):
    """A video's label is the name of its class folder; deeper folders are ignored."""

    name = "video_folder"
    labels = ()
    layout = "two or more class folders with videos, one at least named after an emotion, below the root or train/, …"
    generic = True

    def evidence(self, tree: Tree, root: str) -> str | None:
        """See `Reader.evidence`."""
        classes = sorted({label for label, _, _ in _class_folders(tree, root)})
        if len(classes) < 2 or not any(map(class_word, classes)):
            return None
        return f"{root or 'the root'} holds class folders of videos: {', '.join(classes[:4])} …"

    def begins(self, tree: Tree, root: str) -> bool:
        """See `Reader.begins`."""
        return next(_class_folders(tree, root), None) is not None

    def read(self, raw: RawDataset) -> Iterator[Row]:
        """See `Reader.read`."""
        classed = set()
        for label, split, folder in _class_folders(raw.tree, raw.root):
            for name in filter(is_video, raw.tree.below(folder)):
                classed.add(name)
                yield from video_rows(raw, Annotation(name, (raw.meaning(label, folder),), name, split=split))
        for name in filter(is_video, raw.tree.below(raw.root)):
            if name not in classed:
                yield RejectedRow(name, Reason.unlabelled, f"{name}: in no class folder")


def _class_folders(tree: Tree, root: str) -> Iterator[tuple[str, str | None, str]]:
    """Yield (label, split, folder) of every class folder with a video."""
    tops = tree.listing(root).folders
    splits = [name for name in tops if is_split(name)]
    for top in splits or tops:
        at = join(root, top)
        inner = [(name, top, join(at, name)) for name in tree.listing(at).folders] if splits else [(top, None, at)]
        yield from (one for one in inner if any(map(is_video, tree.below(one[2]))))
