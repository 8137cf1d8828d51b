"""Locations of files: a folder, or a storage address such as ``s3://bucket/shards``, behind one small type (fsspec).

Credentials and endpoints come from the environment and the configuration of the storage's own tools, never from this
project: ``AWS_ACCESS_KEY_ID``, ``AWS_ENDPOINT_URL`` and so on for S3.
"""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipeline.core.errors import OutputError, UsageError
from pipeline.core.extras import missing_extra
from pipeline.core.lineage.identity import PARTIAL_SUFFIX

_SEPARATOR = "://"


def is_address(where: Path | str) -> bool:
    """Tell an address (``s3://…``, ``gs://…``, ``memory://…``) from a path."""
    return isinstance(where, str) and _SEPARATOR in where


class Location:
    """A file or folder, local or remote. Immutable; cheap to make; opens nothing by itself."""

    __slots__ = ("_address", "_path")

    def __init__(self, where: Path | str) -> None:
        self._address = str(where).rstrip("/") if is_address(where) else None
        self._path = None if self._address else Path(where)

    def __truediv__(self, name: str) -> "Location":
        """Return the location of `name` below this one."""
        return Location(f"{self._address}/{name}" if self._path is None else self._path / name)

    def __str__(self) -> str:
        """Return the path or address, as a person typed it."""
        return self._address or str(self._path)

    def read_bytes(self) -> bytes:
        """Return the whole content.

        Raises:
            OSError: missing, or the storage refuses.
            UsageError: no such storage is known.
        """
        if self._path is not None:
            return self._path.read_bytes()
        filesystem, path = self._remote()
        with _as_os_error():
            return bytes(filesystem.cat_file(path))

    def open_arrow(self) -> Any:
        """Open for random access by pyarrow: a local file is memory-mapped, a remote one is read in ranges.

        Raises:
            OSError: missing, or the storage refuses.
            UsageError: no such storage is known.
        """
        if self._path is not None:
            return pa.memory_map(str(self._path))
        filesystem, path = self._remote()
        with _as_os_error():
            return filesystem.open(path, "rb")

    def names(self) -> set[str]:
        """Return the paths of the files below this folder of a storage, relative to it.

        Raises:
            OSError: the storage refuses.
            UsageError: no such storage is known.
        """
        filesystem, root = self._remote()
        with _as_os_error():
            filesystem.invalidate_cache()  # fsspec caches listings, which would hide what was just written
            return {path.removeprefix(f"{root}/") for path in filesystem.find(root)}

    def replace_with(self, folder: Path, first: str, last: Sequence[str]) -> None:
        """Make this folder of a storage the same as a local one; see `staged`.

        Raises:
            OSError: the storage refuses.
            UsageError: no such storage is known.
        """
        filesystem, root = self._remote()
        there = self.names()
        here = {file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()}
        between = sorted(here - {first, *last})
        with _as_os_error():
            for name in sorted(there & set(last)):
                filesystem.rm_file(f"{root}/{name}")
            # Object stores have no folders, but at file:// or sftp:// they must exist before a file is put into them.
            for folder_name in sorted({f"{root}/{name}".rpartition("/")[0] for name in here}):
                filesystem.makedirs(folder_name, exist_ok=True)
            for name in [first, *between, *last]:
                filesystem.put_file(str(folder / name), f"{root}/{name}")
            for name in sorted(there - here):
                filesystem.rm_file(f"{root}/{name}")

    def _remote(self) -> tuple[Any, str]:
        import fsspec

        try:
            filesystem, path = fsspec.core.url_to_fs(self._address)
        except (ValueError, ImportError) as error:
            other = UsageError(f"{self}: not a storage that can be reached from here: {error}")
            raise missing_extra(error) or other from None
        return filesystem, path


@contextmanager
def _as_os_error() -> Iterator[None]:
    """Turn the errors of a storage's own library into OSError, which reading a local file raises."""
    try:
        yield
    except OSError:
        raise
    except Exception as error:
        raise OSError(f"{type(error).__name__}: {error}") from error


@contextmanager
def staged(out: Path | str, near: Path, first: str, last: Sequence[str]) -> Iterator[Path]:
    """Yield a local folder to write into: `out` itself, or one that is copied to the address if the block succeeds.

    Args:
        out: a folder, or a storage address.
        near: the folder in which the local one is made; not the folder for temporary files, which others can list.
        first: name of the file that is copied before all others. It marks what an interrupted run left as ours, so that
            the next run may replace it.
        last: names of the files that mark the rest as complete to a reader. They are removed first and copied last, in
            this order, so that a reader never takes a mixture of two runs for complete.

    Raises:
        OutputError: something else is at the address, or it cannot be written.
        UsageError: no such storage is known.
    """
    if not is_address(out):
        yield Path(out)
        return
    target = Location(out)
    try:
        there = target.names()
        if there and not there & {first, *last}:
            raise OutputError(f"{target}: not empty and not an output of prep; give a new or empty address")
        with tempfile.TemporaryDirectory(dir=near, prefix=".address-", suffix=PARTIAL_SUFFIX) as scratch:
            folder = Path(scratch, "out")
            yield folder
            target.replace_with(folder, first, last)
    except OSError as error:
        raise OutputError(f"{target}: cannot be written: {error.strerror or error}") from None
