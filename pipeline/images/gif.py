"""GIF: blocks walked to the end of the first frame, pixels of that frame by Pillow."""

from typing import Final

from pipeline.core.errors import ImageError
from pipeline.core.schema import Reason
from pipeline.images import pillow
from pipeline.images.exif import UPRIGHT
from pipeline.images.formats import Format
from pipeline.images.picture import Pixels

_SCREEN_BYTES: Final = 13
_FRAME_BYTES: Final = 10
_FRAME: Final = 0x2C
_EXTENSION: Final = 0x21
_HAS_PALETTE: Final = 0x80
_PALETTE_BITS: Final = 0x07


class GifPicture:
    """A GIF of which the logical screen was read; see `Picture`. The first frame counts."""

    orientation = UPRIGHT

    def __init__(self, content: bytes) -> None:
        if len(content) < _SCREEN_BYTES:
            raise ImageError(Reason.truncated, f"GIF of {len(content)} bytes")
        self._content = content
        self.width, self.height = (int.from_bytes(content[at : at + 2], "little") for at in (6, 8))
        if not self.width or not self.height:
            raise ImageError(Reason.corrupt, f"GIF of {self.width}x{self.height} pixels")

    def decode(self, min_side_px: int = 0) -> Pixels:  # noqa: ARG002 -- GIF has no cheaper part
        """See `Picture.decode`."""
        if _first_frame_end(self._content) > len(self._content):
            raise ImageError(Reason.truncated, "GIF that ends in its first frame")
        picture = pillow.open_pillow(self._content, Format.GIF)
        if picture.size != (self.width, self.height):
            raise ImageError(Reason.corrupt, "GIF whose first frame is larger than its screen")
        return pillow.load_samples(picture, Format.GIF)


def _first_frame_end(content: bytes) -> int:
    """Return where the first frame's data ends; beyond the content if that is not all there.

    Raises:
        ImageError: no frame, or an unknown block.
    """
    position = _SCREEN_BYTES + _palette_bytes(content[10])
    while position < len(content) and content[position] == _EXTENSION:
        position = _skip_blocks(content, position + 2)
    if position + _FRAME_BYTES >= len(content):
        return len(content) + 1
    if content[position] != _FRAME:
        raise ImageError(Reason.corrupt, f"GIF without a frame but with a block 0x{content[position]:02x}")
    palette = _palette_bytes(content[position + _FRAME_BYTES - 1])
    return _skip_blocks(content, position + _FRAME_BYTES + palette + 1)


def _skip_blocks(content: bytes, position: int) -> int:
    """Return where a chain of data blocks ends, its empty last block included."""
    while position < len(content):
        length = content[position]
        position += 1 + length
        if not length:
            return position
    return len(content) + 1


def _palette_bytes(flags: int) -> int:
    return 3 << (1 + (flags & _PALETTE_BITS)) if flags & _HAS_PALETTE else 0
