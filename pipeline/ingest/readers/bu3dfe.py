"""BU-3DFE: the pictures of 100 people with six expressions in four intensities, and neutral.

Yin, Wei, Sun, Wang, Rosato: A 3D Facial Expression Database For Facial Behavior Research, FG 2006.
"""

import re

from pipeline.ingest.parsing.attributes import read_attributes
from pipeline.ingest.raw_dataset import Annotation
from pipeline.ingest.readers.named import NamedPictures, name_pattern

_GENDERS = {"F": "female", "M": "male"}


class Bu3dfe(NamedPictures):
    """`F0001_AN01WH_F2D.bmp`: gender and person, expression and intensity, group, kind of picture."""

    name = "bu3dfe"
    labels = ("AN", "DI", "FE", "HA", "NE", "SA", "SU")
    layout = "pictures named as F0001_AN01WH_F2D.bmp"
    example = "F0001_AN01WH_F2D.bmp"
    pattern = name_pattern(r"([FM])(\d{4})_([A-Z]{2})(\d{2})([A-Z]{2})_F[23]D\.(?:bmp|jpe?g|png)")

    def annotate(self, path: str, found: re.Match[str]) -> Annotation | None:
        """See `NamedPictures.annotate`."""
        label = found[3].upper()
        if label not in self.labels:
            return None
        subject = f"{found[1].upper()}{found[2]}"
        gender, _ = read_attributes(_GENDERS[found[1].upper()], "", "")
        return Annotation(path, (label,), path, subject=subject, attributes=gender)
