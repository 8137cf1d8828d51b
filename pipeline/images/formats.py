"""Recognising a file by its first bytes: a supported format, or the name for its refusal."""

import re
from enum import StrEnum
from typing import Final

from pipeline.core.errors import ImageError
from pipeline.core.schema import Reason


class Format(StrEnum):
    """A picture format that is read."""

    JPEG = "JPEG"
    PNG = "PNG"
    TIFF = "TIFF"
    BMP = "BMP"
    WEBP = "WebP"
    GIF = "GIF"
    PNM = "PGM/PPM"


_READ: Final[tuple[tuple[bytes, Format], ...]] = (
    (b"\xff\xd8\xff", Format.JPEG),
    (b"\x89PNG\r\n\x1a\n", Format.PNG),
    (b"II*\x00", Format.TIFF),
    (b"MM\x00*", Format.TIFF),
    (b"GIF87a", Format.GIF),
    (b"GIF89a", Format.GIF),
)
_PICTURES: Final[tuple[tuple[bytes, str], ...]] = (
    (b"\x00\x00\x00\x0cjP  \r\n\x87\n", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000 codestream"),
    (b"\xff\x0a", "JPEG XL"),
    (b"\x00\x00\x00\x0cJXL \r\n\x87\n", "JPEG XL"),
    (b"II+\x00", "BigTIFF"),
    (b"MM\x00+", "BigTIFF"),
    (b"IIRO", "camera raw (ORF)"),
    (b"IIU\x00", "camera raw (RW2)"),
    (b"FUJIFILMCCD-RAW", "camera raw (RAF)"),
    (b"II\xbc\x01", "JPEG XR"),
    (b"8BPS", "Photoshop"),
    (b"\x00\x00\x01\x00", "icon"),
    (b"\x00\x00\x02\x00", "cursor"),
    (b"%!PS", "PostScript"),
    (b"%PDF", "PDF"),
    (b"v/1\x01", "OpenEXR"),
    (b"#?RADIANCE", "Radiance HDR"),
    (b"DDS ", "DDS"),
    (b"\x8aMNG", "MNG"),
    (b"\x8bJNG", "JNG"),
    (b"BPG\xfb", "BPG"),
    (b"FLIF", "FLIF"),
    (b"qoif", "QOI"),
    (b"gimp xcf", "GIMP"),
    (b"AT&TFORM", "DjVu"),
    (b"SIMPLE  =", "FITS"),
    (b"P1", "bitmap (PBM)"),
    (b"P4", "bitmap (PBM)"),
    (b"P7\n", "PAM"),
    (b"PF\n", "float map (PFM)"),
    (b"Pf\n", "float map (PFM)"),
    (b"\x01\xda", "SGI"),
    (b"\x59\xa6\x6a\x95", "Sun raster"),
    (b"/* XPM */", "XPM"),
    (b"\xd7\xcd\xc6\x9a", "Windows metafile"),
)
_OTHERS: Final[tuple[tuple[bytes, str], ...]] = (
    (b"PK\x03\x04", "a zip archive"),
    (b"\x1f\x8b", "gzip data"),
    (b"Rar!", "a rar archive"),
    (b"7z\xbc\xaf", "a 7z archive"),
    (b"\x1aE\xdf\xa3", "a Matroska or WebM video"),
    (b"OggS", "an Ogg file"),
    (b"MATLAB 5.0", "a MATLAB file"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"\x00\x05\x16\x07", "macOS's notes about a file (AppleDouble)"),
    (b"\x00\x00\x00\x01Bud1", "a folder's view (.DS_Store)"),
    (b"version https://git-lfs", "a Git LFS pointer"),
)
_ISO_BRANDS: Final = {
    b"heic": "HEIC", b"heix": "HEIC", b"heim": "HEIC", b"heis": "HEIC", b"hevc": "HEIC", b"hevx": "HEIC",
    b"mif1": "HEIF", b"msf1": "HEIF", b"avif": "AVIF", b"avis": "AVIF", b"jp2 ": "JPEG 2000", b"jpx ": "JPEG 2000",
    b"crx ": "camera raw (CR3)",
}  # fmt: skip
# A file that is shorter than its magic bytes was cut off if one of these begins like it.
_BEGINNINGS: Final = (*(magic for magic, _ in _READ), b"RIFF", b"BM", b"P2\n", b"P3\n", b"P5\n", b"P6\n")
_PNM: Final = re.compile(rb"P[2356]\s")
_MARKUP: Final = re.compile(rb"\s*<(\?xml|!doctype|html|svg|!--)", re.IGNORECASE)
_RIFF_BYTES: Final = 12
_HEAD_BYTES: Final = 1024


def recognise(content: bytes) -> Format:
    """Return the format by its magic bytes.

    Raises:
        ImageError: truncated (no bytes), unsupported_format (by name) or not_an_image (with what it looks like).
    """
    if not content:
        raise ImageError(Reason.truncated, "the file is empty")
    for magic, found in _READ:
        if content.startswith(magic) and not (found is Format.TIFF and content[8:10] == b"CR"):
            return found
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return Format.WEBP
    if content[:4] == b"RIFF" and len(content) < _RIFF_BYTES:
        return Format.WEBP
    if content[:2] == b"BM" and content[6:10] == bytes(4)[: max(0, len(content) - 6)]:
        return Format.BMP
    if _PNM.match(content):
        return Format.PNM
    raise _refusal(content)


def _refusal(content: bytes) -> ImageError:
    name = next((name for magic, name in _PICTURES if content.startswith(magic)), None)
    if content[8:10] == b"CR" and content[:2] in (b"II", b"MM"):
        name = "camera raw (CR2)"
    if content[4:8] == b"ftyp":
        name = _ISO_BRANDS.get(content[8:12])
        if name is None:
            return ImageError(Reason.not_an_image, "a video (ISO media)")
    head = content[:_HEAD_BYTES].removeprefix(b"\xef\xbb\xbf")
    if _MARKUP.match(head) and b"<svg" in head.lower():
        name = "SVG"
    if name is not None:
        return ImageError(Reason.unsupported_format, f"{name} is not read; convert it to JPEG or PNG")
    if any(magic.startswith(content) for magic in _BEGINNINGS):
        return ImageError(Reason.truncated, f"only {len(content)} bytes")
    return ImageError(Reason.not_an_image, _likeness(content, head))


def _likeness(content: bytes, head: bytes) -> str:
    for magic, name in _OTHERS:
        if content.startswith(magic):
            return name
    if content[:4] == b"RIFF":
        return f"a RIFF file of kind {content[8:12].decode('ascii', 'replace')!r}"
    if _MARKUP.match(head):
        return "a web page or XML"
    if not head.strip(b"\x00"):
        return "zeros"
    if head.isascii() and head.decode("ascii").replace("\n", "").replace("\r", "").replace("\t", "").isprintable():
        return "text"
    return f"unknown first bytes {content[:8].hex(' ')}"
