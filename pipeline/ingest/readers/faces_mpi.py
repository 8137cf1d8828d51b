"""FACES: 171 young, middle-aged and older people with six expressions, in two sets of pictures.

Ebner, Riediger, Lindenberger: FACES, a database of facial expressions in young, middle-aged, and older women and men,
Behavior Research Methods 2010.
"""

import re
from typing import Final

from pipeline.ingest.parsing.attributes import read_attributes
from pipeline.ingest.raw_dataset import Annotation
from pipeline.ingest.readers.named import NamedPictures, name_pattern

_AGES: Final = {"y": "young", "m": "middle-aged", "o": "older"}
_GENDERS: Final = {"f": "female", "m": "male"}
_LABELS: Final = {"a": "anger", "d": "disgust", "f": "fear", "h": "happiness", "n": "neutrality", "s": "sadness"}


class Faces(NamedPictures):
    """`004_o_m_a_b.jpg`: person, age group, gender, expression, set."""

    name = "faces"
    labels = tuple(_LABELS.values())
    layout = "pictures named as 004_o_m_a_b.jpg"
    example = "004_o_m_a_b.jpg"
    pattern = name_pattern(r"(\d{1,3})_([ymo])_([fm])_([adfhns])_([ab])\.(?:jpe?g|png|bmp|tiff?)")

    def annotate(self, path: str, found: re.Match[str]) -> Annotation | None:
        """See `NamedPictures.annotate`."""
        age, gender, label = (found[place].lower() for place in (2, 3, 4))
        said, _ = read_attributes(_GENDERS[gender], _AGES[age], "")
        return Annotation(path, (_LABELS[label],), path, subject=found[1], attributes=said)
