"""Where files are: a folder, or a storage address such as ``s3://bucket/shards``, behind one small type (fsspec)."""

from pathlib import Path
from typing import Any

import pyarrow as pa

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

    def _remote(self) -> tuple[Any, str]:
        import fsspec

        filesystem, path = fsspec.core.url_to_fs(self._address)
        return filesystem, path
