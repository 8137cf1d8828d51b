"""The identities of what a run reads, each file hashed once: the second time only those that look otherwise by then."""

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pipeline.core.errors import LineageError
from pipeline.core.lineage.identity import file_md5, identity

# A file that changed so shortly before it was hashed may change again without a newer time: file systems keep time in
# steps, of a second at most.
_CLOCK_STEP_NS: Final = 1_000_000_000

# Size in bytes, the times of the last change of content and of anything (ns), and inode of a file. The second time is
# the kernel's own: nobody can set it back.
Look = tuple[int, int, int, int]


def look_of(found: os.stat_result) -> Look:
    """Return what tells a file from what it was before."""
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino


@dataclass(frozen=True, slots=True)
class _Hashed:
    look: Look
    md5: str
    certain: bool  # whether a later change would show


class KnownFiles:
    """Files with their md5: one that looks as it did is not read again."""

    def __init__(self) -> None:
        self._files: dict[str, _Hashed] = {}

    def identity(self, path: Path) -> str:
        """Return DVC's identity of a file or folder, as `identity.identity` does.

        Raises:
            LineageError: nothing is there, or a file below cannot be read.
        """
        return identity(path, self.md5)

    def md5(self, path: Path) -> str:
        """Return the md5 of a file's bytes in hex; reads it only if it is new here or looks otherwise.

        Raises:
            LineageError: the file is missing or cannot be read.
        """
        name = str(path)
        before, look = time.time_ns(), _look(path)
        known = self._files.get(name)
        if known is None or known.look != look or not known.certain:
            # Looked at before it is read: a change in between shows the next time.
            md5 = file_md5(path)
            self._files[name] = known = _Hashed(look, md5, before - look[2] > _CLOCK_STEP_NS)
        return known.md5


def _look(path: Path) -> Look:
    try:
        return look_of(path.stat())
    except OSError as error:
        raise LineageError(f"{path}: cannot be read: {error.strerror}") from None
