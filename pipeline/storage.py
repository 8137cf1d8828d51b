"""Where files are: a folder, or a storage address such as ``s3://bucket/shards``, behind one small type (fsspec).

What an address needs besides (keys, an endpoint) comes from the environment and the configuration of its own tools,
never from us: ``AWS_ACCESS_KEY_ID``, ``AWS_ENDPOINT_URL`` and so on for S3.
"""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipeline.errors import OutputError

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
        """
        if self._path is not None:
            return self._path.read_bytes()
        filesystem, path = self._remote()
        return bytes(filesystem.cat_file(path))

    def open_arrow(self) -> Any:
        """Open for random reading by pyarrow: a local file mapped into memory, a remote one by ranges.

        Raises:
            OSError: missing, or the storage refuses.
        """
        if self._path is not None:
            return pa.memory_map(str(self._path))
        filesystem, path = self._remote()
        return filesystem.open(path, "rb")

    def replace_with(self, folder: Path, last: Sequence[str]) -> None:
        """Make this folder of a storage the same as a local one.

        Args:
            folder: what to put there.
            last: names of the files without which a reader does not take the rest for complete: they are removed
                first and put back at the very end, in this order.

        Raises:
            OutputError: something else is there, or the storage refuses.
        """
        filesystem, root = self._remote()
        try:
            filesystem.invalidate_cache()
            there = {path.removeprefix(f"{root}/") for path in filesystem.find(root)}
            if there and not there & set(last):
                raise OutputError(f"{self}: not empty and not an output of prep; give a new or empty address")
            here = {file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()}
            for name in sorted(there & set(last)):
                filesystem.rm_file(f"{root}/{name}")
            for name in [*sorted(here - set(last)), *(name for name in last if name in here)]:
                filesystem.put_file(str(folder / name), f"{root}/{name}")
            for name in sorted(there - here - set(last)):
                filesystem.rm_file(f"{root}/{name}")
        except OSError as error:
            raise OutputError(f"{self}: cannot be written: {error.strerror or error}") from None

    def _remote(self) -> tuple[Any, str]:
        import fsspec

        filesystem, path = fsspec.core.url_to_fs(self._address)
        return filesystem, path


@contextmanager
def staged(out: Path | str, last: Sequence[str]) -> Iterator[Path]:
    """Give a local folder to write: `out` itself, or one that is put at the address when the block ends well.

    Args:
        out: a folder, or a storage address.
        last: see `Location.replace_with`.

    Raises:
        OutputError: the address cannot be written.
    """
    if not is_address(out):
        yield Path(out)
        return
    with tempfile.TemporaryDirectory(prefix="prep-") as scratch:
        folder = Path(scratch, "out")
        yield folder
        Location(out).replace_with(folder, last)
