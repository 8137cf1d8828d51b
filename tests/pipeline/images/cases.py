"""What a crafted file is, how it is made, and Pillow's reading of it as the oracle. Nothing comes from outside."""

import io
import struct
import zlib
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image, ImageOps


@dataclass(frozen=True)
class Case:
    """One file. `pixels` is what it must decode to within `tolerance` levels, else `status` is what must be said."""

    name: str
    content: bytes
    pixels: np.ndarray | None = None
    tolerance: float = 0
    status: str = ""
    said: str = ""


def noise(height, width, channels=3, seed=0):
    """A smooth picture with the whole range of levels."""
    rng = np.random.default_rng([seed, height, width, channels])
    raw = cv2.GaussianBlur(rng.normal(size=(height, width, channels)), (0, 0), 2).reshape(height, width, channels)
    low, high = raw.min(), raw.max()
    return np.round(255 * (raw - low) / (high - low or 1)).astype(np.uint8).squeeze(axis=2 if channels == 1 else ())


def save(picture, kind, **options):
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return stream.getvalue()


def pillow_pixels(content):
    """The oracle: Pillow's own reading, turned, over white where transparent."""
    picture = ImageOps.exif_transpose(Image.open(io.BytesIO(content)))
    if picture.mode in {"LA", "RGBA", "PA"} or "transparency" in picture.info:
        rgba = picture.convert("RGBA")
        white = Image.new("RGBA", rgba.size, "white")
        over = Image.alpha_composite(white, rgba)
        return np.array(over.convert("L" if picture.mode in {"L", "LA", "1"} else "RGB"))
    return np.array(picture.convert("L" if picture.mode in {"1", "L"} else "RGB"))


def whole(name, content, tolerance=0.0):
    return Case(name, content, pillow_pixels(content), tolerance)


def orientation_exif(value):
    exif = Image.Exif()
    exif[0x0112] = value
    return exif.tobytes()


def chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width, height, depth, colour, rows, *more):
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    data = zlib.compress(b"".join(b"\x00" + row for row in rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + b"".join(more) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def plain_files() -> dict[str, bytes]:
    """One whole file of each kind, the seeds of cuts and mutations."""
    picture = Image.fromarray(noise(61, 83))
    grey = picture.convert("L")
    palette = picture.quantize(64)
    return {
        "jpeg": save(picture, "JPEG", quality=90),
        "jpeg-444": save(picture, "JPEG", quality=95, subsampling=0),
        "jpeg-grey": save(grey, "JPEG"),
        "jpeg-cmyk": save(picture.convert("CMYK"), "JPEG"),
        "jpeg-progressive": save(picture, "JPEG", progressive=True),
        "jpeg-restart": save(picture, "JPEG", restart_marker_rows=1),
        "jpeg-exif": save(picture, "JPEG", exif=orientation_exif(6)),
        "png": save(picture, "PNG"),
        "png-palette": save(palette, "PNG"),
        "png-alpha": save(picture.convert("RGBA"), "PNG"),
        "tiff": save(picture, "TIFF"),
        "tiff-lzw": save(picture, "TIFF", compression="tiff_lzw"),
        "tiff-deflate": save(picture, "TIFF", compression="tiff_adobe_deflate"),
        "tiff-packbits": save(grey, "TIFF", compression="packbits"),
        "tiff-jpeg": save(picture, "TIFF", compression="jpeg"),
        "bmp": save(picture, "BMP"),
        "bmp-palette": save(palette, "BMP"),
        "webp": save(picture, "WEBP"),
        "webp-lossless": save(picture, "WEBP", lossless=True),
        "webp-exif": save(picture, "WEBP", exif=orientation_exif(3)),
        "gif": save(palette, "GIF"),
        "gif-animated": save(palette, "GIF", save_all=True, append_images=[palette.rotate(180)]),
        "ppm": save(picture, "PPM"),
        "pgm": save(grey, "PPM"),
    }
