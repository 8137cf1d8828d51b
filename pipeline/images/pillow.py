"""PNG, TIFF, BMP, WebP and GIF by Pillow, every mode brought to uint8 grey or RGB."""

import io
import warnings
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from pipeline.errors import ImageError
from pipeline.images.formats import Format
from pipeline.schema import Reason

_NAMES: Final = {Format.PNG: "PNG", Format.TIFF: "TIFF", Format.BMP: "BMP", Format.WEBP: "WEBP", Format.GIF: "GIF"}
_DIRECT: Final = frozenset({"L", "RGB"})
_GREY: Final = frozenset({"1", "L", "LA", "La", "I;16", "I;16B", "I;16L", "I;16N"})
_ALPHA: Final = frozenset({"LA", "La", "PA", "RGBA", "RGBa"})
_OPAQUE: Final = frozenset({"1", "P", "RGBX", "CMYK", "YCbCr"})
_MAX_16_BIT: Final = 65535
_ORIENTATION_TAG: Final = 0x0112


def open_picture(content: bytes, kind: Format) -> Image.Image:
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
        raise ImageError(Reason.too_many_pixels, f"{kind}: more pixels than Pillow allows") from None
    except Exception as error:  # noqa: BLE001 -- a hostile header makes Pillow raise almost anything
        raise _failure(kind, error) from None


def to_pixels(picture: Image.Image, kind: Format) -> NDArray[np.uint8]:
    """Decode an opened picture to uint8 (H, W, 3) RGB or (H, W) grey, not turned.

    Raises:
        ImageError: truncated, corrupt, or samples that are not read.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            picture.load()
            return _convert(picture, kind)
    except (ImageError, MemoryError):
        raise
    except Exception as error:  # noqa: BLE001 -- a hostile body makes Pillow raise almost anything
        raise _failure(kind, error) from None


def _convert(picture: Image.Image, kind: Format) -> NDArray[np.uint8]:
    mode = picture.mode
    transparent = mode in _ALPHA or (mode in {"1", "L", "P", "RGB"} and "transparency" in picture.info)
    if mode in _DIRECT and not transparent:
        return np.array(picture)
    if mode.startswith("I;16"):
        return _scale_16_bit(np.array(picture))
    if transparent:
        grey = mode in _GREY
        return _over_white(np.array(picture.convert("RGBA")), kind, grey=grey)
    if mode in _OPAQUE:
        return np.array(picture.convert("L" if mode in _GREY else "RGB"))
    raise ImageError(Reason.unsupported_format, f"{kind} with samples of mode {mode} is not read; convert it to PNG")


def _scale_16_bit(samples: NDArray[np.uint16]) -> NDArray[np.uint8]:
    return ((samples.astype(np.uint32) * 255 + _MAX_16_BIT // 2) // _MAX_16_BIT).astype(np.uint8)


def _over_white(rgba: NDArray[np.uint8], kind: Format, *, grey: bool) -> NDArray[np.uint8]:
    alpha = rgba[:, :, 3:].astype(np.uint16)
    colour = rgba[:, :, :1] if grey else rgba[:, :, :3]
    # Some writers of BMP leave the fourth byte at zero everywhere and mean opaque.
    if kind is Format.BMP and not alpha.any():
        alpha[:] = 255
    blended = ((colour * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)
    return blended[:, :, 0] if grey else blended


def _failure(kind: Format, error: Exception) -> ImageError:
    if isinstance(error, UnidentifiedImageError):
        return ImageError(Reason.corrupt, f"{kind}: the header cannot be read")
    text = " ".join(str(error).split()) or type(error).__name__
    cut = any(word in text.lower() for word in ("truncated", "not enough", "unexpected end", "end of file", "eof"))
    return ImageError(Reason.truncated if cut else Reason.corrupt, f"{kind}: {text}")
