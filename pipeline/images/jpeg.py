"""JPEG: the header is parsed in Python, the pixels are decoded by libjpeg-turbo in strict mode.

Otherwise libjpeg would fill missing data with grey. Strict mode stops at libjpeg's first warning, and this module
decides what the warning means: after an unusual header, the header is rewritten and decoded again, strictly; a few
extra bytes before the end marker do not matter; anything else is a truncated or corrupt picture.
"""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import simplejpeg

from pipeline.core.errors import ImageError
from pipeline.core.schema import Reason
from pipeline.images import pillow
from pipeline.images.exif import UPRIGHT, read_orientation
from pipeline.images.formats import Format
from pipeline.images.picture import Pixels, bands
from pipeline.images.pillow import PILLOW_BYTES

# Markers of ITU-T T.81, table B.1.
_SOI: Final = b"\xff\xd8"
_JFIF: Final = b"\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"
_SOS: Final = 0xDA
_EOI: Final = 0xD9
_APP0: Final = 0xE0
_APP1: Final = 0xE1
_APP14: Final = 0xEE
_DHT: Final = 0xC4
_TABLES: Final = frozenset({_DHT, 0xCC, 0xDB, 0xDD})
_NO_LENGTH: Final = frozenset({0x01, *range(0xD0, 0xD8)})
_FRAMES: Final = frozenset({*range(0xC0, 0xD0)} - {_DHT, 0xC8, 0xCC})
_PROGRESSIVE: Final = frozenset({0xC2, 0xCA})
# Kinds of JPEG that libjpeg-turbo cannot decode, for the reason of the reject.
_UNREAD_FRAMES: Final = {
    0xC3: "lossless", 0xC5: "hierarchical", 0xC6: "hierarchical", 0xC7: "hierarchical lossless",
    0xCB: "lossless arithmetic", 0xCD: "hierarchical", 0xCE: "hierarchical", 0xCF: "hierarchical lossless",
}  # fmt: skip
_JPEG_LS: Final = 0xF7
_FRAME_BYTES: Final = 6
# Of a frame header: where the sampling factors of the first component are, and the distance to the next one's.
_SAMPLING_AT: Final = 7
_COMPONENT_BYTES: Final = 3
_UNSAMPLED: Final = b"\x11"
_ADOBE_BYTES: Final = 12
_ADOBE_TRANSFORMS: Final = 2
_LENGTH_BYTES: Final = 2
_GREY_DIMENSIONS: Final = 2
_BITS: Final = 8
# Encoders write about ten scans.
_MAX_SCANS: Final = 100
_GREY, _COLOUR, _CMYK = 1, 3, 4
_COLORSPACES: Final = {_GREY: "GRAY", _COLOUR: "RGB", _CMYK: "CMYK"}
_EXTRANEOUS: Final = re.compile(r"(\d+) extraneous bytes before marker 0x([0-9a-f]{2})")
_FULL: Final = 8  # eighths of the size
# Bytes a pixel of what is decoded, with the RGB that is made of CMYK; and of a coefficient.
_PIXEL_BYTES: Final = {_GREY: 1, _COLOUR: 3, _CMYK: 7}
_COEFFICIENT_BYTES: Final = 2
# A picture is padded to whole blocks, of 8 pixels and at most four times as many where colours are subsampled.
_BLOCK_PX: Final = 32
# Sampling factors of the first component that TurboJPEG's interface knows if those of the others are 1x1.
_EVEN_SAMPLINGS: Final = frozenset({b"\x11", b"\x12", b"\x14", b"\x21", b"\x22", b"\x41"})
# A marker that ends the data of a scan: neither an escaped FF of the data (FF 00), nor a restart, nor padding.
_MARKER: Final = re.compile(rb"\xff[^\x00\x01\xff\xd0-\xd7]")
_RESTARTS: Final = range(0xD0, 0xD8)
# Up to so many left-over bytes, or so large a share of the file, count as padding.
_LEFT_OVER_BYTES: Final = 64
_LEFT_OVER_SHARE: Final = 0.01
# Parts of libjpeg's messages about headers that do not affect the pixels.
_ODD_HEADERS: Final = ("Adobe color transform", "JFIF revision", "Invalid SOS parameters")
_ODD_SAMPLING: Final = "Could not determine subsampling"


class _Segment(NamedTuple):
    """A marker, and where its content starts and ends."""

    marker: int
    start: int
    end: int


class _Frame(NamedTuple):
    """What the frame header says; `odd_sampling` if TurboJPEG's interface may not know the subsampling."""

    width: int
    height: int
    components: int
    odd_sampling: bool
    progressive: bool


