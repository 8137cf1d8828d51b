"""The code that a stage can run, and what it means: wording costs nothing, changed behaviour always shows.

A stage's code is every module of this project that its command can import, however deep, and every data file that one
of them names (`Path(__file__).with_name("taxonomies")`). A module means what its syntax tree says without comments,
docstrings, line breaks and other spellings of the same; a YAML file what it parses to; any other file its bytes.
"""

import ast
import hashlib
import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml

from pipeline.core.errors import LineageError

PACKAGES: Final = ("pipeline", "stages", "models")
_SIGN: Final = Path("pipeline/core/emotions.py")
# Fields of a syntax tree that say nothing: how a text was spelled, and what the place of a name tells already.
_MUTE: Final = frozenset({"kind", "ctx", "type_comment", "type_ignores"})
_USES_PLUGINS: Final = Path("pipeline/align/cascade.py")
_PLUGIN: Final = re.compile(r"([A-Za-z_][\w.]*):[A-Za-z_]\w*")
_YAML: Final = frozenset({".yaml", ".yml"})


def code_root() -> Path:
    """Return the folder with the packages that a command runs here: the working folder, or where they are installed."""
    here = Path.cwd()
    return here if (here / _SIGN).is_file() else Path(__file__).resolve().parents[3]


def stage_code(stage: str, root: Path, params: Any) -> dict[str, str]:
    """Return the md5 of what each file means that a stage can run, by its path from the root, sorted.

    Args:
        stage: its name, that of a file in `stages/`.
        root: the folder that holds the packages.
        params: the content of params.yaml: where it names detectors, their modules count for what uses them, if they
            lie below the root.

    Raises:
        LineageError: there is no such stage, or a file cannot be parsed.
    """
    start = root / "stages" / f"{stage}.py"
    if not start.is_file():
        raise LineageError(f"{start}: no such stage")
    files = _reach(root, [start], PACKAGES)
    if root / _USES_PLUGINS in files:
        names = tuple(_plugins(params))
        tops = (*PACKAGES, *(name.partition(".")[0] for name in names))
        files |= _reach(root, [file for name in names for file in _own_files(root, name, tops)], tops)
    return {path.relative_to(root).as_posix(): meaning(path) for path in sorted(files)}


def _plugins(value: Any) -> Iterator[str]:
    """Yield the modules of what values of params.yaml name as `my_package.my_module:MyDetector`."""
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _plugins(item)
    elif isinstance(value, str) and (found := _PLUGIN.fullmatch(value)):
        yield found[1]


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


def _reach(root: Path, starts: list[Path], packages: tuple[str, ...]) -> set[Path]:
    """Return the starts, every file of ours that they can come to import, and the data files that those name."""
    seen: set[Path] = set()
    named: set[str] = set()
    waiting = list(starts)
    while waiting:
        file = waiting.pop()
        if file in seen:
            continue
        seen.add(file)
        if file.suffix == ".py":
            imported, texts = _read(root, file, file.stat().st_mtime_ns)
            for name in imported - named:
                waiting += _own_files(root, name, packages)
            named |= imported
            waiting += _data_files(file, texts)
    return seen


@cache
def _read(root: Path, file: Path, _: int) -> tuple[frozenset[str], frozenset[str]]:
    """Return the dotted names that a file imports, and every text in it."""
    tree = _parse(file)
    texts = (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str))
    return frozenset(_imported(root, file, tree)), frozenset(texts)


def _parse(path: Path) -> ast.Module:
    try:
        return ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError) as error:
        raise LineageError(f"{path}: cannot be parsed: {error}") from None


def _imported(root: Path, file: Path, tree: ast.Module) -> Iterator[str]:
    """Yield every dotted name that a file imports, inside functions too; `from a.b import c` gives a.b and a.b.c.

    What only a type checker reads is never run.
    """
    package = file.relative_to(root).parent.parts
    for node in _executed(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            base = ".".join((*above, *filter(None, [node.module])))
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def _executed(node: ast.AST) -> Iterator[ast.AST]:
    yield node
    for child in ast.iter_child_nodes(node):
        if not (isinstance(child, ast.If) and ast.unparse(child.test) in {"TYPE_CHECKING", "typing.TYPE_CHECKING"}):
            yield from _executed(child)


def _own_files(root: Path, name: str, packages: tuple[str, ...]) -> list[Path]:
    """Return the files below the root that importing a dotted name runs: the module and the packages around it."""
    parts = name.split(".")
    if parts[0] not in packages:
        return []
    around = [root.joinpath(*parts[:end], "__init__.py") for end in range(1, len(parts) + 1)]
    return [path for path in (*around, root.joinpath(*parts).with_suffix(".py")) if path.is_file()]


def _data_files(file: Path, texts: frozenset[str]) -> Iterator[Path]:
    """Yield the files beside a module that a text in it names, and those of a folder that it names."""
    for beside in sorted(file.parent.iterdir()):
        if beside.name in texts and beside.suffix != ".py" and beside.name != "__pycache__":
            inside = [beside] if beside.is_file() else sorted(beside.rglob("*"))
            yield from (path for path in inside if path.is_file() and path.suffix not in {".py", ".pyc"})
