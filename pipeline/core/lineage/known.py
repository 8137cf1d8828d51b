"""Identities of files that a run reads. Each file is hashed once, and again only if its stat has changed since."""

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pipeline.core.errors import LineageError
from pipeline.core.lineage.identity import file_md5, identity

# If a file changed less than one clock step before it was hashed, it may change again without getting a newer time. The
# steps of file systems are at most one second.
CLOCK_STEP_NS: Final = 1_000_000_000

# The size of a file in bytes, its mtime and ctime in ns, and its inode. A program can set mtime back after a change,
# but only the kernel sets ctime.
Look = tuple[int, int, int, int]


def look_of(found: os.stat_result) -> Look:
    """Return the values of a stat that show whether a file has changed."""
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino


@dataclass(frozen=True, slots=True)
class _Hashed:
    look: Look
    md5: str
    certain: bool  # whether a later change is certain to change the look


class KnownFiles:
    """The md5 of files; a file whose look has not changed is not read again."""

    def __init__(self) -> None:
        self._files: dict[str, _Hashed] = {}

    def identity(self, path: Path) -> str:
        """Return DVC's identity of a file or folder, as `identity.identity` does.

        Raises:
            LineageError: nothing is there, or a file below cannot be read.
        """
        return identity(path, self.md5)

    def md5(self, path: Path) -> str:
        """Return the md5 of a file's bytes in hex. It is read only if it is new here or its look has changed.

        Raises:
            LineageError: the file is missing or cannot be read.
        """
        name = str(path)
        before, look = time.time_ns(), _look(path)
        known = self._files.get(name)
        if known is None or known.look != look or not known.certain:
            # The stat was taken before reading, so a change in between is noticed the next time.
            md5 = file_md5(path)
            self._files[name] = known = _Hashed(look, md5, before - look[2] > CLOCK_STEP_NS)
        return known.md5


def _look(path: Path) -> Look:
    try:
        return look_of(path.stat())
    except OSError as error:
        raise LineageError(f"{path}: cannot be read: {error.strerror}") from None
