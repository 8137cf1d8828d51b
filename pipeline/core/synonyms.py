"""Spellings of the words for the eight classes, from ``synonyms.yaml``.

Readers use them to recognise a dataset's own labels as mirrors respell them; taxonomies use them to find the class of a
label that they do not list.
"""

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final

import yaml

from pipeline.core.errors import DataError

_PATH: Final = Path(__file__).with_name("synonyms.yaml")
_SEPARATORS: Final = re.compile(r"[\s_\-]+")
_WORD: Final = re.compile(r"[^\W\d_]+")
_HUMP: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")
# What people put beside the name of a class: "Angry Faces", "emotion-sad", "class_2_fear", "1. Anger".
_BESIDE: Final = frozenset(
    {
        "face", "faces", "facial", "image", "images", "img", "imgs", "picture", "pictures", "pic", "pics", "photo",
        "photos", "emotion", "emotions", "expression", "expressions", "class", "label",
    }
)  # fmt: skip


def normalize(label: str) -> str:
    """Return a label in the form in which labels are compared: casefolded, without spaces, hyphens and underscores."""
    return _SEPARATORS.sub("", label).casefold()


def bare(label: str) -> str:
    """Return the normalized letters of a label, without numbers and words such as face or image; "" if all are such."""
    words = _WORD.findall(_HUMP.sub(" ", label))
    return "".join(word for word in map(str.casefold, words) if word not in _BESIDE)


def word_of(label: str) -> str | None:
    """Return the word that a label spells, as `synonyms` does, whatever stands beside it; None for others and codes."""
    return synonyms().get(normalize(label)) or synonyms().get(bare(label))


@cache
def synonyms() -> Mapping[str, str]:
    """Return spelling -> word from ``synonyms.yaml``, both normalized.

    Raises:
        DataError: the table cannot be read, or lists one spelling under two words.
    """
    shown = f"{_PATH.parent.name}/{_PATH.name}"
    try:
        words = yaml.safe_load(_PATH.read_text(encoding="utf-8"))["words"]
    except (OSError, yaml.YAMLError, UnicodeDecodeError, KeyError, TypeError) as error:
        raise DataError(f"{shown}: cannot be read: {' '.join(str(error).split())}") from None
    found: dict[str, str] = {}
    for word, spellings in words.items():
        for spelling in (word, *spellings):
            if found.setdefault(normalize(spelling), normalize(word)) != normalize(word):
                raise DataError(f"{shown}: {spelling!r} is a spelling of two words")
    return found
