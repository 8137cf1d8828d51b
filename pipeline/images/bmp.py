"""BMP: header checked here, pixels by Pillow."""

from typing import Final

from pipeline.core.errors import ImageError
from pipeline.core.schema import Reason
from pipeline.images import pillow
from pipeline.images.exif import UPRIGHT
from pipeline.images.formats import Format
from pipeline.images.picture import Pixels

_FILE_HEADER_BYTES: Final = 14
_OLD_HEADER_BYTES: Final = 12
_SMALLEST: Final = _FILE_HEADER_BYTES + _OLD_HEADER_BYTES


class BmpPicture:
    """A BMP of which the header was read; see `Picture`."""

    orientation = UPRIGHT

    def __init__(self, content: bytes) -> None:
        header_bytes = int.from_bytes(content[14:18], "little")
        if len(content) < max(_SMALLEST, min(_FILE_HEADER_BYTES + header_bytes, _SMALLEST + 2 * _OLD_HEADER_BYTES)):
            raise ImageError(Reason.truncated, f"BMP of {len(content)} bytes")
        self._content = content
        side_bytes = 2 if header_bytes == _OLD_HEADER_BYTES else 4
        self.width, self.height = (
            abs(int.from_bytes(content[at : at + side_bytes], "little", signed=side_bytes > 2))
            for at in (18, 18 + side_bytes)
        )
        if not self.width or not self.height:
            raise ImageError(Reason.corrupt, f"BMP of {self.width}x{self.height} pixels")

    def decode(self, min_side_px: int = 0) -> Pixels:  # noqa: ARG002 -- BMP has no cheaper part
        """See `Picture.decode`."""
        picture = pillow.open_pillow(self._content, Format.BMP)
        if picture.size != (self.width, self.height):
            raise ImageError(Reason.corrupt, "BMP with two sizes")
        return pillow.load_samples(picture, Format.BMP)
