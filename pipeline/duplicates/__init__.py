"""The same picture twice, or turned, mirrored, zoomed, cropped, sheared, brightened, blurred or partly painted over.

Aligned faces all look alike, so a hash alone would call strangers the same. Four steps, none of which compares all
pairs of a large set:

1. `patches`: each face's coarse detail, 30 x 30 bytes, its black border masked.
2. `keys` and `neighbours`: what tells pictures apart in 64 numbers, for the whole face and each half; the nearest
   keys, as they are or mirrored, are candidates.
3. `registration`: patches are laid upon each other by an affine motion; most strangers are let go.
4. `confirm`: the same for the pixels, which then must agree in most places of the face.
"""

from pipeline.duplicates.find import DUPLICATES, Duplicates, find_duplicates

__all__ = ["DUPLICATES", "Duplicates", "find_duplicates"]
