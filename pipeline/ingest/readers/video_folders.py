"""Any folder of class folders with videos: `<root>[/<split>]/<class>/…`, as CAER has them.

Lee et al.: Context-Aware Emotion Recognition Networks, ICCV 2019 (CAER).
"""

from collections.abc import Iterator

from pipeline.core.schema import Reason
from pipeline.ingest.parsing.clips import with_frames
from pipeline.ingest.parsing.label_names import class_word
from pipeline.ingest.raw_dataset import Annotation, RawDataset, RejectedRow, Row
from pipeline.ingest.readers.class_folders import class_folders, split_below
from pipeline.ingest.readers.reader import Reader
from pipeline.ingest.releases.named_codes import name_codes
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
        classes = sorted({label for label, _, _ in class_folders(tree, root, is_video)})
        if len(classes) < 2 or not any(map(class_word, classes)):
            return None
        return f"{root or 'the root'} holds class folders of videos: {', '.join(classes[:4])} …"

    def begins(self, tree: Tree, root: str) -> bool:
        """See `Reader.begins`."""
        return next(class_folders(tree, root, is_video), None) is not None

    def read(self, raw: RawDataset) -> Iterator[Row]:
        """See `Reader.read`."""
        classed, rows = set(), list[Row]()
        for label, split, folder in class_folders(raw.tree, raw.root, is_video):
            for name in filter(is_video, raw.tree.below(folder)):
                classed.add(name)
                of = split or split_below(name, folder)
                labels = tuple(filter(None, [raw.meaning(label, folder)]))
                rows.append(Annotation(name, labels, name, split=of))
        yield from with_frames(raw, name_codes(raw, rows, "class folders named after codes"))
        for name in filter(is_video, raw.tree.below(raw.root)):
            if name not in classed:
                yield RejectedRow(name, Reason.unlabelled, f"{name}: in no class folder")
