"""The hash by which DVC identifies a file or a folder, computed without importing DVC.

A file has the md5 of its bytes. A folder has the md5 of the JSON list of ``{"md5", "relpath"}`` of its files, sorted by
relpath, followed by ``.dir`` (dvc-data's ``Tree.digest``). tests/pipeline/core/lineage compares both with DVC itself.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pipeline.core.errors import LineageError

# What a run leaves beside an output, see `place` and `parts`; .dvcignore names the same pattern.
PARTIAL_SUFFIX: Final = ".partial"
# What DVC ignores by default (dvc.ignore), and what .dvcignore adds. `.git` is a folder, but in a worktree a file.
_IGNORED: Final = frozenset({".git", "__pycache__"})
_IGNORED_FOLDERS: Final = frozenset({".hg", ".dvc"})
# With one of these inside a folder, DVC's rules depend on its content. A raw tree that has one is therefore refused.
DVC_CONTROLS: Final = frozenset({".dvcignore", ".dvc"})
# Files are read 1 MiB at a time, because a video or an archive may be larger than the memory.
_CHUNK_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class FileIdentity:
    """One file below a folder: POSIX path relative to it, size in bytes, md5 in hex."""

    path: str
    size: int
    md5: str


def file_md5(path: Path) -> str:
    """Return the md5 of a file's bytes in hex.

    Raises:
        LineageError: the file is missing or cannot be read.
    """
    try:
        with path.open("rb") as stream:
            digest = hashlib.md5(usedforsecurity=False)
            while chunk := stream.read(_CHUNK_BYTES):
                digest.update(chunk)
    except OSError as error:
        raise LineageError(f"{path}: cannot be read: {error.strerror}") from None
    return digest.hexdigest()


def is_ignored(name: str, *, folder: bool) -> bool:
    """Return whether DVC ignores a file or folder of this name, by default or by the project's .dvcignore."""
    if name.startswith(".") and name.endswith(PARTIAL_SUFFIX):
        return True
    return name in _IGNORED or (folder and name in _IGNORED_FOLDERS)


def walk_files(folder: Path) -> Iterator[Path]:
    """Yield every regular file below a folder as DVC sees it, in no particular order.

    Links are followed, except to a folder above themselves, because that would never end. Pipes and devices are
    skipped.
    """
    opened: dict[str, tuple[str, ...]] = {str(folder): (os.path.realpath(folder),)}
    for root, folders, names in os.walk(folder, followlinks=True):
        above = opened.pop(root)
        kept = []
        for name in folders:
            path = f"{root}/{name}"
            real = os.path.realpath(path)
            if not is_ignored(name, folder=True) and real not in above:
                kept.append(name)
                opened[path] = (*above, real)
        folders[:] = kept
        for name in names:
            path = f"{root}/{name}"
            if not is_ignored(name, folder=False) and Path(path).is_file():
                yield Path(path)


def folder_files(folder: Path, md5: Callable[[Path], str] = file_md5) -> list[FileIdentity]:
    """Return the identity of every file below a folder, sorted by path; `md5` gives that of one file."""
    files = [
        FileIdentity(path.relative_to(folder).as_posix(), path.stat().st_size, md5(path)) for path in walk_files(folder)
    ]
    return sorted(files, key=lambda file: file.path)


def folder_md5(files: Iterable[FileIdentity]) -> str:
    """Return DVC's ``.dir`` identity of a folder with these files, sorted by path as `folder_files` gives them."""
    # The JSON is hashed piece by piece, because for half a million files it would take hundreds of megabytes.
    digest = hashlib.md5(b"[", usedforsecurity=False)
    between = ""
    for file in files:
        digest.update(f'{between}{{"md5": "{file.md5}", "relpath": {json.dumps(file.path)}}}'.encode())
        between = ", "
    digest.update(b"]")
    return digest.hexdigest() + ".dir"


def identity(path: Path, md5: Callable[[Path], str] = file_md5) -> str:
    """Return DVC's md5 of a file, or its ``.dir`` identity of a folder; `md5` gives that of one file.

    Raises:
        LineageError: nothing is there, or a file below cannot be read.
    """
    if path.is_dir():
        return folder_md5(folder_files(path, md5))
    return md5(path)
