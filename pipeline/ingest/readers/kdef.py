"""KDEF: 70 people, seven expressions, five angles, two sessions.

The release misnames two pictures: AF31V should be AF31SAHL, and AM31H should be AM31SUHR.

Lundqvist, Flykt, Öhman: The Karolinska Directed Emotional Faces, 1998.
"""

import re
from collections.abc import Mapping
from typing import ClassVar

from pipeline.ingest.parsing.attributes import FEMALE, MALE, Attributes
from pipeline.ingest.raw_dataset import Annotation
from pipeline.ingest.readers.named import NamedPictures, name_pattern


class Kdef(NamedPictures):
    """`AF01ANFL.JPG`: session, gender, number, expression, angle. A person is gender and number, in both sessions."""

    name = "kdef"
    labels = ("AF", "AN", "DI", "HA", "NE", "SA", "SU")
    layout = "pictures named as AF01ANFL.JPG"
    example = "AF01ANFL.JPG"
    pattern = name_pattern(r"([AB])([FM]\d\d)(AF|AN|DI|HA|NE|SA|SU)(FL|HL|S|HR|FR)\.(?:jpe?g|png|bmp)")

    misnamed: ClassVar[Mapping[str, str]] = {"AF31V": "AF31SAHL", "AM31H": "AM31SUHR"}

    def annotate(self, path: str, found: re.Match[str]) -> Annotation | None:
        """See `NamedPictures.annotate`."""
        person = found[2].upper()
        sex = Attributes(gender=FEMALE if person.startswith("F") else MALE)
        return Annotation(path, (found[3].upper(),), path, subject=person, attributes=sex)
