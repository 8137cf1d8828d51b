"""How mirrors spell the names of a dataset's own labels: `angry` for `anger`, `happiness` for `happy`."""

from collections.abc import Sequence
from typing import Final

# The common name first.
_SAME: Final = (
    ("anger", "angry"),
    ("contempt", "contemptuous"),
    ("disgust", "disgusted"),
    ("fear", "fearful", "afraid", "scared"),
    ("happy", "happiness", "joy"),
    ("neutral", "neutrality", "natural"),
    ("sad", "sadness"),
    ("surprise", "surprised", "suprise"),
    ("none",),
    ("uncertain",),
    ("no-face", "noface", "nonface"),
)
_CLASSES: Final = 8  # the first ones of them
# The codes in the names of JAFFE's and KDEF's pictures.
_CODES: Final = {
    "AN": "anger", "DI": "disgust", "FE": "fear", "AF": "fear", "HA": "happy", "NE": "neutral", "SA": "sad",
    "SU": "surprise",
}  # fmt: skip


def native_label(text: str, labels: Sequence[str]) -> str | None:
    """Return the label of a dataset that a text spells in its own way; None where it spells none.

    Args:
        text: a folder's name or a cell, in any case, with or without a number before it ("0_anger").
        labels: the dataset's labels in their native spelling.
    """
    plain = _plain(text)
    same = next((names for names in _SAME if plain in names), (plain,))
    return next((label for label in labels if _plain(label) in same or label in same), None)


def class_word(text: str) -> str | None:
    """Return which of the eight classes a folder's name or a cell spells; None for any other word, and for codes."""
    plain = _plain(text)
    return next((names[0] for names in _SAME[:_CLASSES] if plain in names), None)


def common_name(label: str) -> str:
    """Return one name for a label however a dataset spells it, so that the counts of two datasets compare."""
    if label in _CODES:
        return _CODES[label]
    plain = _plain(label)
    return next((names[0] for names in _SAME if plain in names), label.casefold())


def _plain(text: str) -> str:
    return "".join(char for char in text.casefold() if char.isalpha())
