"""Looking into one file for what shows a withdrawn sample: tables, archives of any kind, or the picture itself."""

import io
import json
import tarfile
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.decisions.forgotten import Digest
from pipeline.forget.digests import md5_of, pixels_md5

_BATCH_ROWS: Final = 256
_PARQUET: Final = b"PAR1"
_ZIP: Final = b"PK\x03\x04"
_GZIP: Final = b"\x1f\x8b"
# Pictures and pages that stages draw of several faces: no digest finds a face in them.
_DRAWN: Final = (b"\xff\xd8\xff", b"\x89PNG", b"<!DOC", b"<!doc")


class Wanted:
    """What is looked for: the digests of withdrawn samples, and their names in tables of pictures."""

    def __init__(self, digests: Iterable[Digest], samples: Iterable[str]) -> None:
        """Take the digests, and the withdrawn samples, for crops of which no digest was taken."""
        given = list(digests)
        self._bytes = {one.md5: one.sample_id for one in given if one.what != "pixels"}
        self._pixels = {one.md5: one.sample_id for one in given if one.what == "pixels"}
        self._samples = frozenset(samples)

    def by_md5(self, md5: str) -> str | None:
        """Return the sample that a file with this md5 shows, or None."""
        return self._bytes.get(md5)

    def in_file(self, path: Path, md5: str) -> set[str]:
        """Return the samples that a file shows; `md5` is that of the whole file.

        A file that is torn shows what can be read of it.
        """
        if (own := self.by_md5(md5)) is not None:
            return {own}
        with path.open("rb") as stream:
            head = stream.read(512)
        try:
            if head[:4] == _PARQUET:
                return set(self._in_parquet(path))
            if head[:4] == _ZIP:
                return set(self._in_zip(path))
            if head[:2] == _GZIP or head[257:262] == b"ustar":
                return set(self._in_tar(path))
        except (OSError, pa.ArrowException, tarfile.TarError, zipfile.BadZipFile, EOFError, ValueError):
            return set()
        return set()

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
        with tarfile.open(path) as archive:
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
            row = json.loads(io.BytesIO(content).read())
            if isinstance(row, dict) and row.get("sample_id") in self._samples:
                yield str(row["sample_id"])
        elif (found := self._of_bytes(content)) is not None:
            yield found


def is_drawn(path: Path) -> bool:
    """Say whether a file is a picture or page, which may show faces that no digest finds."""
    with path.open("rb") as stream:
        return stream.read(5).startswith(_DRAWN)
