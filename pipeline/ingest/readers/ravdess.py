"""RAVDESS: 24 actors who speak and sing two sentences with one of eight emotions.

Livingstone, Russo: The Ryerson Audio-Visual Database of Emotional Speech and Song, PLoS ONE 2018. Its readme
explains the names: modality, channel, emotion, intensity, sentence, take, actor.
"""

import re
from typing import Final

from pipeline.ingest.parsing.attributes import FEMALE, MALE, Attributes
from pipeline.ingest.raw_dataset import Annotation
from pipeline.ingest.readers.named import name_pattern
from pipeline.ingest.readers.named_videos import NamedVideos

_WITH_SOUND: Final = "01"
_SILENT: Final = "02"


class Ravdess(NamedVideos):
    """`01-01-03-01-01-01-12.mp4`. Calm is not one of the eight classes, and contempt is none of RAVDESS's."""

    name = "ravdess"
    labels = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")
    layout = "videos named as 01-01-03-01-01-01-12.mp4"
    example = "01-01-03-01-01-01-12.mp4"
    pattern = name_pattern(r"0[12]-0[12]-0([1-8])-0[12]-0[12]-0[12]-(\d\d)\.[a-z0-9]+")

    def annotate(self, path: str, found: re.Match[str]) -> Annotation | None:
        """See `NamedPictures.annotate`: the numbers of women are even."""
        who = Attributes(gender=MALE if int(found[2]) % 2 else FEMALE)
        return Annotation(path, (self.labels[int(found[1]) - 1],), path, subject=found[2], attributes=who)

    def twin(self, path: str) -> str | None:
        """See `NamedVideos.twin`: each take is there with and without sound."""
        folder, slash, name = path.rpartition("/")
        return f"{folder}{slash}{_WITH_SOUND}{name[2:]}" if name.startswith(_SILENT) else None
