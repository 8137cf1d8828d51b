"""RaFD: 67 people, eight expressions, three gazes, five angles.

Langner et al.: Presentation and validation of the Radboud Faces Database, Cognition and Emotion 2010.
"""

import re

from pipeline.ingest.parsing.attributes import read_attributes
from pipeline.ingest.raw_dataset import Annotation
from pipeline.ingest.readers.named import NamedPictures, name_pattern


class Rafd(NamedPictures):
    """`Rafd090_01_Caucasian_female_angry_frontal.jpg`: angle, person, group, gender, expression, gaze."""

    name = "rafd"
    labels = ("angry", "contemptuous", "disgusted", "fearful", "happy", "neutral", "sad", "surprised")
    layout = "pictures named as Rafd090_01_Caucasian_female_angry_frontal.jpg"
    example = "Rafd090_01_Caucasian_female_angry_frontal.jpg"
    pattern = name_pattern(r"Rafd(\d{3})_(\d+)_([^_]+)_([^_]+)_([a-z]+)_([a-z]+)\.(?:jpe?g|png|bmp)")

    def annotate(self, path: str, found: re.Match[str]) -> Annotation | None:
        """See `NamedPictures.annotate`."""
        label = found[5].lower()
        if label not in self.labels:
            return None
        # The third part is a group of people, one of which is an age.
        group = {"age": found[3]} if found[3].lower() == "kid" else {"race": found[3]}
        attributes, _ = read_attributes(gender=found[4], **group)
        return Annotation(path, (label,), path, subject=found[2], attributes=attributes)
