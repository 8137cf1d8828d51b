"""A look at a MATLAB file before a library reads it: how large its compressed variables become."""

import struct
import zlib
from typing import Final

from pipeline.errors import SourceError

MAX_MAT_BYTES: Final = 512 << 20
MAX_MAT_RATIO: Final = 200
_HEADER_BYTES: Final = 128
_COMPRESSED: Final = 15
_CHUNK_BYTES: Final = 1 << 20


def check_mat(content: bytes, where: str) -> None:
    """Refuse a level 5 file whose variables inflate beyond the limits; what is not one is left to its reader.

    MAT-File Format, The MathWorks: 128 bytes of header, then elements of a type, a length and that many bytes.

    Raises:
        SourceError: more than 512 MiB, or more than 200 times their size, or not deflated data.
    """
    order = {b"IM": "<", b"MI": ">"}.get(content[126:128])
    at = _HEADER_BYTES
    while order and at + 8 <= len(content):
        kind, length = struct.unpack_from(f"{order}II", content, at)
        if kind == _COMPRESSED:
            _check_inflated(content[at + 8 : at + 8 + length], where)
        at += 8 + length


def _check_inflated(data: bytes, where: str) -> None:
    limit = max(_CHUNK_BYTES, min(MAX_MAT_BYTES, MAX_MAT_RATIO * len(data)))
    inflater = zlib.decompressobj()
    total = 0
    while data and not inflater.eof:
        try:
            total += len(inflater.decompress(data, _CHUNK_BYTES))
        except zlib.error as error:
            raise SourceError(f"{where}: not a readable mat file: {error}") from None
        data = inflater.unconsumed_tail
        if total > limit:
            raise SourceError(f"{where}: a variable inflates to more than {limit} bytes; refused")
