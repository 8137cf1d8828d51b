"""The code that a stage can run, and what it means: wording costs nothing, changed behaviour always shows.

A stage's code is every module of this project that its command can import, however deep, and every data file that one
of them names (`Path(__file__).with_name("taxonomies")`). A module means what its syntax tree says without comments,
docstrings, line breaks and other spellings of the same; a YAML file what it parses to; any other file its bytes.
"""

import ast
import hashlib
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml

from pipeline.core.errors import LineageError

PACKAGES: Final = ("pipeline", "stages", "models")
# The folder that holds the running packages: a checkout, or where a wheel was installed.
ROOT: Final = Path(__file__).resolve().parents[3]
# Fields of a syntax tree that say nothing: how a text was spelled, and what the place of a name tells already.
_MUTE: Final = frozenset({"kind", "ctx", "type_comment", "type_ignores"})
_YAML: Final = frozenset({".yaml", ".yml"})


def stage_code(stage: str, root: Path = ROOT, plugins: tuple[str, ...] = ()) -> dict[str, str]:
    """Return the md5 of what each file means that a stage can run, by its path from the root, sorted.

    Args:
        stage: its name, that of a file in `stages/`.
        root: the folder that holds the packages.
        plugins: dotted names of further modules, as params.yaml names detectors; one that is not below the root is
            somebody's library, and left out.

    Raises:
        LineageError: there is no such stage, or a file cannot be parsed.
    """
    start = root / "stages" / f"{stage}.py"
    if not start.is_file():
        raise LineageError(f"{start}: no such stage")
    extra = [file for name in plugins for file in _own_files(root, name, packages=None)]
    return {path.relative_to(root).as_posix(): meaning(path) for path in sorted(_reach(root, [start, *extra]))}


def meaning(path: Path) -> str:
    """Return the md5 of what a file means, whatever the wording of its comments and docstrings.

    Raises:
        LineageError: it cannot be read or parsed.
    """
    return _meaning(path, path.stat().st_mtime_ns)


@cache
def _meaning(path: Path, _: int) -> str:
    try:
        if path.suffix == ".py":
            content = repr(_said(_parse(path))).encode()
        elif path.suffix in _YAML:
            content = json.dumps(yaml.safe_load(path.read_text(encoding="utf-8")), default=str).encode()
        else:
            content = path.read_bytes()
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise LineageError(f"{path}: cannot be read: {' '.join(str(error).split())}") from None
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def _said(node: Any) -> Any:
    """Return a syntax tree as tuples, the same for every Python that parses it: without positions and empty fields."""
    if isinstance(node, ast.AST):
        fields = ((name, _said(value)) for name, value in ast.iter_fields(node) if name not in _MUTE)
        return type(node).__name__, tuple((name, value) for name, value in fields if value not in (None, ()))
    if isinstance(node, list):
        return tuple(_said(item) for item in node if not _is_text(item))
    return (type(node).__name__, repr(node)) if node is not None else None


def _is_text(node: Any) -> bool:
    """Say whether a statement is a text that nobody uses: a docstring, of whatever it stands below."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _reach(root: Path, starts: list[Path]) -> set[Path]:
    """Return the starts, every file of ours that they can come to import, and the data files that those name."""
    seen: set[Path] = set()
    waiting = list(starts)
    while waiting:
        file = waiting.pop()
        if file not in seen:
            seen.add(file)
            waiting += _next(root, file, file.stat().st_mtime_ns) if file.suffix == ".py" else ()
    return seen


@cache
def _next(root: Path, file: Path, _: int) -> tuple[Path, ...]:
    tree = _parse(file)
    imported = (own for name in _imported(root, file, tree) for own in _own_files(root, name))
    return (*dict.fromkeys(imported), *_data_files(file, tree))


def _parse(path: Path) -> ast.Module:
    try:
        return ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError) as error:
        raise LineageError(f"{path}: cannot be parsed: {error}") from None


def _imported(root: Path, file: Path, tree: ast.Module) -> Iterator[str]:
    """Yield every dotted name that a file imports, inside functions too; `from a.b import c` gives a.b and a.b.c."""
    package = file.relative_to(root).parent.parts
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            base = ".".join((*above, *filter(None, [node.module])))
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


@cache
def _own_files(root: Path, name: str, packages: tuple[str, ...] | None = PACKAGES) -> tuple[Path, ...]:
    """Return the files below the root that importing a dotted name runs: the module and the packages around it."""
    parts = name.split(".")
    if packages is not None and parts[0] not in packages:
        return ()
    around = [root.joinpath(*parts[:end], "__init__.py") for end in range(1, len(parts) + 1)]
    module = root.joinpath(*parts).with_suffix(".py")
    return tuple(path for path in (*around, module) if path.is_file())


def _data_files(file: Path, tree: ast.Module) -> Iterator[Path]:
    """Yield the files beside a module that a text in it names, and those of a folder that it names."""
    texts = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    for beside in sorted(file.parent.iterdir()):
        if beside.name in texts and beside.suffix != ".py" and beside.name != "__pycache__":
            inside = [beside] if beside.is_file() else sorted(beside.rglob("*"))
            yield from (path for path in inside if path.is_file() and path.suffix not in {".py", ".pyc"})
