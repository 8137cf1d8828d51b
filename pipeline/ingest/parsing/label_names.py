"""Native labels of a dataset in the spellings of mirrors: `angry` for `anger`, `0_Joy` for `happy`."""

import re
from collections.abc import Sequence
from typing import Final

from pipeline.core.split_names import split_name
from pipeline.core.synonyms import word_of

# The codes in the names of JAFFE's and KDEF's pictures.
_CODES: Final = {
    "AN": "anger", "DI": "disgust", "FE": "fear", "AF": "fear", "HA": "happy", "NE": "neutral", "SA": "sad",
    "SU": "surprise",
}  # fmt: skip


def native_label(text: str, labels: Sequence[str]) -> str | None:
    """Return the native label that a text spells; None if it spells none.

    Args:
        text: a folder's name or a cell, in any case, with or without a number before it ("0_anger").
        labels: the dataset's labels in their native spelling.
    """
    plain, word = _plain(text), class_word(text)
    same = next((label for label in labels if _plain(label) == plain), None)
    return same or next((label for label in labels if word is not None and class_word(label) == word), None)


def class_word(text: str) -> str | None:
    """Return the class that a folder's name or a cell spells; None for other words and for codes."""
    return word_of(text)


def common_name(label: str) -> str:
    """Return a common name for all spellings of a label, so that counts of two datasets can be compared."""
    return _CODES.get(label) or class_word(label) or label.casefold()


def is_split(name: str) -> bool:
    """Return whether a folder or file is named after a split: train, val_set, Test and so on."""
    return split_name(name) is not None


def split_of(name: str) -> str | None:
    """Return the split that a file or its nearest folder is named after, in its own words; None if there is none."""
    folder, _, base = name.rpartition("/")
    stem = base.rpartition(".")[0] or base
    if is_split(stem):
        return stem
    words = [word for word in re.findall(r"[A-Za-z]+", stem) if is_split(word)]
    return words[0] if words else split_folder(folder)


def split_folder(folder: str) -> str | None:
    """Return the nearest folder of a path that has the name of a split and nothing else; None if there is none."""
    return next((part for part in reversed(folder.split("/")) if is_split(part)), None)


def _plain(text: str) -> str:
    return "".join(char for char in text.casefold() if char.isalpha())
