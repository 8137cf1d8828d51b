"""PGM and PPM, plain and raw: the format to which pictures in a csv of pixels are converted."""

import re
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.core.errors import ImageError
from pipeline.core.schema import Reason
from pipeline.images.deep import to_eight_bits
from pipeline.images.exif import UPRIGHT
from pipeline.images.picture import Pixels

_TOKEN: Final = rb"(?:\s|#[^\n\r]*[\n\r])+(\d{1,9})"
_HEADER: Final = re.compile(rb"P([2356])" + _TOKEN * 3 + rb"(?:#[^\n\r]*[\n\r]|\s)")
_PARTIAL_HEADER: Final = re.compile(rb"P[2356](?:[\s\d]|#[^\n\r]*)*")
_COLOUR_KINDS: Final = (3, 6)
_PLAIN_KINDS: Final = (2, 3)
# Comments may precede the numbers, but the search for them must end.
_HEADER_LIMIT: Final = 4096
_MAX_VALUE: Final = 65535
_BYTE: Final = 255
# Bytes read per sample of a plain file, so that trailing garbage is not parsed.
_LONGEST_NUMBER: Final = 12
# Bytes of memory per sample: of a plain file, the text of each number and its place in a list; of 16 bits, a copy in
# the order of this machine, and the result.
_PLAIN_BYTES: Final = 80
_DEEP_BYTES: Final = 4
# Samples that are scaled at once.
_BAND: Final = 1 << 18


@dataclass(frozen=True, slots=True)
class PnmPicture:
    """A PGM or PPM whose header was read; see `Picture`. The samples begin at `start`."""

    content: bytes
    width: int
    height: int
    channels: int
    max_value: int
    plain: bool
    start: int
    orientation: int = UPRIGHT

    def decode_bytes(self, min_side_px: int = 0) -> int:  # noqa: ARG002 -- PGM and PPM have no cheaper part
        """See `Picture.decode_bytes`."""
        count = self.width * self.height * self.channels
        if self.plain:
            # A sample takes two bytes of the file at least, so a short file cannot make more of them.
            return _PLAIN_BYTES * min(count, len(self.content) // 2) + count
        return (1 if self.max_value <= _BYTE else _DEEP_BYTES) * count

    def decode(self, min_side_px: int = 0) -> Pixels:  # noqa: ARG002 -- PGM and PPM have no cheaper part
        """See `Picture.decode`. The declared maximum becomes 255; if that is 65535, the rule of `deep` applies."""
        count = self.width * self.height * self.channels
        samples = _plain(self, count) if self.plain else _raw(self, count)
        if len(samples) < count:
            raise ImageError(Reason.truncated, f"PGM/PPM: {len(samples)} samples of {count}")
        if samples.max() > self.max_value:
            raise ImageError(Reason.corrupt, f"PGM/PPM: a sample above the largest value, {self.max_value}")
        shape = (self.height, self.width, self.channels) if self.channels > 1 else (self.height, self.width)
        if self.max_value == _MAX_VALUE:
            # Programs that do not know the true depth declare the maximum of 16 bits.
            return to_eight_bits(samples.astype(np.uint16).reshape(shape))
        return _scale(samples, self.max_value).reshape(shape)


def open_pnm(content: bytes) -> PnmPicture:
    """Read the picture.

    Raises:
        ImageError: truncated or corrupt.
    """
    match = _HEADER.match(content[:_HEADER_LIMIT])
    if match is None:
        cut = len(content) < _HEADER_LIMIT and _PARTIAL_HEADER.fullmatch(content)
        raise ImageError(Reason.truncated if cut else Reason.corrupt, "PGM/PPM: no width, height and largest value")
    kind, width, height, max_value = (int(group) for group in match.groups())
    if not width or not height or not 0 < max_value <= _MAX_VALUE:
        raise ImageError(Reason.corrupt, f"PGM/PPM of {width}x{height} pixels with largest value {max_value}")
    channels = 3 if kind in _COLOUR_KINDS else 1
    return PnmPicture(content, width, height, channels, max_value, kind in _PLAIN_KINDS, match.end())


def _raw(picture: PnmPicture, count: int) -> NDArray[np.integer]:
    kind = np.dtype(np.uint8 if picture.max_value <= _BYTE else ">u2")
    available = (len(picture.content) - picture.start) // kind.itemsize
    return np.frombuffer(picture.content, kind, min(count, available), picture.start)


def _plain(picture: PnmPicture, count: int) -> NDArray[np.integer]:
    body = picture.content[picture.start : picture.start + count * _LONGEST_NUMBER]
    body = re.sub(rb"#[^\n\r]*", b"", body)
    try:
        return np.array(body.split(None, count)[:count], dtype=np.uint32)
    except (ValueError, OverflowError):
        raise ImageError(Reason.corrupt, "PGM/PPM: a sample that is not a number") from None


def _scale(samples: NDArray[np.integer], max_value: int) -> Pixels:
    scaled = np.empty(samples.shape, np.uint8)
    for start in range(0, len(samples), _BAND):
        band = slice(start, start + _BAND)
        scaled[band] = (samples[band].astype(np.uint32) * _BYTE + max_value // 2) // max_value
    return scaled
