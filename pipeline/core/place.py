"""Replacing an output folder in one step: it is locked, written beside the old one, synced, and exchanged for it.

While a run lasts, the hidden folder `data/.x.partial` exists beside the output `data/x`. The lock is on that folder,
because such a lock leaves no file behind and ends with the process that holds it. Each run has its own folder inside:
a worker that outlives its killed parent finds that folder gone and can never write into the next run's. Links are
resolved first and not followed afterwards. Only the folder `parts`, in which `parts.PartStore` keeps whole parts, stays
there from run to run.

A finished result survives a power cut, because its bytes are synced before its name is. It is put in place by one
exchange (renameat2) if the kernel and the file system have that, otherwise by two renames. If a run dies between these,
the next run undoes the first.
"""

import ctypes
import errno
import fcntl
import os
import secrets
import shutil
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from pipeline.core.errors import OutputError
from pipeline.core.lineage.identity import PARTIAL_SUFFIX

# Outputs contain faces, so only their owner may read them.
FOLDER_MODE: Final = 0o700
FILE_MODE: Final = 0o600
# Constants of Linux's fcntl.h and fs.h, which Python does not define.
_AT_FDCWD: Final = -100
_RENAME_EXCHANGE: Final = 2
# A file system without hard links, or a file that has as many as it can have.
_NO_LINKS: Final = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EMLINK, errno.ENOSYS, errno.EXDEV)
_OLD_NAME: Final = "old"
PARTS_NAME: Final = "parts"


@contextmanager
def workplace(out: Path) -> Iterator[Path]:
    """Lock an output and yield a new folder beside it, which is removed at the end; whole parts beside it stay.

    Args:
        out: an absolute path without links.

    Raises:
        OutputError: another run is writing this output.
        OSError: the place cannot be written.
    """
    beside = out.with_name(f".{out.name}{PARTIAL_SUFFIX}")
    beside.parent.mkdir(parents=True, exist_ok=True)
    lock = _lock(beside, out)
    try:
        _restore(beside, out)
        _clear(beside)
        # A name that no earlier run had, so that a worker that outlived it cannot write here.
        folder = beside / secrets.token_hex(8)
        folder.mkdir(FOLDER_MODE)
        yield folder
    finally:
        # The lock is released last. In the other order, this could remove the folder of the next run.
        with suppress(OSError):
            _clear(beside)
            beside.rmdir()  # fails while it holds parts
        os.close(lock)


def put_in_place(folder: Path, out: Path) -> None:
    """Put a finished folder of `workplace` in the place of the output; the old output is then in the workplace.

    Raises:
        OSError: the disk is full or broken; the old output is unchanged.
    """
    # The bytes first and the name last: after a power cut, a name on the disk always leads to complete files.
    protect_folder(folder)
    _sync_folder(folder)
    if not out.exists():
        folder.rename(out)
    elif not _exchange(folder, out):
        old = out.rename(folder.with_name(_OLD_NAME))
        try:
            folder.rename(out)
        except BaseException:
            old.rename(out)
            raise
    sync(out.parent)


def sync(path: Path) -> None:
    """Wait until the bytes of a file, or the names in a folder, are on the disk (fsync)."""
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def replace_synced(written: Path, place: Path) -> None:
    """Give a written file another one's name; after a power cut, that name leads to the old file or the new one."""
    sync(written)
    written.replace(place)
    sync(place.parent)


def link_or_move(path: Path, place: Path) -> None:
    """Give a file a second name, or move it where there are no hard links."""
    # A file with other rights is one that DVC protects, because its cache has a link to it: that stays its own.
    if stat.S_IMODE(path.stat().st_mode) != FILE_MODE:
        shutil.copyfile(path, place)
        return
    try:
        place.hardlink_to(path)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        path.rename(place)


def _lock(beside: Path, out: Path) -> int:
    """Return the locked descriptor of the folder.

    The previous run may have removed the folder after it was opened here, and the lock would then be on a folder
    without a name. So the descriptor is compared with what has the name now, and the loop tries again if they differ.
    """
    while True:
        beside.mkdir(FOLDER_MODE, exist_ok=True)
        try:
            opened = os.open(beside, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except FileNotFoundError:
            continue
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(opened), beside.stat(follow_symlinks=False)):
                return opened
        except BlockingIOError:
            os.close(opened)
            raise OutputError(f"{out}: another run is writing it; wait for it to end") from None
        except FileNotFoundError:
            pass
        except OSError:
            os.close(opened)
            raise
        os.close(opened)


def _restore(beside: Path, out: Path) -> None:
    """Restore the old result if a run died between its two renames."""
    old = beside / _OLD_NAME
    if old.is_dir() and not out.exists():
        old.rename(out)


def _clear(beside: Path) -> None:
    """Remove all that runs left, except for whole parts."""
    for left in beside.iterdir():
        if left.name == PARTS_NAME and not left.is_symlink():
            continue
        if left.is_dir() and not left.is_symlink():
            shutil.rmtree(left)
        else:
            left.unlink()


def protect_folder(folder: Path) -> None:
    """Make every file and folder below a folder, and itself, readable by their owner only."""
    for root, _, names in os.walk(folder):
        Path(root).chmod(FOLDER_MODE)
        for name in names:
            Path(root, name).chmod(FILE_MODE)


def _sync_folder(folder: Path) -> None:
    """Sync every file and folder below a folder, bottom up."""
    for root, _, names in os.walk(folder, topdown=False):
        for name in names:
            sync(Path(root, name))
        sync(Path(root))


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two folders in one step; return False if this system cannot."""
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None) if sys.platform == "linux" else None
    if rename is None:
        return False
    if rename(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0:
        return True
    # ENOSYS: a kernel before 3.15. EINVAL: a file system without exchange, such as many network file systems.
    number = ctypes.get_errno()
    if number in (errno.ENOSYS, errno.EINVAL):
        return False
    raise OSError(number, os.strerror(number), str(other))
