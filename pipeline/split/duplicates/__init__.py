"""Finding copies of a picture: identical, turned, mirrored, zoomed, cropped, sheared, brightened or painted over.

Aligned faces look so similar that a perceptual hash alone would take strangers for copies. Four steps narrow down the
pairs, and none of them compares all pairs of a large set:

1. `patches`: the coarse detail of each face, 30 x 30 bytes, with its black border masked.
2. `keys` and `neighbours`: 64 numbers that distinguish pictures, for the whole face and each half. The pairs with the
   nearest keys, as they are or mirrored, are candidates.
3. `registration`: the patches of a pair are registered by an affine motion, which discards most strangers.
4. `confirm`: the pixels are registered, and must then agree wherever both faces show something.
"""

from typing import Final

from pipeline.split.duplicates.find import DUPLICATES, Duplicates, find_duplicates

# Changes by which a copy may differ and still be found; benchmarks/duplicates.md has the recall for each.
SOUGHT_CHANGES: Final = (
    "turned by up to 30 degrees",
    "mirrored",
    "shifted",
    "zoomed or cropped, 80% to 120%",
    "sheared by up to 0.2",
    "brightened or darkened",
    "blurred, resized or re-encoded",
    "noise",
    "grey",
    "up to 15% painted over, where the face is still found in its place",
)

__all__ = ["DUPLICATES", "SOUGHT_CHANGES", "Duplicates", "find_duplicates"]
