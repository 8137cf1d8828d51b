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
from pipeline.ingest.parsing.pixels import pixels_to_pgm

_BATCH_ROWS: Final = 256
_CHUNK_BYTES: Final = 1 << 20
_IMAGE: Final = "image"  # the crops of stages
_PIXELS: Final = "pixels"  # of FER2013, as text
_PARQUET: Final = b"PAR1"
_ARROW: Final = b"ARROW1"
_STREAM: Final = b"\xff\xff\xff\xff"  # begins a stream of Arrow's, which `datasets` writes, and perhaps other files
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
        elif head[:6] == _ARROW or head[:4] == _STREAM:
            yield from self._in_arrow(path, whole=head[:6] == _ARROW)
        elif head[:4] == _ZIP:
            yield from self._in_zip(path)
        elif head[:2] == _GZIP or head[257:262] == b"ustar":
            yield from self._in_tar(path)

    def _in_parquet(self, path: Path) -> Iterator[str]:
        with pq.ParquetFile(path) as parquet:
            pictures = _picture_columns(parquet.schema_arrow)
            columns = [*pictures, *({"sample_id"} & {*parquet.schema_arrow.names})]
            for batch in parquet.iter_batches(_BATCH_ROWS, columns=columns, use_threads=False) if pictures else ():
                yield from self._in_rows(batch, pictures)

    def _in_arrow(self, path: Path, *, whole: bool) -> Iterator[str]:
        with pa.memory_map(str(path)) as source:
            try:
                reader = pa.ipc.open_file(source) if whole else pa.ipc.open_stream(source)
            except pa.ArrowInvalid:
                if whole:
                    raise
                return  # another kind of file that begins alike
            pictures = _picture_columns(reader.schema)
            batches = map(reader.get_batch, range(reader.num_record_batches)) if whole else iter(reader)
            for batch in batches:
                yield from self._in_rows(batch, pictures)

    def _in_rows(self, batch: pa.RecordBatch, pictures: list[str]) -> Iterator[str]:
        ids = batch.column("sample_id").to_pylist() if "sample_id" in batch.schema.names else [None] * batch.num_rows
        for column in pictures:
            for name, value in zip(ids, batch.column(column), strict=True):
                content = _content(value.as_py())
                if content is None:
                    continue
                found = name if column == _IMAGE and name in self._samples else self._of_bytes(content)
                if found is not None:
                    yield found

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


def _picture_columns(schema: pa.Schema) -> list[str]:
    """Return the columns that may hold pictures: bytes, structs of bytes and a path, and FER2013's pixels as text."""
    types = pa.types
    return [
        field.name
        for field in schema
        if types.is_binary(field.type)
        or types.is_large_binary(field.type)
        or (types.is_struct(field.type) and field.type.get_field_index("bytes") >= 0)
        or field.name == _PIXELS
    ]


def _content(value: Any) -> bytes | None:
    if isinstance(value, dict):
        value = value.get("bytes")
    if isinstance(value, str):
        return pixels_to_pgm(value)
    return value if isinstance(value, bytes) else None


def is_drawn(path: Path) -> bool:
    """Say whether a file is a picture or page, which may show faces that no digest finds."""
    with path.open("rb") as stream:
        return stream.read(5).startswith(_DRAWN)
