"""MATLAB files: checked before they are decompressed, and read in a separate process.

SciPy's reader trusts the sizes in a file, so a damaged one can make it read beyond its memory and crash. In a separate
process, a crash is an error about this file.
"""

import io
import json
import os
import resource
import struct
import subprocess
import sys
import zlib
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from pipeline.core.errors import SourceError

# A file that exceeds either limit is a decompression bomb and not a table of annotations.
MAX_MAT_BYTES: Final = 512 << 20
MAX_MAT_RATIO: Final = 200
# Of the MAT-File Format, level 5: the length of the header, and the type of a compressed element (miCOMPRESSED).
_HEADER_BYTES: Final = 128
_COMPRESSED: Final = 15
_CHUNK_BYTES: Final = 1 << 20
# Address space of the reading process; a forged size then fails instead of filling the machine.
_MAX_ADDRESS_BYTES: Final = 8 << 30


def read_mat(content: bytes, names: Sequence[str], where: str) -> dict[str, list[Any]]:
    """Return variables as plain values: structs as dicts, arrays and cells as flat lists, whatever their shape.

    Args:
        content: the bytes of the file.
        names: the variables to read; missing ones are left out.
        where: the file's name, for errors.

    Raises:
        SourceError: it cannot be read, or its decompressed size exceeds the limits.
    """
    check_mat(content, where)
    # Not multiprocessing: that runs the caller's main module again, which may be a notebook or a pipe.
    done = subprocess.run(
        [sys.executable, "-P", __file__, *names],
        input=content,
        capture_output=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OMP_NUM_THREADS": "1"},
    )
    if done.returncode < 0:
        raise SourceError(f"{where}: not a readable mat file: its reader died of signal {-done.returncode}")
    if done.returncode > 0:
        last = (done.stderr.decode("utf-8", "replace").strip().splitlines() or ["no reason given"])[-1]
        raise SourceError(f"{where}: not a readable mat file: {last[:200]}")
    found: dict[str, list[Any]] = json.loads(done.stdout)
    return found


def _main(names: Sequence[str]) -> None:
    """Run as the reading process: a mat file on stdin, JSON on stdout."""
    from scipy.io import loadmat

    resource.setrlimit(resource.RLIMIT_AS, (_MAX_ADDRESS_BYTES, resource.RLIM_INFINITY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    stream: Any = io.BytesIO(sys.stdin.buffer.read())  # scipy-stubs know of names only
    found = loadmat(stream, squeeze_me=True, struct_as_record=False, variable_names=list(names))
    json.dump({name: as_list(_plain(found[name])) for name in names if name in found}, sys.stdout)


def _plain(value: Any) -> Any:
    if hasattr(value, "_fieldnames"):
        return {name: _plain(getattr(value, name)) for name in vars(value)["_fieldnames"]}
    if isinstance(value, np.ndarray):
        return [_plain(one) for one in value.ravel().tolist()]
    return value if isinstance(value, str | int | float) else None


def as_list(value: Any) -> list[Any]:
    """Return the elements of cells and arrays, however nested, and also if squeezing made them scalars."""
    if value is None or value == "":
        return []
    return [inner for one in value for inner in as_list(one)] if isinstance(value, list) else [value]


def check_mat(content: bytes, where: str) -> None:
    """Refuse a level 5 file whose decompressed variables exceed the limits; SciPy decides about other files.

    MAT-File Format, The MathWorks: 128 bytes of header, then elements of a type, a length and that many bytes.

    Raises:
        SourceError: more than 512 MiB, more than 200 times the compressed size, or not deflate data.
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


if __name__ == "__main__":
    _main(sys.argv[1:])
