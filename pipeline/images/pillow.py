"""Decoding by Pillow of files whose headers were checked; every mode is converted to uint8 grey or RGB."""

import io
import warnings
from dataclasses import dataclass
from typing import Final

import numpy as np
from PIL import Image, UnidentifiedImageError

from pipeline.core.errors import ImageError
from pipeline.core.schema import Reason
from pipeline.images.deep import to_eight_bits
from pipeline.images.exif import UPRIGHT
from pipeline.images.formats import Format
from pipeline.images.picture import Pixels, bands

_NAMES: Final = {
    Format.JPEG: "JPEG", Format.PNG: "PNG", Format.TIFF: "TIFF", Format.BMP: "BMP", Format.WEBP: "WEBP",
    Format.GIF: "GIF",
}  # fmt: skip
_DIRECT: Final = frozenset({"L", "RGB"})
_GREY: Final = frozenset({"1", "L", "LA", "La"})
_ALPHA: Final = frozenset({"LA", "La", "PA", "RGBA", "RGBa"})
_OPAQUE: Final = frozenset({"1", "P", "RGBX", "CMYK", "YCbCr"})
_KEYED: Final = frozenset({"1", "L", "P", "RGB"})
# Bytes a pixel of decoding: four in Pillow's own picture at most, and three of RGB.
PILLOW_BYTES: Final = 7
_CUT: Final = ("truncated", "not enough", "unexpected end", "end of file", "eof", "buffer is not large enough")


@dataclass(frozen=True, slots=True)
class PillowPicture:
    """A picture of which only the size was read, and all else is Pillow's; see `Picture`."""

    content: bytes
    kind: Format
    width: int
    height: int
    orientation: int = UPRIGHT
    pixel_bytes: int = PILLOW_BYTES

    def decode_bytes(self, min_side_px: int = 0) -> int:  # noqa: ARG002 -- the same at every size
        """See `Picture.decode_bytes`."""
        return self.pixel_bytes * self.width * self.height + len(self.content)

    def decode(self, min_side_px: int = 0) -> Pixels:  # noqa: ARG002 -- Pillow has no cheaper part of these
        """See `Picture.decode`."""
        picture = open_pillow(self.content, self.kind)
        if picture.size != (self.width, self.height):
            raise ImageError(Reason.corrupt, f"{self.kind} with two sizes")
        return load_samples(picture, self.kind)


def open_pillow(content: bytes, kind: Format) -> Image.Image:
    """Open a picture without decoding it.

    Raises:
        ImageError: truncated or corrupt header, or more pixels than Pillow itself allows.
    """
    try:
        with warnings.catch_warnings():
            # Our own limit on pixels holds; Pillow's warning about large pictures would say less.
            warnings.simplefilter("ignore")
            return Image.open(io.BytesIO(content), formats=[_NAMES[kind]])
    except Image.DecompressionBombError:
        raise ImageError(Reason.too_large, f"{kind}: more pixels than Pillow allows") from None
    except Exception as error:  # noqa: BLE001 -- a hostile header makes Pillow raise almost anything
        raise _failure(kind, error) from None


def load_samples(picture: Image.Image, kind: Format) -> Pixels:
    """Decode an opened picture to uint8 (H, W, 3) RGB or (H, W) grey; CMYK of JPEG stays as it is, (H, W, 4).

    Raises:
        ImageError: truncated, corrupt, or samples that are not read.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            picture.load()
            return _convert(picture, kind)
    except ImageError:
        raise
    except Exception as error:  # noqa: BLE001 -- a hostile body makes Pillow raise almost anything
        raise _failure(kind, error) from None


def _convert(picture: Image.Image, kind: Format) -> Pixels:
    mode = picture.mode
    transparent = mode in _ALPHA or (mode in _KEYED and "transparency" in picture.info)
    if transparent:
        return _over_white(picture, kind, grey=mode in _GREY)
    if mode in _DIRECT:
        return _in_bands(picture, mode)
    if mode == "CMYK" and kind is Format.JPEG:
        # Pillow has turned Adobe's inverted values round; the caller expects them as they lie in the file.
        return 255 - _in_bands(picture, mode)
    if mode.startswith("I;16"):
        return to_eight_bits(np.array(picture))
    if mode in _OPAQUE:
        return _in_bands(picture, "L" if mode in _GREY or _grey_palette(picture) else "RGB")
    raise ImageError(Reason.unsupported_format, f"{kind} with samples of mode {mode} is not read; convert it to PNG")


def _in_bands(picture: Image.Image, mode: str) -> Pixels:
    """Convert to a mode of one byte per channel, in bands: NumPy reads a Pillow picture by way of two copies."""
    width, height = picture.size
    channels = len(Image.new(mode, (1, 1)).getbands())
    pixels = np.empty((height, width, channels) if channels > 1 else (height, width), np.uint8)
    for rows in bands(height, width):
        pixels[rows] = np.asarray(picture.crop((0, rows.start, width, rows.stop)).convert(mode))
    return pixels


def _grey_palette(picture: Image.Image) -> bool:
    if picture.mode != "P":
        return False
    colours = np.array(picture.getpalette("RGB") or [], dtype=np.uint8).reshape(-1, 3)
    return bool((colours == colours[:, :1]).all())


def _over_white(picture: Image.Image, kind: Format, *, grey: bool) -> Pixels:
    # Some writers of BMP leave the fourth byte at zero everywhere and mean opaque.
    opaque = kind is Format.BMP and picture.getchannel("A").getbbox() is None
    width, height = picture.size
    channels = 1 if grey else 3
    blended = np.empty((height, width, channels), np.uint8)
    for rows in bands(height, width):
        band = np.array(picture.crop((0, rows.start, width, rows.stop)).convert("RGBA"))
        alpha = np.uint16(255) if opaque else band[:, :, 3:].astype(np.uint16)
        blended[rows] = (band[:, :, :channels] * alpha + 255 * (255 - alpha) + 127) // 255
    return blended[:, :, 0] if grey else blended


def _failure(kind: Format, error: Exception) -> ImageError:
    if isinstance(error, UnidentifiedImageError) and kind is Format.TIFF:
        # Its directory was found sound before: what Pillow has no name for is a kind of samples.
        return ImageError(Reason.unsupported_format, "TIFF with samples that are not read; convert it to PNG")
    if isinstance(error, UnidentifiedImageError):
        return ImageError(Reason.corrupt, f"{kind}: the header cannot be read")
    if isinstance(error, MemoryError):
        return ImageError(Reason.too_large, f"{kind}: asks for more memory than there is")
    text = " ".join(str(error).split()) or type(error).__name__
    cut = any(words in text.lower() for words in _CUT)
    return ImageError(Reason.truncated if cut else Reason.corrupt, f"{kind}: {text}")
