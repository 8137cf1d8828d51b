"""WebDataset tars. The same rows always give the same bytes: ustar, mtime 0, owner 0, members in the order of rows.

Each sample is two members in succession, ``<key>.jpg`` and ``<key>.json``. The key consists of the shard's name and the
row, because a key must not contain dots or slashes and a sample_id may. The sample_id is in the JSON. Headers are
written here (POSIX 1003.1-1988, ustar) into a prepared block: Python's tarfile takes longer to make a header than the
disk takes to write the picture.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from pipeline.core.emotions import CLASSES
from pipeline.shards.columns import Batch, sample_key

_BLOCK: Final = 512
_ZEROS: Final = bytes(_BLOCK)
_RECORD: Final = 20 * _BLOCK  # by tradition, a tar is padded to a multiple of 20 blocks
_NAME_BYTES: Final = 100
# name[100] mode[8] uid[8] gid[8] size[12] mtime[12] chksum[8] type[1] link[100] magic[6] version[2] user[32] group[32]
_BEFORE_SIZE: Final = b"0000644\0" + b"0000000\0" + b"0000000\0"
_MTIME: Final = b"00000000000\0"
_AFTER_CHECKSUM: Final = (b"0" + bytes(100) + b"ustar\0" + b"00" + bytes(64) + b"0000000\0" * 2).ljust(356, b"\0")
# The checksum is the sum of all bytes of the header, with its own field counted as eight spaces. Only name and size
# differ between members, so the rest is summed once.
_FIXED_SUM: Final = sum(_BEFORE_SIZE) + sum(_MTIME) + sum(_AFTER_CHECKSUM) + 8 * ord(" ")


def tar_header(name: bytes, size: int) -> bytes:
    """Return the header of a member, 512 bytes.

    Args:
        name: at most 100 bytes.
        size: of the content in bytes, less than 8 GiB, because the field has eleven octal digits.

    Raises:
        ValueError: the name is too long.
    """
    if len(name) > _NAME_BYTES:
        raise ValueError(f"{name!r}: a tar member's name has at most {_NAME_BYTES} bytes")
    octal = b"%011o\0" % size
    checksum = b"%06o\0 " % (_FIXED_SUM + sum(name) + sum(octal))
    return b"".join((name.ljust(_NAME_BYTES, b"\0"), _BEFORE_SIZE, octal, _MTIME, checksum, _AFTER_CHECKSUM))


def write_tar(path: Path, shard: str, batches: Iterable[Batch], common: dict[str, Any]) -> None:
    """Write one WebDataset shard.

    Args:
        path: the tar to write.
        shard: the shard's name, the first part of every key.
        batches: rows of `columns.ROW_SCHEMA`, and their encoded pictures in the same order.
        common: what is added to the JSON of every sample (snapshot id, contract).
    """
    # The common part is encoded once. Without its opening brace, it is appended to the JSON of each row.
    tail = json.dumps(common, sort_keys=True, ensure_ascii=False)[1:].encode()
    samples = (sample for rows, images in batches for sample in zip(rows.to_pylist(), images, strict=True))
    size = 0
    with path.open("wb", buffering=1 << 20) as stream:
        for row, (values, image) in enumerate(samples):
            key = sample_key(shard, row).encode()
            values["class"] = None if values["label"] is None else CLASSES[values["label"]]
            head = json.dumps(values, ensure_ascii=False)[:-1].encode()
            for block in _member(key + b".jpg", (image,)):
                size += stream.write(block)
            for block in _member(key + b".json", (head, b", ", tail)):
                size += stream.write(block)
        # Two empty blocks end a tar.
        size += stream.write(_ZEROS * 2)
        stream.write(bytes(-size % _RECORD))


def _member(name: bytes, content: Sequence[bytes]) -> Iterator[bytes]:
    size = sum(map(len, content))
    yield tar_header(name, size)
    yield from content
    yield _ZEROS[: -size % _BLOCK]


def count_samples(path: Path) -> int:
    """Return the number of samples in a tar of `write_tar`, or -1 if one is incomplete; only headers are read."""
    members = 0
    with path.open("rb") as stream:
        while (header := stream.read(_BLOCK)) and header != _ZEROS:
            members += 1
            size = int(header[124:135], 8)
            stream.seek(size + -size % _BLOCK, 1)
    return members // 2 if members % 2 == 0 else -1
