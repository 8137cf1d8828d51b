"""The entry point of `prep`, which decides whose code runs.

`prep` may be installed from another checkout than the one in which it is called: a second clone, a worktree, the folder
in which DVC runs an experiment, or one that was moved. The code of the working folder is what is hashed, so it must be
what runs. This module imports next to nothing, so that Ctrl-C prints a single line even while the rest is imported.
"""

import importlib
import importlib.util
import os
import sys
from pathlib import Path
from typing import Final

INTERRUPTED: Final = "interrupted; the previous results are as they were"

_PACKAGES: Final = ("pipeline", "stages", "models")
# Files that show that a folder with such a common name is ours. `models` by itself may contain somebody's weights.
_SIGNS: Final = (
    ("pipeline", "core/emotions.py"),
    ("pipeline", "labels/taxonomies"),
    ("stages", "cli.py"),
    ("models", "registry.py"),
)


def main() -> None:
    """Run the command line, of the working folder where that has one; see `stages.cli.main`."""
    try:
        # Not resolved: the packages in the folder may be links to packages elsewhere.
        here, running = _working_folder(), Path(os.path.abspath(__file__)).parent.parent
        if here is not None and not _are_same(here, running) and _has_packages(here, running):
            _run_of(here, running)
            return
        from stages import cli

        cli.main()
    except KeyboardInterrupt:
        sys.stderr.write(f"error: {INTERRUPTED}\n")
        sys.exit(130)


def _working_folder() -> Path | None:
    try:
        return Path.cwd().resolve()
    except FileNotFoundError:  # the working folder was removed; commands that need it report that
        return None


def _has_packages(here: Path, running: Path) -> bool:
    """Say whether a folder has the packages; one that has only some of them is refused."""
    there = {package for package, sign in _SIGNS if (here / package / sign).exists()}
    missing = [package for package in _PACKAGES if not (here / package / "__init__.py").is_file()]
    if there and missing:
        lost = ", ".join(f"{package}/__init__.py" for package in missing)
        _refuse(here, running, f"has packages of the project ({', '.join(sorted(there))}), but no {lost}")
    return bool(there)


def _are_same(here: Path, running: Path) -> bool:
    """Say whether two folders have the very same packages, whatever links lead there."""
    pairs = [(here / package, running / package) for package in _PACKAGES]
    return all(one.is_dir() and other.is_dir() and one.samefile(other) for one, other in pairs)


def _run_of(here: Path, running: Path) -> None:
    """Run the command line of another folder; its workers get the same `sys.path`."""
    places = [number for number, entry in enumerate(sys.path) if entry and _is_at(entry, running)]
    # Right before the packages that it replaces and not at the front, where a `random.py` in the working folder would
    # replace the standard library's.
    sys.path.insert(places[0] if places else 0, str(here))
    for name in [name for name in sys.modules if name.partition(".")[0] in _PACKAGES]:
        del sys.modules[name]
    importlib.invalidate_caches()
    found = {name: importlib.util.find_spec(name) for name in _PACKAGES}
    for name, spec in found.items():
        place = Path(str(spec.origin)).parent if spec is not None else None
        if place is None or not place.samefile(here / name):
            _refuse(here, running, f"has the packages of the project, but Python takes {name} of {place}")
    importlib.import_module("stages.entry").main()


def _is_at(entry: str, running: Path) -> bool:
    return Path(entry).resolve() == running.resolve()


def _refuse(here: Path, running: Path, why: str) -> None:
    sys.stderr.write(
        f"error: {here}: {why}; what ran would be the code of {running}, and not what dvc.yaml records: "
        "restore the packages here (git checkout), or remove them\n"
    )
    sys.exit(2)
