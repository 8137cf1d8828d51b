"""Finding the columns of a csv with a face's box, by all four names together.

One name alone is ambiguous: `x1` is the left side if there is an `x2`, and the right side if there is an `x0`; `width`
is the box's if there is an `x`, and the picture's if there is an `xmax`.
"""

from collections.abc import Mapping
from typing import Final

CORNERS: Final = ("x0", "y0", "x1", "y1")
SIZES: Final = ("x0", "y0", "width", "height")
# Four names, squashed: of the first corner, and of the second corner or the size.
_NAMES: Final[Mapping[tuple[str, ...], tuple[tuple[str, str, str, str], ...]]] = {
    CORNERS: (
        ("x0", "y0", "x1", "y1"),
        ("x1", "y1", "x2", "y2"),
        ("xmin", "ymin", "xmax", "ymax"),
        ("minx", "miny", "maxx", "maxy"),
        ("left", "top", "right", "bottom"),
        ("l", "t", "r", "b"),
        ("xleft", "ytop", "xright", "ybottom"),
        ("startx", "starty", "endx", "endy"),
        ("xstart", "ystart", "xend", "yend"),
        ("tlx", "tly", "brx", "bry"),
        ("topleftx", "toplefty", "bottomrightx", "bottomrighty"),
        ("x", "y", "x2", "y2"),
    ),
    SIZES: tuple(
        (x, y, *size)
        for size in (("width", "height"), ("w", "h"))
        for x, y in (("x", "y"), ("x0", "y0"), ("x1", "y1"), ("xmin", "ymin"), ("left", "top"), ("l", "t"))
    ),
}
# Possible prefixes of all four names. A box that is named after the face is preferred to one that is not.
_BEFORE: Final = (
    "face", "facebox", "facebbox", "facerect", "bbox", "boundingbox", "bb", "box", "rect", "roi", "bboxface", "",
)  # fmt: skip


def box_columns(places: Mapping[str, int]) -> dict[str, int]:
    """Return the columns of the box by their roles x0, y0 and x1, y1 or width, height; {} where there is none.

    Args:
        places: index of each column by its squashed name.
    """
    for before in _BEFORE:
        for roles, namings in _NAMES.items():
            for names in namings:
                if all(before + name in places for name in names) and not _are_points(names, before, places):
                    return {role: places[before + name] for role, name in zip(roles, names, strict=True)}
    return {}


def _are_points(names: tuple[str, ...], before: str, places: Mapping[str, int]) -> bool:
    """Say whether x0, x1 and x2, or x1, x2 and x3, number the points of a list and not the sides of a box."""
    numbered = [digit for digit in "0123" if f"{before}x{digit}" in places]
    return names[2] in {"x1", "x2"} and len(numbered) > 2
