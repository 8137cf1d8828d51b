"""Looking into one file for what shows a withdrawn sample: tables, archives of any kind, or the picture itself."""

import gzip
import json
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.decisions.forgotten import Digest
from pipeline.forget.digests import md5_of, pixels_md5

_BATCH_ROWS: Final = 256
_CHUNK_BYTES: Final = 1 << 20
_PARQUET: Final = b"PAR1"
_ZIP: Final = b"PK\x03\x04"
_GZIP: Final = b"\x1f\x8b"
# Pictures and pages that stages draw of several faces: no digest finds a face in them.
_DRAWN: Final = (b"\xff\xd8\xff", b"\x89PNG", b"<!DOC", b"<!doc")


# What reading a file raises that is cut off, damaged, or packed as nothing here can unpack it.
_TORN: Final = (
    OSError, pa.ArrowException, tarfile.TarError, zipfile.BadZipFile, zlib.error,
    EOFError, ValueError, RuntimeError, NotImplementedError,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Seen:
    """The withdrawn samples that were found in a file, and whether there is more in it that cannot be read."""

    samples: frozenset[str] = frozenset()
    torn: bool = False


class Wanted:
    """What is looked for: the digests of withdrawn samples, and their names in tables of pictures."""

    def __init__(self, digests: Iterable[Digest], samples: Iterable[str]) -> None:
        """Take the digests, and the withdrawn samples, for crops of which no digest was taken."""
        given = list(digests)
        self._bytes = {one.md5: one.sample_id for one in given if one.what in ("picture", "crop")}
        self._pixels = {one.md5: one.sample_id for one in given if one.what == "pixels"}
        self._samples = frozenset(samples)

    def by_md5(self, md5: str) -> str | None:
        """Return the sample that a file with this md5 shows, or None."""
        return self._bytes.get(md5)

    def in_file(self, path: Path, md5: str) -> Seen:
        """Return the samples that a file shows; `md5` is that of the whole file."""
        if (own := self.by_md5(md5)) is not None:
            return Seen(frozenset([own]))
        with path.open("rb") as stream:
            head = stream.read(512)
        samples: set[str] = set()
        try:
            for name in self._inside(path, head):
                samples.add(name)
        except _TORN:
            return Seen(frozenset(samples), torn=True)
        return Seen(frozenset(samples))

    def _inside(self, path: Path, head: bytes) -> Iterator[str]:
        if head[:4] == _PARQUET:
            yield from self._in_parquet(path)
        elif head[:4] == _ZIP:
            yield from self._in_zip(path)
        elif head[:2] == _GZIP or head[257:262] == b"ustar":
            yield from self._in_tar(path)

    def _in_parquet(self, path: Path) -> Iterator[str]:
        with pq.ParquetFile(path) as parquet:
            names = parquet.schema_arrow.names
            if "image" not in names:
                return
            columns = [name for name in ("sample_id", "image") if name in names]
            for batch in parquet.iter_batches(_BATCH_ROWS, columns=columns, use_threads=False):
                for row in batch.to_pylist():
                    found = self._of_row(row)
                    if found is not None:
                        yield found

    def _of_row(self, row: dict[str, Any]) -> str | None:
        name, image = row.get("sample_id"), row["image"]
        content = image.get("bytes") if isinstance(image, dict) else image
        if content is None:
            return None
        return name if name in self._samples else self._of_bytes(content)

    def _of_bytes(self, content: bytes) -> str | None:
        if (found := self.by_md5(md5_of(content))) is not None:
            return found
        return self._pixels.get(pixels_md5(content) or "") if self._pixels and content[:2] == b"\xff\xd8" else None

    def _in_tar(self, path: Path) -> Iterator[str]:
        try:
            archive = tarfile.open(path)  # noqa: SIM115 - closed below
        except tarfile.ReadError:
            with gzip.open(path) as packed:  # what is whole and no archive is a table, say; what is cut off raises
                while packed.read(_CHUNK_BYTES):
                    pass
            return
        with archive:
            for member in archive:
                stream = archive.extractfile(member)
                if stream is not None:
                    yield from self._of_member(member.name, stream.read())

    def _in_zip(self, path: Path) -> Iterator[str]:
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                yield from self._of_member(name, archive.read(name))

    def _of_member(self, name: str, content: bytes) -> Iterator[str]:
        if name.endswith(".json"):
            try:
                row = json.loads(content)
            except ValueError:  # of others, who call it so
                return
            if isinstance(row, dict) and row.get("sample_id") in self._samples:
                yield str(row["sample_id"])
        elif (found := self._of_bytes(content)) is not None:
            yield found


def is_drawn(path: Path) -> bool:
    """Say whether a file is a picture or page, which may show faces that no digest finds."""
    with path.open("rb") as stream:
        return stream.read(5).startswith(_DRAWN)
