"""The same picture twice, or turned, mirrored, zoomed, cropped, sheared, brightened, blurred or partly painted over.

Aligned faces all look alike, so a hash alone would call strangers the same. Four steps, none of which compares all
pairs of a large set:

1. `patches`: each face's coarse detail, 30 x 30 bytes, its black border masked.
2. `keys` and `neighbours`: what tells pictures apart in 64 numbers, for the whole face and each half; the nearest
   keys, as they are or mirrored, are candidates.
3. `registration`: patches are laid upon each other by an affine motion; most strangers are let go.
4. `confirm`: the same for the pixels, which then must agree wherever both faces show something.
"""

from typing import Final

from pipeline.split.duplicates.find import DUPLICATES, Duplicates, find_duplicates

# What a pair may differ by and still be found; benchmarks/duplicates.md has the recall of each.
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
