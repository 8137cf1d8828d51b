"""What a dataset says about a person: gender, age and race, in a form that can be counted.

A gender is one of a few words. Ages and races stay in the dataset's own words, because no two datasets group them
alike: RAF-DB's 4-19 is neither a kid nor a teenager of EMOTIC.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from pipeline.ingest.parsing.delimited import number

FEMALE: Final = "female"
MALE: Final = "male"
OTHER: Final = "other"
UNSURE: Final = "unsure"  # the annotator could not tell
_GENDERS: Final = {
    **dict.fromkeys(("female", "f", "woman", "girl"), FEMALE),
    **dict.fromkeys(("male", "m", "man", "boy"), MALE),
    **dict.fromkeys(("other", "non-binary", "nonbinary", "diverse"), OTHER),
    "unsure": UNSURE,
}
_NOT_GIVEN: Final = frozenset({"", "nan", "none", "null", "n/a", "na", "unknown", "not given", "not specified", "-"})
# The groups of RAF-DB's readme and where each begins; ages in years are put into them.
AGE_GROUPS: Final = ("0-3", "4-19", "20-39", "40-69", "70+")
_BEGINS: Final = (0, 4, 20, 40, 70)
_OLDEST: Final = 120
_CODES: Final = range(10)
_LONGEST_WORD: Final = 40


@dataclass(frozen=True, slots=True)
class Attributes:
    """Attributes of a person; None: the dataset does not give it.

    `gender` is female, male, other or unsure; `age` the dataset's own group, or that of RAF-DB for an age in years;
    `race` the dataset's own word.
    """

    gender: str | None = None
    age: str | None = None
    age_years: float | None = None
    race: str | None = None


NO_ATTRIBUTES: Final = Attributes()


def read_attributes(gender: str = "", age: str = "", race: str = "") -> tuple[Attributes, list[str]]:
    """Return the attributes in three cells, and what is wrong with each cell that has an unusable value.

    Args:
        gender: a word such as Female, F or man. A code is unusable: its meaning differs between datasets.
        age: years as a number, or the name of a group.
        race: any word. A number is unusable, for the same reason.
    """
    unusable = []
    sex = None if _absent(gender) else _GENDERS.get(gender.strip().casefold())
    if sex is None and not _absent(gender):
        unusable.append(f"gender (expected {FEMALE}, {MALE}, {OTHER} or {UNSURE})")
    years = None if _absent(age) else number(age)
    if years is not None and not 0 <= years <= _OLDEST:
        unusable.append(f"age (expected a group, or years from 0 to {_OLDEST})")
        years, group = None, None
    else:
        group = _word(age) if years is None else age_group(years)
    word = _word(race)
    if word is not None and number(word) is not None:
        unusable.append("race (expected a word)")
        word = None
    return Attributes(sex, group, years, word), unusable


def are_age_codes(cells: Iterable[str]) -> bool:
    """Return whether a column of ages has codes of groups and no years: whole numbers from 0 to 9, and nothing else.

    RAF-DB's code 4 is 70 years and more, and not a child of four.
    """
    found = False
    for cell in cells:
        if _absent(cell):
            continue
        years = number(cell)
        if years is None or years not in _CODES:
            return False
        found = True
    return found


def age_group(years: float) -> str:
    """Return the group of `AGE_GROUPS` for an age in years, 0 or more."""
    return AGE_GROUPS[sum(math.floor(years) >= start for start in _BEGINS) - 1]


def _absent(text: str) -> bool:
    return text.strip().casefold() in _NOT_GIVEN


def _word(text: str) -> str | None:
    return None if _absent(text) else text.strip()[:_LONGEST_WORD]
