"""JAFFE: ten Japanese women, seven expressions, 213 pictures.

Lyons, Akamatsu, Kamachi, Gyoba: Coding Facial Expressions with Gabor Wavelets, FG 1998.
"""

import re

from pipeline.ingest.raw_dataset import Annotation
from pipeline.ingest.readers.named import NamedPictures, name_pattern


class Jaffe(NamedPictures):
    """`KA.AN1.39.tiff`: subject, code and take, running number."""

    name = "jaffe"
    labels = ("AN", "DI", "FE", "HA", "NE", "SA", "SU")
    layout = "pictures named as KA.AN1.39.tiff"
    example = "KA.AN1.39.tiff"
    pattern = name_pattern(r"([A-Z]{2})\.([A-Z]{2})(\d+)\.(\d+)\s*\.(?:tiff?|png|jpe?g|bmp)")

    def annotate(self, path: str, found: re.Match[str]) -> Annotation | None:
        """See `NamedPictures.annotate`."""
        subject, code = found[1].upper(), found[2].upper()
        return Annotation(path, (code,), path, subject=subject) if code in self.labels else None
