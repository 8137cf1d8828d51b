"""Oulu-CASIA: 80 people, six expressions, in visible and near-infrared light, each under three lamps.

Zhao et al.: Facial expression recognition from near-infrared videos, Image and Vision Computing 2011.
"""

import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Final

from pipeline.core.schema import Reason
from pipeline.ingest.parsing.clips import frame_order
from pipeline.ingest.parsing.label_names import native_label
from pipeline.ingest.raw_dataset import Annotation, RawDataset, RejectedRow, Row, is_picture
from pipeline.ingest.readers.reader import Reader
from pipeline.ingest.trees.tree import Tree

_FRAME: Final = re.compile(
    r"(?:.*/)?(?:(VL|NI)[^/]*/)?(Strong|Weak|Dark)/(P\d{3})/([A-Za-z]+)/[^/]+", re.IGNORECASE | re.ASCII
)
_NEUTRAL: Final = "Neutral"
_SAMPLE: Final = 200


class OuluCasia(Reader):
    """`OriginalImg/VL/Strong/P001/Anger/000.jpeg`: a sequence from neutral to the peak of an expression."""

    name = "oulu_casia"
    labels = ("Anger", "Disgust", "Fear", "Happiness", "Sadness", "Surprise", "Neutral")
    layout = "VL or NI, Strong, Weak or Dark, P001, Anger and frames"

    def evidence(self, tree: Tree, root: str) -> str | None:
        """See `Reader.evidence`."""
        if root:
            return None
        pictures = [name for name in tree.below(root) if is_picture(name)][:_SAMPLE]
        found = next((name for name in pictures if _FRAME.fullmatch(name)), None)
        return found and f"{found}: a lamp, a person and an expression"

    def read(self, raw: RawDataset) -> Iterator[Row]:
        """See `Reader.read`: the last frames show the expression and the first are neutral, as many as of CK+."""
        sequences: defaultdict[str, list[str]] = defaultdict(list)
        for name in raw.tree.below(raw.root):
            if is_picture(name):
                sequences[name.rpartition("/")[0]].append(name)
        for folder, frames in sorted(sequences.items()):
            found = _FRAME.fullmatch(frames[0])
            label = native_label(found[4], self.labels) if found else None
            subject = found and found[3].upper()
            if label is None:
                detail = f"{folder}: not in folders of a lamp, a person and an expression"
                yield from (RejectedRow(name, Reason.bad_row, detail, subject) for name in frames)
                continue
            neutral = min(raw.params.ckplus_neutral_frames, len(frames) - 1)
            peak = max(neutral, len(frames) - raw.params.ckplus_peak_frames)
            for number, path in enumerate(sorted(frames, key=frame_order)):
                if neutral <= number < peak:
                    detail = f"{path}: between the neutral and the peak frames"
                    yield RejectedRow(path, Reason.unlabelled, detail, subject)
                    continue
                said = label if number >= peak else _NEUTRAL
                # The same person takes part under every lamp.
                yield Annotation(path, (said,), path, subject=subject, sequence=folder)
