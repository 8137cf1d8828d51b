"""Decoding of pictures that somebody else made, which is done here only: magic bytes, limits, EXIF and colour.

`decode` and `open_picture` return pixels or raise `ImageError` with a status that is a reject reason:

==================== ===============================================================================================
truncated            the picture ends early: cut, empty, or complete in its container but not in its data
corrupt              the bytes contradict themselves: a bad checksum, a bad code, an impossible header
not_an_image         no picture format's magic bytes: text, a web page, an archive, zeros
unsupported_format   a picture, refused by its name: JPEG 2000, HEIC, SVG, a camera's raw file, float samples …
too_large            by its header it takes more memory than the limit; nothing was decoded
too_small            a side has fewer pixels than requested
==================== ===============================================================================================

The name of a file is ignored. Pixels are uint8, (H, W, 3) RGB or, for a grey source, (H, W), rotated according to EXIF.
Transparency is composited over white, 16 bits are scaled to 8, palettes are resolved, and only the first of several
frames is used. CMYK is taken as inverted in JPEG (as Adobe writes it) and as not inverted in TIFF. Colour profiles are
not applied.

`encode_face` stores a face as JPEG of quality 98 with full colour resolution, with one channel for grey.
"""

from pipeline.images.decode import Header, Opened, Scaled, decode, open_picture
from pipeline.images.picture import Pixels
from pipeline.images.stored import decode_face, decode_grey_face, encode_face

__all__ = [
    "Header",
    "Opened",
    "Pixels",
    "Scaled",
    "decode",
    "decode_face",
    "decode_grey_face",
    "encode_face",
    "open_picture",
]
