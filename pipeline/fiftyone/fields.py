"""What a sample is in FiftyOne: the documents of FiftyOneDataset, in its layout without a version.

FiftyOne takes that layout, its LegacyFiftyOneDataset, under both names and makes its own database documents of it, so
a folder does not depend on its release. Boxes are (left, top, width, height) and points (x, y), both as shares of the
picture's width and height.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pipeline.core.emotions import CLASSES

METADATA_NAME: Final = "metadata.json"
SAMPLES_NAME: Final = "samples.json"
PICTURES: Final = "data"
CROPS: Final = "fields/crop"  # the field `crop` may be shown instead of the picture
# Before a reason for which a row was left out, so that no tag of ours reads like a decision.
LEFT_OUT: Final = "left out: "
DOUBT: Final = "doubt: "

_CORE: Final = "fiftyone.core"
_TEXT: Final = f"{_CORE}.fields.StringField"
_NUMBER: Final = f"{_CORE}.fields.FloatField"


def _list_of(field: str) -> str:
    return f"{_CORE}.fields.ListField({field})"


def _document(name: str) -> str:
    return f"{_CORE}.fields.EmbeddedDocumentField({_CORE}.{name})"


FIELDS: Final[Mapping[str, str]] = {
    "filepath": _TEXT,
    "tags": _list_of(_TEXT),
    "metadata": _document("metadata.Metadata"),
    "crop": _TEXT,
    "sample_id": _TEXT,
    "subject_id": _TEXT,
    "source_labels": _list_of(_TEXT),
    "label": _document("labels.Classification"),
    "face": _document("labels.Detections"),
    "points": _document("labels.Keypoints"),
    "answer": _document("labels.Classification"),
    "suggested": _document("labels.Classification"),
    "doubt": _NUMBER,
    "doubt_reason": _TEXT,
    "doubt_detail": _TEXT,
    "note": _TEXT,
    # What label and face were, by which an edit is told.
    "given_label": _TEXT,
    "given_box": _list_of(_NUMBER),
    "picture_px": _list_of(_NUMBER),
}


def classification(label: int | None, confidence: float | None = None) -> dict[str, Any] | None:
    """Return a class as a document, or None for none."""
    if label is None:
        return None
    return {"_cls": "Classification", "tags": [], "label": CLASSES[label], "confidence": confidence}


def detections(box: Sequence[float], score: float | None) -> dict[str, Any]:
    """Return the box of a face as a document, with the detector's score."""
    one = {"_cls": "Detection", "attributes": {}, "tags": [], "label": "face", "bounding_box": list(box)}
    return {"_cls": "Detections", "detections": [{**one, "confidence": score}]}


def keypoints(points: Sequence[float]) -> dict[str, Any]:
    """Return the five points x0, y0, x1 … of a face as a document."""
    pairs = [list(pair) for pair in zip(points[::2], points[1::2], strict=True)]
    one = {"_cls": "Keypoint", "attributes": {}, "tags": [], "label": "five points", "points": pairs}
    return {"_cls": "Keypoints", "keypoints": [one]}


def relative_box(box: Sequence[float], width: int, height: int) -> list[float]:
    """Return a box x0, y0, x1, y1 in pixels as left, top, width, height, in shares of the picture."""
    x0, y0, x1, y1 = (float(side) for side in box)
    return [x0 / width, y0 / height, (x1 - x0) / width, (y1 - y0) / height]


def absolute_box(box: Sequence[float], width: float, height: float) -> tuple[float, float, float, float]:
    """Return the inverse of `relative_box`, cut to the picture and rounded to tenths of a pixel."""
    left, top, wide, high = box
    sides = (left * width, top * height, (left + wide) * width, (top + high) * height)
    x0, y0, x1, y1 = (round(min(max(side, 0), end), 1) for side, end in zip(sides, (width, height) * 2, strict=True))
    return x0, y0, x1, y1
