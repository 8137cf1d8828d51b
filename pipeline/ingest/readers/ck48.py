"""CK+48: the last three frames of CK+'s labelled sequences, cropped to 48x48, one folder per class, no neutral."""

import re

from pipeline.ingest.parsing.label_names import native_label
from pipeline.ingest.raw_dataset import Annotation
from pipeline.ingest.readers.named import NamedPictures, name_pattern


class Ck48(NamedPictures):
    """`anger/S010_004_00000017.png`: the folder is the label; subject and sequence are in the name."""

    name = "ck48"
    cut_out = True
    labels = ("anger", "contempt", "disgust", "fear", "happy", "sadness", "surprise")
    layout = "class folders with pictures named as S010_004_00000017.png"
    example = "S010_004_00000017.png in a class folder"
    pattern = name_pattern(r"(S\d{3})_(\d{3})_(\d{8})\.(?:png|jpe?g|bmp|tiff?)")

    def annotate(self, path: str, found: re.Match[str]) -> Annotation | None:
        """See `NamedPictures.annotate`."""
        label = native_label(path.rpartition("/")[0].rpartition("/")[2], self.labels)
        if label is None:
            return None
        subject = found[1].upper()
        return Annotation(path, (label,), path, subject=subject, sequence=f"{subject}_{found[2]}")
