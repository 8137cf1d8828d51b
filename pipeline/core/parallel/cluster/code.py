"""What must be the same on all machines: the project's code, and the libraries that the base package requires."""

import hashlib
import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Final

import pipeline
from pipeline.core.lineage.code import PACKAGES
from pipeline.core.lineage.identity import file_md5

_DISTRIBUTION: Final = "expression-prep"
_PASSED_OVER: Final = frozenset({".pyc", ".typed"})


@cache
def fingerprint() -> dict[str, str]:
    """Return the md5 of each file of the packages, by its path below their folder, and each library's version."""
    root = Path(str(pipeline.__file__)).resolve().parent.parent
    files = sorted(path for package in PACKAGES for path in (root / package).rglob("*") if path.is_file())
    found = {path.relative_to(root).as_posix(): file_md5(path) for path in files if path.suffix not in _PASSED_OVER}
    return found | dict(_versions())


def digest() -> str:
    """Return one md5 for the whole fingerprint."""
    return hashlib.md5(repr(sorted(fingerprint().items())).encode(), usedforsecurity=False).hexdigest()


def differences(here: Mapping[str, str], there: Mapping[str, str]) -> list[str]:
    """Return in words what differs between two fingerprints."""
    return [
        f"{name} {there.get(name, 'missing')} and not {here.get(name, 'missing')}" if "/" not in name else name
        for name in sorted(here.keys() | there.keys())
        if here.get(name) != there.get(name)
    ]


def _versions() -> Iterator[tuple[str, str]]:
    try:
        lines = requires(_DISTRIBUTION) or []
    except PackageNotFoundError:  # a folder with the packages that was never installed
        return
    for line in lines:
        if "extra ==" not in line:
            name = re.split(r"[^A-Za-z0-9._-]", line, maxsplit=1)[0]
            try:
                yield name, version(name)
            except PackageNotFoundError:
                yield name, "missing"
