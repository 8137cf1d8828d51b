"""A small file system of its own, made for a test, whose power can be cut."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


def _run(*command: object) -> bool:
    return subprocess.run([str(part) for part in command], capture_output=True, check=False).returncode == 0


@contextmanager
def mounted(at: Path, *what: object) -> Iterator[Path]:
    """Mount something, or skip the test where that is not allowed."""
    at.mkdir(exist_ok=True)
    if not _run("mount", *what, at):
        pytest.skip("mounting needs root")
    try:
        yield at
    finally:
        assert _run("umount", at)


@contextmanager
def ext4(folder: Path) -> Iterator[tuple[Path, Path]]:
    """Give an ext4 file system and the image that it lies in."""
    if shutil.which("mkfs.ext4") is None:
        pytest.skip("there is no mkfs.ext4 here")
    image = folder / "image"
    with image.open("wb") as stream:
        stream.truncate(48 << 20)
    assert _run("mkfs.ext4", "-q", image)
    with mounted(folder / "disk", "-o", "loop", image) as disk:
        yield disk, image


@contextmanager
def after_power_cut(image: Path, folder: Path) -> Iterator[Path]:
    """Give what a machine finds that starts again after losing its power now: the image, with its journal replayed."""
    copy = folder / "copy"
    assert _run("cp", "--sparse=always", image, copy)
    with mounted(folder / "found", "-o", "loop", copy) as found:
        yield found
    copy.unlink()
