"""The same picture twice: found by a perceptual hash of the aligned face, confirmed by its pixels.

Aligned faces all look alike, so a hash alone would call strangers the same. Three steps, none of which compares all
pairs:

1. `moments`: each face is laid into a frame of its own, so that two alignments of one picture, which differ by some
   pixels because a detector does, come to lie upon each other.
2. `hashing` and `buckets`: low frequencies of what differs from the mean face, as bits, in tables; faces that share a
   bucket, as they are or mirrored, are candidates; `tangent` lets most strangers among them go.
3. `confirm`: the candidates' pixels are laid upon each other by an affine motion and correlated.
"""

from pipeline.duplicates.find import DUPLICATES, Duplicates, find_duplicates

__all__ = ["DUPLICATES", "Duplicates", "find_duplicates"]
