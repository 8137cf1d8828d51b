"""Fingerprints of the code that a stage can run. Rewording does not change them; changed behaviour always does.

A stage's code is every module of this project that its command can import, directly or not, and every data file that
one of these modules names (`Path(__file__).with_name("taxonomies")`). What a file means is said by `source`.
"""

import inspect
import json
import os
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

from pipeline.core.errors import LineageError
from pipeline.core.lineage.source import read_source

PACKAGES: Final = ("pipeline", "stages", "models")
# A file that shows that a folder has our packages: other projects have a folder called pipeline, too.
_SIGN: Final = Path("pipeline/core/emotions.py")
# What runs the modules that params.yaml names.
USES_PLUGINS: Final = Path("pipeline/align/cascade.py")
_CASCADE: Final = "cascade"
# Returns whether each entry of a folder is a file.
Listing = Callable[[str], dict[str, bool]]


def code_root() -> Path:
    """Return the folder of the packages that a command runs: the working folder if it has them, or the installation."""
    here = Path.cwd()
    return here if (here / _SIGN).is_file() else Path(__file__).resolve().parents[3]


def stage_code(stage: str, root: Path, params: Any) -> dict[str, str]:
    """Return the fingerprint of each file that a stage can run, by its path from the root, sorted.

    Args:
        stage: its name, that of a file in `stages/`.
        root: the folder that contains the packages.
        params: the content of params.yaml. A stage that uses the cascade also depends on the modules of the detectors
            that params.yaml names, if they are below the root or the working folder.

    Raises:
        LineageError: there is no such stage, or a file cannot be read or parsed.
    """
    start = root / "stages" / f"{stage}.py"
    if not start.is_file():
        raise LineageError(f"{start}: no such stage")
    files = _reach(root, [start], PACKAGES)
    if root / USES_PLUGINS in files:
        return _named(root, files) | _plugin_code(root, params)
    return _named(root, files)


def code_text(stage: str, root: Path, params: Any) -> str:
    """Return what `prep code` writes for a stage: the JSON of `stage_code`."""
    return json.dumps(stage_code(stage, root, params), indent=1) + "\n"


def function_code(function: Callable[..., Any], params: Any) -> dict[str, str]:
    """Return the fingerprint of each file that a function of this project can run, as `stage_code` does.

    It is that of the packages that are running, which a script may have imported from anywhere.

    Raises:
        LineageError: a file cannot be read or parsed.
    """
    root = Path(__file__).resolve().parents[3]
    start = Path(inspect.getfile(function)).resolve()
    return _named(root, _reach(root, [start], PACKAGES)) | _plugin_code(root, params)


def changed_code(before: Mapping[str, str], now: Mapping[str, str], root: Path) -> list[str]:
    """Return the files because of which a stage's code is not what it was, sorted.

    Args:
        before: fingerprints as they were recorded.
        now: fingerprints of the same stage.
        root: the folder that contains the packages.

    A file that was cut loses its imports, too: what is only no longer imported did not change itself, and what is only
    newly imported is named where nothing else explains the difference.
    """
    changed = [name for name, md5 in before.items() if now.get(name) != md5 and _differs(root / name, md5)]
    return sorted(changed or now.keys() ^ before.keys())


def _differs(path: Path, md5: str) -> bool:
    return not path.is_file() or read_source(path).meaning != md5


def _named(root: Path, files: set[Path]) -> dict[str, str]:
    return {path.relative_to(root).as_posix(): read_source(path).meaning for path in sorted(files)}


def _plugin_code(root: Path, params: Any) -> dict[str, str]:
    """Return the fingerprints of detectors that params.yaml names.

    A detector outside of both folders is an installed library. Its code is not hashed, as that of torch is not.
    """
    names = tuple(_plugins(params))
    tops = (*PACKAGES, *(name.partition(".")[0] for name in names))
    found: dict[str, str] = {}
    for base in dict.fromkeys((Path.cwd(), root)):
        starts = [Path(file) for name in names for file in _own_files(str(base), name, tops, _list_folder)]
        found |= _named(base, _reach(base, starts, tops))
    return found


def _plugins(value: Any, key: str = "") -> Iterator[str]:
    """Yield the module of every `my_package.my_module:MyDetector` in a cascade of params.yaml."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield from _plugins(item, name)
    elif isinstance(value, list) and key == _CASCADE:
        yield from (str(item).partition(":")[0] for item in value if ":" in str(item))


def _reach(root: Path, starts: list[Path], packages: tuple[str, ...]) -> set[Path]:
    """Return the start files, all project files that they import, directly or not, and the data files these name."""
    listed = cache(_list_folder)  # each folder once a call: files may come and go between two
    seen: set[str] = set()
    named: set[str] = set()
    waiting = [str(path) for path in starts]
    while waiting:
        file = waiting.pop()
        if file in seen:
            continue
        seen.add(file)
        if file.endswith(".py"):
            source = read_source(file)
            folder = file.rpartition(os.sep)[0]
            package = Path(folder).relative_to(root).parts
            imported = {_absolute(name, package) for name in source.imports}
            for name in imported - named:
                waiting += _own_files(str(root), name, packages, listed)
            named |= imported
            waiting += _data_files(folder, source.names, listed)
    return {Path(file) for file in seen}


def _list_folder(folder: str) -> dict[str, bool]:
    """Return whether each entry of a folder is a file; none where it is no folder."""
    try:
        with os.scandir(folder) as entries:
            return {entry.name: entry.is_file() for entry in entries}
    except OSError:
        return {}


def _absolute(name: str, package: tuple[str, ...]) -> str:
    """Return the name of an import without leading dots; each dot after the first leads one package up."""
    below = name.lstrip(".")
    level = len(name) - len(below)
    above = package[: len(package) - level + 1] if level else ()
    return ".".join((*above, *filter(None, [below])))


def _own_files(root: str, name: str, packages: tuple[str, ...], listed: Listing) -> Iterator[str]:
    """Yield the files below the root that importing a dotted name runs: the module and the packages around it."""
    parts = name.split(".")
    if parts[0] not in packages:
        return
    folder = root
    for part in parts:
        if listed(folder).get(f"{part}.py") and part == parts[-1]:
            yield f"{folder}{os.sep}{part}.py"
        folder = f"{folder}{os.sep}{part}"
        if listed(folder).get("__init__.py"):
            yield f"{folder}{os.sep}__init__.py"


def _data_files(folder: str, names: tuple[str, ...], listed: Listing) -> Iterator[str]:
    """Yield the files beside a module that one of its strings names, and all files of a folder that one names."""
    beside = listed(folder)
    for name in names:
        if name not in beside or name.endswith(".py") or name in {".", "..", "__pycache__"}:
            continue
        path = Path(folder, name)
        inside = [path] if beside[name] else sorted(path.rglob("*"))
        yield from (str(file) for file in inside if file.is_file() and file.suffix not in {".py", ".pyc"})
