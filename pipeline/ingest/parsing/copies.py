"""Recognising copies by the names that tools give them: `img0_jpg.rf.<hash>.jpg` and `img0_flip_2.jpg` show `img0.jpg`.

A picture and its copies become one sequence, so that no split separates them. The names are those of Roboflow's
exports, Augmentor, FER2013's mirrors, file managers, and scripts around albumentations.
"""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final

from pipeline.ingest.raw_dataset import stem

_SUFFIX: Final = r"(?:jpe?g|png|bmp|webp|tiff?|gif)"
# The group of each pattern is the name of the original, which need not exist: these names are unmistakable.
_TOOLS: Final = tuple(
    re.compile(pattern, re.IGNORECASE | re.ASCII)
    for pattern in (
        rf"(.+)_{_SUFFIX}\.rf\.[0-9a-z]+",
        rf".+_original_(.+)\.{_SUFFIX}_[0-9a-f]{{8}}(?:-[0-9a-f]{{4}}){{3}}-[0-9a-f]{{12}}",
        rf"(.+)\.{_SUFFIX}(?:[ _-]?\d+)?",
    )
)
_WORDS: Final = (
    r"aug(?:mented|mentation)?|copy|dup(?:licate)?|[hv]?flip(?:ped)?|mirror(?:ed)?|rot(?:ate|ated|ation)?|shift(?:ed)?"
    r"|shear(?:ed)?|zoom(?:ed)?|crop(?:ped)?|bright(?:ness|er|ened)?|dark(?:er|ened)?|contrast|nois[ey]|blur(?:red)?"
    r"|gr[ae]y(?:scale)?|cutout|erased?|transformed|hist(?:eq)?|clahe|equali[sz]ed"
)
# Marks after or before a name. Pictures of whole folders may have such names without being copies, so a mark counts
# only if the picture without it exists.
_MARKS: Final = tuple(
    re.compile(pattern, re.IGNORECASE | re.ASCII)
    for pattern in (
        rf"(.+?)(?:(?:[ _.-]+(?:{_WORDS})(?:[ _.-]?[+-]?\d+(?:\.\d+)?)?)+(?: ?\(\d+\))?| ?\(\d+\))",
        rf"(?:(?:{_WORDS})(?:[ _.-]?\d+)?[ _.-]+(?:of[ _.-]+)?)+(.+)",
    )
)


def original_of(name: str) -> str | None:
    """Return the stem of the original of a picture that a tool named as a copy; None if its stem is no such name."""
    found = None
    while (match := next((match for tool in _TOOLS if (match := tool.fullmatch(name))), None)) is not None:
        name = found = match[1]
    return found


def copies(paths: Sequence[str], labels: Sequence[Sequence[str]]) -> Mapping[int, str]:
    """Return index -> sequence for each picture that is a copy or has copies.

    Args:
        paths: paths of pictures.
        labels: the labels of each; they decide if several folders have a picture with the original's name, because a
            copy keeps the labels.
    """
    made = {place: name for place, path in enumerate(paths) if (name := original_of(stem(path)))}
    marked = {place: names for place, path in enumerate(paths) if (names := _unmarked(stem(path)))}
    if not made and not marked:
        return {}
    homes: defaultdict[str, dict[str, Sequence[str]]] = defaultdict(dict)  # stem -> folder -> labels
    for place, path in enumerate(paths):
        if place not in made:
            homes[stem(path)][_folder(path)] = labels[place]
    groups: defaultdict[str, list[int]] = defaultdict(list)
    for place, path in enumerate(paths):
        name = made.get(place) or next((name for name in marked.get(place, ()) if name in homes), None)
        home = _home(homes.get(name, {}), _folder(path), labels[place]) if name else None
        if home is None and place not in made:
            name, home = stem(path), _folder(path)
        groups[f"{home}/{name}" if home is not None else str(name)].append(place)
    return {place: name for name, places in groups.items() if len(places) > 1 for place in places}


def _unmarked(name: str) -> list[str]:
    """Return the possible stems of the original of a marked copy."""
    return [found[1] for mark in _MARKS if (found := mark.fullmatch(name))]


def _home(homes: Mapping[str, Sequence[str]], folder: str, labels: Sequence[str]) -> str | None:
    """Return the folder of a copy's original: the same folder, or the only one with the same labels."""
    if folder in homes:
        return folder
    alike = [home for home, of in homes.items() if of == labels]
    return alike[0] if len(alike) == 1 else None


def _folder(path: str) -> str:
    return path.rpartition("/")[0]