@dataclass(frozen=True, slots=True)
class JpegPicture:
    """A JPEG whose segments before the first scan have been read; see `Picture`.

    `buffered` says that libjpeg keeps the coefficients of the whole picture, because no scan has all components whole.
    """

    content: bytes
    width: int
    height: int
    components: int
    orientation: int
    scan_start: int
    odd_sampling: bool
    buffered: bool

    def scale_eighths(self, min_side_px: int) -> int:
        """Return the scale, in eighths, at which `decode` decodes this picture: 1, 2, 3, 4 or 8.

        Scales between 1/2 and 1 are not used, because libjpeg-turbo takes longer for them than for the full size.
        """
        short = min(self.width, self.height)
        return next((n for n in (1, 2, 3, 4) if -(-short * n // _FULL) >= min_side_px > 0), _FULL)

    def decode_bytes(self, min_side_px: int = 0) -> int:
        """See `Picture.decode_bytes`."""
        eighths = _FULL if self.odd_sampling else self.scale_eighths(min_side_px)
        pixels = -(-self.width * eighths // _FULL) * -(-self.height * eighths // _FULL)
        kept = _COEFFICIENT_BYTES * self.components * _padded(self.width) * _padded(self.height)
        each = PILLOW_BYTES if self.odd_sampling else _PIXEL_BYTES[self.components]
        return each * pixels + kept * self.buffered + len(self.content)

    def decode(self, min_side_px: int = 0) -> Pixels:
        """See `Picture.decode`."""
        if _has_many_scans(self.content, self.scan_start):
            raise ImageError(Reason.corrupt, f"JPEG with more than {_MAX_SCANS} scans")
        pixels = self._decode_judged(min_side_px)
        if self.components == _GREY:
            return pixels[:, :, 0]
        return _from_inverted_cmyk(pixels) if self.components == _CMYK else pixels

    def _decode_judged(self, min_side_px: int) -> Pixels:
        """Decode strictly, and again if the warning does not concern the pixels."""
        content, rewritten = self.content, False
        while True:
            try:
                return _decode_turbo(content, self.components, min_side_px, strict=True)
            except ValueError as error:
                message = str(error)
            if _ODD_SAMPLING in message:
                return self._decode_pillow()
            if not rewritten and _concerns_header(message):
                content, rewritten = _rewrite_header(content), True
                continue
            self._judge(message)
            return _decode_turbo(content, self.components, min_side_px, strict=False)

    def _judge(self, message: str) -> None:
        """Return if the picture is complete in spite of libjpeg's warning.

        When bytes are left over before the end marker, every block has already been decoded. A few such bytes are
        padding; many mean that the decoder lost its place.

        Raises:
            ImageError: the picture is truncated or corrupt.
        """
        left_over = _EXTRANEOUS.search(message)
        if left_over and int(left_over[2], 16) == _EOI:
            if int(left_over[1]) <= max(_LEFT_OVER_BYTES, _LEFT_OVER_SHARE * len(self.content)):
                return
            raise ImageError(Reason.corrupt, f"JPEG with {left_over[1]} bytes of picture data left over")
        cut = "premature end" in message.lower() or self.content.find(b"\xff\xd9", self.scan_start) < 0
        raise ImageError(Reason.truncated if cut else Reason.corrupt, f"JPEG: {' '.join(message.split())}")

    def _decode_pillow(self) -> Pixels:
        # For chroma samplings that TurboJPEG's interface does not know, at full size. Pillow, too, notices that such a
        # file was cut off, unless somebody appended an end marker.
        pixels = pillow.load_samples(pillow.open_pillow(self.content, Format.JPEG), Format.JPEG)
        return pixels if pixels.ndim > _GREY_DIMENSIONS else pixels[:, :, None]


def open_jpeg(content: bytes) -> JpegPicture:
    """Parse the segments up to the first scan.

    Raises:
        ImageError: truncated before the first scan, corrupt, or a kind of JPEG that is not read.
    """
    frame: _Frame | None = None
    orientation, first_scan, scan_start = UPRIGHT, b"", len(content)
    for marker, start, end in _segments(content):
        if marker in _FRAMES or marker == _JPEG_LS:
            frame = _read_frame(marker, content[start:end])
        elif marker == _APP1 and orientation == UPRIGHT and content.startswith(b"Exif", start):
            orientation = read_orientation(content[start:end])
        elif marker == _SOS:
            first_scan = content[start:end]
        scan_start = end
    if frame is None:
        raise ImageError(Reason.corrupt, "JPEG data before its frame header")
    width, height, components, odd_sampling, progressive = frame
    buffered = progressive or first_scan[:1] != bytes([components])
    return JpegPicture(content, width, height, components, orientation, scan_start, odd_sampling, buffered)


def _decode_turbo(content: bytes, components: int, min_side_px: int, *, strict: bool) -> Pixels:
    side_px = max(min_side_px, 0)
    pixels: Pixels = simplejpeg.decode_jpeg(
        content,
        colorspace=_COLORSPACES[components],
        min_height=side_px,
        min_width=side_px,
        min_factor=2 if side_px else 1,
        strict=strict,
    )
    return pixels


def _concerns_header(message: str) -> bool:
    """Return whether libjpeg's warning is about something before the pixels."""
    extraneous = _EXTRANEOUS.search(message)
    if extraneous:
        return int(extraneous[2], 16) not in {_EOI, *_RESTARTS}
    return any(words in message for words in _ODD_HEADERS)


def _rewrite_header(content: bytes) -> bytes:
    """Return the same picture data after a minimal header, with only the segments that decoding needs."""
    kept = [_SOI]
    sequential, end = True, len(content)
    for marker, start, stop in _segments(content):
        segment = content[start:stop]
        if marker == _APP0 and segment.startswith(b"JFIF\x00") and len(kept) == 1:
            kept.append(_JFIF)
        elif marker == _APP14 and segment.startswith(b"Adobe") and len(segment) >= _ADOBE_BYTES:
            transform = segment[11] if segment[11] <= _ADOBE_TRANSFORMS else 1
            kept.append(_segment_bytes(marker, segment[:11] + bytes([transform])))
        elif marker in _TABLES or marker in _FRAMES:
            sequential &= marker not in _PROGRESSIVE
            kept.append(_segment_bytes(marker, segment))
        elif marker == _SOS:
            kept.append(_segment_bytes(marker, segment[:-3] + b"\x00\x3f\x00" if sequential else segment))
        end = stop
    return b"".join([*kept, content[end:]])


def _segment_bytes(marker: int, segment: bytes) -> bytes:
    return bytes([0xFF, marker]) + (len(segment) + _LENGTH_BYTES).to_bytes(2, "big") + segment


def _segments(content: bytes) -> Iterator[_Segment]:
    """Yield the segments up to the first scan's header, included.

    Raises:
        ImageError: the file ends before that, or a segment is impossible.
    """
    position = len(_SOI)
    while True:
        segment = _next_segment(content, position)
        yield segment
        if segment.marker == _SOS:
            return
        position = segment.end


def _has_many_scans(content: bytes, position: int) -> bool:
    """Return whether more than `_MAX_SCANS` scans follow.

    Every scan, however short, makes the decoder process the whole picture: a small file could take minutes.
    """
    scans = 0
    while scans <= _MAX_SCANS and (found := _MARKER.search(content, position)):
        marker, position = found[0][1], found.end()
        if marker == _EOI:
            return False
        scans += marker == _SOS
        position += int.from_bytes(content[position : position + _LENGTH_BYTES], "big")
    return scans > _MAX_SCANS


def _next_segment(content: bytes, position: int) -> _Segment:
    found = content.find(b"\xff", position)
    while found >= 0 and content[found + 1 : found + 2] in (b"\xff", b"\x00"):
        found = content.find(b"\xff", found + 1)
    if found < 0 or found + 1 >= len(content) or content[found + 1] == _EOI:
        raise ImageError(Reason.truncated, "JPEG without picture data")
    marker, start = content[found + 1], found + 2
    if marker in _NO_LENGTH:
        return _Segment(marker, start, start)
    if marker == _SOI[1]:
        raise ImageError(Reason.corrupt, "JPEG that begins twice")
    length = int.from_bytes(content[start : start + _LENGTH_BYTES], "big")
    if start + max(length, _LENGTH_BYTES) > len(content):
        raise ImageError(Reason.truncated, "JPEG that ends in its header")
    if length < _LENGTH_BYTES:
        raise ImageError(Reason.corrupt, f"JPEG segment 0x{marker:02x} of length {length}")
    return _Segment(marker, start + _LENGTH_BYTES, start + length)


def _read_frame(marker: int, segment: bytes) -> _Frame:
    if marker == _JPEG_LS:
        raise ImageError(Reason.unsupported_format, "JPEG-LS is not read; convert it to JPEG or PNG")
    if marker in _UNREAD_FRAMES:
        raise ImageError(Reason.unsupported_format, f"{_UNREAD_FRAMES[marker]} JPEG is not read; convert it to PNG")
    if len(segment) < _FRAME_BYTES:
        raise ImageError(Reason.corrupt, "JPEG frame header too short")
    bits, height, width, components = struct.unpack_from(">BHHB", segment)
    if bits != _BITS:
        raise ImageError(Reason.unsupported_format, f"JPEG with {bits} bits a sample is not read; convert it to PNG")
    if not width or not height:
        raise ImageError(Reason.corrupt, f"JPEG of {width}x{height} pixels")
    if components not in _COLORSPACES:
        raise ImageError(Reason.unsupported_format, f"JPEG with {components} components is not read")
    sampling = segment[_SAMPLING_AT::_COMPONENT_BYTES]
    odd = sampling[:1] not in _EVEN_SAMPLINGS or sampling[1:] != _UNSAMPLED * (components - 1)
    return _Frame(width, height, components, odd and components == _COLOUR, marker in _PROGRESSIVE)


def _padded(side_px: int) -> int:
    return -(-side_px // _BLOCK_PX) * _BLOCK_PX


def _from_inverted_cmyk(cmyk: Pixels) -> Pixels:
    """Convert CMYK as Adobe writes it into JPEG, inverted: red = cyan * black."""
    rgb = np.empty((*cmyk.shape[:2], 3), np.uint8)
    for rows in bands(*cmyk.shape[:2]):
        band = cmyk[rows]
        rgb[rows] = (band[:, :, :3].astype(np.uint16) * band[:, :, 3:] + 127) // 255
    return rgb
