"""MELD: utterances of a television series, each with a speaker and one of seven emotions; a table for each split.

Poria et al.: MELD: A Multimodal Multi-Party Dataset for Emotion Recognition in Conversations, ACL 2019. Pictures show
several people, and nothing says which face is the speaker's.
"""

from collections.abc import Iterator
from typing import Final

from pipeline.core.schema import Reason
from pipeline.ingest.parsing.clips import video_rows
from pipeline.ingest.parsing.delimited import Delimited, Record
from pipeline.ingest.parsing.label_names import native_label
from pipeline.ingest.raw_dataset import Annotation, RawDataset, RejectedRow, Row, stem
from pipeline.ingest.readers.reader import Reader
from pipeline.ingest.trees.tree import Tree
from pipeline.video.container import is_video

_COLUMNS: Final = ("Dialogue_ID", "Utterance_ID", "Emotion", "Speaker")
_SPLITS: Final = ("train", "dev", "test")


class Meld(Reader):
    """`train_sent_emo.csv` and `train_splits/dia0_utt0.mp4`; the same names are in every split."""

    name = "meld"
    labels = ("anger", "disgust", "fear", "joy", "neutral", "sadness", "surprise")
    layout = "train_sent_emo.csv with Dialogue_ID, Utterance_ID, Emotion and Speaker, and videos dia0_utt0.mp4"

    def evidence(self, tree: Tree, root: str) -> str | None:
        """See `Reader.evidence`."""
        name = None if root else next(_tables(tree, root), None)  # they are searched for everywhere
        return name and f"{name} has MELD's columns"

    def read(self, raw: RawDataset) -> Iterator[Row]:
        """See `Reader.read`."""
        videos = _videos(raw)
        for name in _tables(raw.tree, raw.root):
            split = next(split for split in _SPLITS if stem(name).casefold().startswith(split))
            for record in Delimited(raw.tree, name, _COLUMNS).records():
                yield from _rows(raw, record, split, videos)


def _tables(tree: Tree, root: str) -> Iterator[str]:
    for name in sorted(tree.below(root)):
        base = stem(name).casefold()
        fits = name.casefold().endswith(".csv") and "sent_emo" in base and base.startswith(_SPLITS)
        if fits and Delimited(tree, name, _COLUMNS).has(*_COLUMNS):
            yield name


def _videos(raw: RawDataset) -> dict[tuple[str, str], str]:
    """Return (split, name) -> video. The folder nearest to a video that names a split is its own."""
    found: dict[tuple[str, str], str] = {}
    for name in sorted(raw.tree.below(raw.root)):
        if is_video(name):
            folders = reversed(name.casefold().split("/")[:-1])
            split = next((split for folder in folders for split in _SPLITS if split in folder), "")
            found.setdefault((split, stem(name).casefold()), name)
    return found


def _rows(raw: RawDataset, record: Record, split: str, videos: dict[tuple[str, str], str]) -> Iterator[Row]:
    clip = f"dia{record.get('Dialogue_ID')}_utt{record.get('Utterance_ID')}"
    label = native_label(record.get("Emotion"), Meld.labels)
    if (surplus := record.surplus()) is not None or label is None:
        yield RejectedRow(clip, Reason.bad_row, surplus or f"{record.row}: expected one of {', '.join(Meld.labels)}")
    elif (path := videos.get((split, clip))) is None:
        yield RejectedRow(clip, Reason.missing_file, f"{record.row}: no video {clip} in a folder of {split}")
    else:
        speaker = record.get("Speaker") or None
        yield from video_rows(raw, Annotation(path, (label,), record.row, subject=speaker, split=split))
