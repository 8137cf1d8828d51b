"""Fingerprints of the code that a stage can run. Rewording does not change them; changed behaviour always does.

A stage's code is every module of this project that its command can import, directly or not, and every data file that
one of these modules names (`Path(__file__).with_name("taxonomies")`). A module is hashed by its syntax tree, without
comments, docstrings and layout; a YAML file by its parsed content; any other file by its bytes.
"""

import ast
import hashlib
import inspect
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml

from pipeline.core.errors import LineageError

PACKAGES: Final = ("pipeline", "stages", "models")
# A file that shows that a folder has our packages: other projects have a folder called pipeline, too.
_SIGN: Final = Path("pipeline/core/emotions.py")
# Fields of a syntax tree that mean nothing by themselves: how a string was spelled (u"..."), type comments, and whether
# a name is read or written, which follows from its position.
_MUTE: Final = frozenset({"kind", "ctx", "type_comment", "type_ignores"})
_USES_PLUGINS: Final = Path("pipeline/align/cascade.py")
_CASCADE: Final = "cascade"
_YAML: Final = frozenset({".yaml", ".yml"})


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
    if root / _USES_PLUGINS in files:
        return _named(root, files) | _plugin_code(root, params)
    return _named(root, files)


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
    return not path.is_file() or meaning(path) != md5


def _named(root: Path, files: set[Path]) -> dict[str, str]:
    return {path.relative_to(root).as_posix(): meaning(path) for path in sorted(files)}


def _plugin_code(root: Path, params: Any) -> dict[str, str]:
    """Return the fingerprints of detectors that params.yaml names.

    A detector outside of both folders is an installed library. Its code is not hashed, as that of torch is not.
    """
    names = tuple(_plugins(params))
    tops = (*PACKAGES, *(name.partition(".")[0] for name in names))
    found: dict[str, str] = {}
    for base in dict.fromkeys((Path.cwd(), root)):
        starts = [file for name in names for file in _own_files(base, name, tops)]
        found |= _named(base, _reach(base, starts, tops))
    return found


def _plugins(value: Any, key: str = "") -> Iterator[str]:
    """Yield the module of every `my_package.my_module:MyDetector` in a cascade of params.yaml."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield from _plugins(item, name)
    elif isinstance(value, list) and key == _CASCADE:
        yield from (str(item).partition(":")[0] for item in value if ":" in str(item))


def meaning(path: Path) -> str:
    """Return the md5 of a file's meaning, which does not depend on comments and docstrings.

    Raises:
        LineageError: it cannot be read or parsed.
    """
    # The time is part of the cache's key, so that a file that is edited while the process runs is parsed again.
    return _meaning(path, path.stat().st_mtime_ns)


@cache
def _meaning(path: Path, _: int) -> str:
    try:
        if path.suffix == ".py":
            content = repr(_said(_parse(path))).encode()
        elif path.suffix in _YAML:
            # JSON would not do: it writes the keys 0 and "0" alike.
            content = repr(yaml.safe_load(path.read_text(encoding="utf-8"))).encode()
        else:
            content = path.read_bytes()
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise LineageError(f"{path}: cannot be read: {' '.join(str(error).split())}") from None
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def _said(node: Any) -> Any:
    """Return a syntax tree as nested tuples, without positions.

    Empty fields are left out, because newer Python versions add such fields and the fingerprint should be the same for
    all of them.
    """
    if isinstance(node, ast.AST):
        fields = ((name, _said(value)) for name, value in ast.iter_fields(node) if name not in _MUTE)
        return type(node).__name__, tuple((name, value) for name, value in fields if value not in (None, ()))
    if isinstance(node, list):
        return tuple(_said(item) for item in node if not _is_text(item))
    return (type(node).__name__, repr(node)) if node is not None else None


def _is_text(node: Any) -> bool:
    """Return whether a statement is a bare text, such as a docstring, at any level."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _reach(root: Path, starts: list[Path], packages: tuple[str, ...]) -> set[Path]:
    """Return the start files, all project files that they import, directly or not, and the data files these name."""
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
    """Return the dotted names that a file imports, and all string constants in it."""
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

    Imports below `if TYPE_CHECKING` are not followed, because they never run.
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
        if isinstance(child, ast.If) and ast.unparse(child.test) in {"TYPE_CHECKING", "typing.TYPE_CHECKING"}:
            for other in child.orelse:
                yield from _executed(other)
        else:
            yield from _executed(child)


def _own_files(root: Path, name: str, packages: tuple[str, ...]) -> list[Path]:
    """Return the files below the root that importing a dotted name runs: the module and the packages around it."""
    parts = name.split(".")
    if parts[0] not in packages:
        return []
    around = [root.joinpath(*parts[:end], "__init__.py") for end in range(1, len(parts) + 1)]
    return [path for path in (*around, root.joinpath(*parts).with_suffix(".py")) if path.is_file()]


def _data_files(file: Path, texts: frozenset[str]) -> Iterator[Path]:
    """Yield the files beside a module that one of its strings names, and all files of a folder that one names."""
    for beside in sorted(file.parent.iterdir()):
        if beside.name in texts and beside.suffix != ".py" and beside.name != "__pycache__":
            inside = [beside] if beside.is_file() else sorted(beside.rglob("*"))
            yield from (path for path in inside if path.is_file() and path.suffix not in {".py", ".pyc"})
