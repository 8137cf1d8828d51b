"""PGM and PPM, plain and raw: the format in which the pictures of a csv of pixels are handed on."""

import re
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import ImageError
from pipeline.schema import Reason

_TOKEN: Final = rb"(?:\s|#[^\n\r]*[\n\r])+(\d{1,9})"
_HEADER: Final = re.compile(rb"P([2356])" + _TOKEN * 3 + rb"(?:#[^\n\r]*[\n\r]|\s)")
_HEADER_LIMIT: Final = 4096
_MAX_VALUE: Final = 65535
_BYTE: Final = 255
_LONGEST_NUMBER: Final = 12


class PnmHeader(NamedTuple):
    """The header of a PGM or PPM. `start` is where the samples begin."""

    width: int
    height: int
    channels: int
    max_value: int
    plain: bool
    start: int


def read_header(content: bytes) -> PnmHeader:
    """Read the header.

    Raises:
        ImageError: truncated or corrupt.
    """
    match = _HEADER.match(content[:_HEADER_LIMIT])
    if match is None:
        cut = len(content) < _HEADER_LIMIT and re.fullmatch(rb"P[2356](?:[\s\d]|#[^\n\r]*)*", content)
        raise ImageError(Reason.truncated if cut else Reason.corrupt, "PGM/PPM: no width, height and largest value")
    kind, width, height, max_value = (int(group) for group in match.groups())
    if not width or not height or not 0 < max_value <= _MAX_VALUE:
        raise ImageError(Reason.corrupt, f"PGM/PPM of {width}x{height} pixels with largest value {max_value}")
    return PnmHeader(width, height, 3 if kind in (3, 6) else 1, max_value, kind in (2, 3), match.end())


def decode(content: bytes, header: PnmHeader) -> NDArray[np.uint8]:
    """Decode to uint8 (H, W, 3) RGB or (H, W) grey, scaled so that the largest value becomes 255.

    Raises:
        ImageError: truncated, or a sample above the largest value.
    """
    count = header.width * header.height * header.channels
    samples = _plain(content, header, count) if header.plain else _raw(content, header, count)
    if len(samples) < count:
        raise ImageError(Reason.truncated, f"PGM/PPM: {len(samples)} samples of {count}")
    if samples.max() > header.max_value:
        raise ImageError(Reason.corrupt, f"PGM/PPM: a sample above the largest value, {header.max_value}")
    shape = (header.height, header.width, 3) if header.channels > 1 else (header.height, header.width)
    return _scale(samples, header.max_value).reshape(shape)


def _raw(content: bytes, header: PnmHeader, count: int) -> NDArray[np.integer]:
    kind = np.dtype(np.uint8 if header.max_value <= _BYTE else ">u2")
    available = (len(content) - header.start) // kind.itemsize
    return np.frombuffer(content, kind, min(count, available), header.start)


def _plain(content: bytes, header: PnmHeader, count: int) -> NDArray[np.integer]:
    body = content[header.start : header.start + count * _LONGEST_NUMBER]
    body = re.sub(rb"#[^\n\r]*", b"", body)
    try:
        return np.array(body.split(None, count)[:count], dtype=np.uint32)
    except (ValueError, OverflowError):
        raise ImageError(Reason.corrupt, "PGM/PPM: a sample that is not a number") from None


def _scale(samples: NDArray[np.integer], max_value: int) -> NDArray[np.uint8]:
    if max_value == _BYTE:
        return samples.astype(np.uint8)
    return ((samples.astype(np.uint32) * _BYTE + max_value // 2) // max_value).astype(np.uint8)
