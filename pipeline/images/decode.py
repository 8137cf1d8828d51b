"""`decode` and `open_picture`: from bytes to pixels or to a status."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from pipeline.core.errors import ImageError
from pipeline.core.schema import Reason
from pipeline.images.exif import FLIPPED_X, FLIPPED_Y, TRANSPOSED, UPRIGHT, turn, turned_size
from pipeline.images.formats import Format, recognise
from pipeline.images.jpeg import JpegPicture, open_jpeg
from pipeline.images.picture import Picture, Pixels
from pipeline.images.png import PngPicture
from pipeline.images.pnm import open_pnm
from pipeline.images.small import open_bmp, open_gif, open_webp
from pipeline.images.tiff import TiffPicture

# The turned copy of an RGB picture, per pixel.
_TURNED_BYTES: Final = 3


class Header(NamedTuple):
    """What the header says. `width` and `height` are in pixels after the EXIF rotation."""

    width: int
    height: int
    format: Format


@dataclass(frozen=True, slots=True)
class Scaled:
    """A picture decoded at a fraction of its size.

    `width` and `height` are those of the full picture after its EXIF rotation. A point (x, y) of the full picture, with
    (0, 0) at the outer corner of the first pixel, is at (x * scale_x + offset_x, y * scale_y + offset_y) of `pixels`.
    With (0, 0) at the centre of the first pixel, as in OpenCV, it is at (x + 0.5) * scale_x + offset_x - 0.5. The
    offset is less than one pixel, and 0 unless a rotated picture's size is not a multiple of the scale.
    """

    pixels: Pixels
    scale_x: float
    scale_y: float
    offset_x: float
    offset_y: float
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Opened:
    """A picture of which only the header was read."""

    header: Header
    picture: Picture

    def decode_scaled(self, min_side_px: int, *, max_bytes: int) -> Scaled:
        """Decode a JPEG at 1/2, 3/8, 1/4 or 1/8 if both sides are then at least `min_side_px`; all else at full size.

        Args:
            min_side_px: the shorter side that is needed.
            max_bytes: the limit on the memory that decoding takes, checked before anything is decoded.

        Raises:
            ImageError: with one of the statuses in the package's docstring.
        """
        picture = self.picture
        _check_size(picture, min_side_px, max_bytes, 1)
        pixels = picture.decode(min_side_px)
        in_full = pixels.shape[:2] == (picture.height, picture.width)
        scale = picture.scale_eighths(min_side_px) / 8 if isinstance(picture, JpegPicture) and not in_full else 1.0
        return _build_scaled(pixels, picture, scale)


def open_picture(content: bytes) -> Opened:
    """Read the header; no pixel is decoded.

    Raises:
        ImageError: truncated, corrupt, not_an_image or unsupported_format.
    """
    kind = recognise(content)
    picture = _OPENERS[kind](content)
    return Opened(Header(*turned_size(picture.width, picture.height, picture.orientation), kind), picture)


def decode(content: bytes, *, max_bytes: int, min_side_px: int = 1) -> Pixels:
    """Decode a whole picture.

    Args:
        content: the bytes of a file.
        max_bytes: the limit on the memory that decoding takes, checked before anything is decoded.
        min_side_px: the smallest allowed width and height.

    Returns:
        uint8, (H, W, 3) RGB or (H, W) grey, rotated according to EXIF.

    Raises:
        ImageError: with one of the statuses in the package's docstring.
    """
    picture = _OPENERS[recognise(content)](content)
    _check_size(picture, 0, max_bytes, min_side_px)
    return turn(picture.decode(), picture.orientation)


_OPENERS: Final[Mapping[Format, Callable[[bytes], Picture]]] = {
    Format.JPEG: open_jpeg,
    Format.PNG: PngPicture,
    Format.TIFF: TiffPicture,
    Format.BMP: open_bmp,
    Format.WEBP: open_webp,
    Format.GIF: open_gif,
    Format.PNM: open_pnm,
}


def _build_scaled(pixels: Pixels, picture: Picture, scale: float) -> Scaled:
    # libjpeg gives ceil(size * scale), so the true scale is the number of eighths and not the ratio of the sizes. The
    # fraction of a pixel that was rounded up is at the far side; a rotation can bring it to the near side.
    far_x, far_y = pixels.shape[1] - picture.width * scale, pixels.shape[0] - picture.height * scale
    near_x = far_x if picture.orientation in FLIPPED_X else 0.0
    near_y = far_y if picture.orientation in FLIPPED_Y else 0.0
    if picture.orientation in TRANSPOSED:
        near_x, near_y = near_y, near_x
    width, height = turned_size(picture.width, picture.height, picture.orientation)
    return Scaled(turn(pixels, picture.orientation), scale, scale, near_x, near_y, width, height)


def _check_size(picture: Picture, scaled_side_px: int, max_bytes: int, min_side_px: int) -> None:
    size = f"{picture.width}x{picture.height} pixels"
    needed = picture.decode_bytes(scaled_side_px)
    if picture.orientation != UPRIGHT:
        needed += _TURNED_BYTES * picture.width * picture.height
    if needed > max_bytes:
        raise ImageError(
            Reason.too_large, f"{size}, which take {needed / 1e6:.0f} MB to decode; the limit is {max_bytes / 1e6:g} MB"
        )
    if min(picture.width, picture.height) < min_side_px:
        raise ImageError(Reason.too_small, f"{size}; the least side is {min_side_px}")
