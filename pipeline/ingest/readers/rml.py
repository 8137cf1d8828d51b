"""RML: 720 clips of eight people who say sentences in six languages with one of six emotions.

Wang, Guan: Recognizing Human Emotional State From Audiovisual Signals, IEEE Transactions on Multimedia 2008. The names
are known from code that reads the release.
"""

import re

from pipeline.ingest.raw_dataset import Annotation
from pipeline.ingest.readers.named import name_pattern
from pipeline.ingest.readers.named_videos import NamedVideos

_PERSON = re.compile(r"s\d+", re.IGNORECASE | re.ASCII)


class Rml(NamedVideos):
    """`rml-1/s1/an1.avi`: the folder of the person, the emotion and a running number; folders of languages between."""

    name = "rml"
    labels = ("an", "di", "fe", "ha", "sa", "su")
    layout = "videos named as an1.avi in folders of people such as s1"
    example = "an1.avi"
    pattern = name_pattern(r"(an|di|fe|ha|sa|su)\d+\.[a-z0-9]+")

    def annotate(self, path: str, found: re.Match[str]) -> Annotation | None:
        """See `NamedPictures.annotate`: only in the folder of a person, because many videos could have such a name."""
        person = next((part for part in reversed(path.split("/")[:-1]) if _PERSON.fullmatch(part)), None)
        return None if person is None else Annotation(path, (found[1].lower(),), path, subject=person.lower())
