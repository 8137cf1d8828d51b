"""A tar, plain or gzipped, as a raw tree.

The standard library reads its headers once. Members are then read by their offset, and nothing is unpacked to disk.
"""

import io
import tarfile
import weakref
from collections.abc import Iterator
from typing import Any, BinaryIO, Final

from pipeline.core.errors import SourceError
from pipeline.ingest.trees.archive import ArchiveTree, Bounded, Refuser, member_name, refuser
from pipeline.ingest.trees.gzip_stream import GzipStream

GZIP_MAGIC: Final = b"\x1f\x8b"
_CHUNK_BYTES: Final = 1 << 18
# tarfile reads a long name or a PAX header at once, with the size that it declares. A forged size would take all
# memory; no real header is larger than 1 MiB.
_MAX_HEADER_BYTES: Final = 1 << 20


class TarTree(ArchiveTree):
    """The regular files of a tar. A tar that contains links, devices or sparse files is refused."""

    def __init__(self, src: str) -> None:
        super().__init__(src)
        with self.file.open("rb") as stream:
            self._gzipped = stream.read(2) == GZIP_MAGIC
        self._stream: Any = GzipStream(self.file) if self._gzipped else self.file.open("rb")
        # The stream is shared by all members, so it is closed when nobody uses the tree any more.
        weakref.finalize(self, self._stream.close)
        self._places: dict[str, int] = {}
        self._index(refuser(src))

    def stored_order(self) -> list[str]:
        """Return the members in the order of their bytes in the file."""
        return sorted(self._places, key=self._places.__getitem__)

    def raw(self, name: str) -> io.RawIOBase:
        """Return a stream of a member's bytes."""
        return Bounded(self._chunks(name))

    def _chunks(self, name: str) -> Iterator[bytes]:
        at, left = self._places[name], self._sizes[name]
        while left:
            # Another member may have been read since the last chunk, from the same stream.
            self._stream.seek(at)
            chunk = self._stream.read(min(_CHUNK_BYTES, left))
            if not chunk:
                raise SourceError(f"{self.src}: ends within member {name!r}; fetch it again")
            at, left = at + len(chunk), left - len(chunk)
            yield chunk

    def _index(self, refuse: Refuser) -> None:
        guarded: Any = _Guarded(self._stream, self.src)
        try:
            with tarfile.open(fileobj=guarded, mode="r:") as archive:
                end = self._take_all(archive, refuse)
        except (tarfile.TarError, ValueError, EOFError, OverflowError) as error:
            raise SourceError(f"{self.src}: not a readable tar: {error}") from None
        self._check_end(end)

    def _take_all(self, archive: Any, refuse: Refuser) -> int:
        while (member := archive.next()) is not None:
            archive.members.clear()  # tarfile would keep every member in memory, and there may be a million
            name = member_name(member.name, refuse)
            if member.issym() or member.islnk():
                raise refuse(member.name, f"is a link to {member.linkname!r}")
            if member.isdir():
                continue
            if not member.isreg() or member.sparse is not None:
                raise refuse(member.name, "is neither a file nor a folder")
            if self._add(name, member.size, refuse):
                self._places[name] = member.offset_data
        return int(archive.offset)

    def _check_end(self, end: int) -> None:
        """Refuse a tar that was cut off or is damaged, because tarfile takes a damaged header for the end of the tar.

        After the last member there must be zeros, and the last member must end within the file.
        """
        self._stream.seek(end)
        if self._stream.read(512).strip(b"\0"):
            raise SourceError(f"{self.src}: damaged after {len(self._sizes)} members; fetch it again")
        size = self._stream.drain() if self._gzipped else self.file.stat().st_size
        # Members were added in the order of the file, so the last one that was added is the only one to check.
        for name in reversed(self._places):
            if self._places[name] + self._sizes[name] > size:
                raise SourceError(f"{self.src}: ends within member {name!r}; fetch it again")
            break


class _Guarded:
    """A file for tarfile which refuses to read a header larger than 1 MiB, see `_MAX_HEADER_BYTES`."""

    def __init__(self, stream: BinaryIO, src: str) -> None:
        self._stream = stream
        self._src = src

    def read(self, size: int) -> bytes:
        if size > _MAX_HEADER_BYTES:
            raise SourceError(f"{self._src}: a header of {size} bytes; the archive is refused")
        chunks = []
        while size > 0 and (chunk := self._stream.read(size)):
            chunks.append(chunk)
            size -= len(chunk)
        return b"".join(chunks)

    def seek(self, offset: int) -> int:
        return self._stream.seek(offset)

    def tell(self) -> int:
        return self._stream.tell()
