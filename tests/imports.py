"""Which of the project's own files a file can reach through its imports, those inside functions included."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("pipeline", "stages", "models")


@cache
def imported_names(file: Path) -> frozenset[str]:
    """Return every dotted name that a file imports; `from a.b import c` gives a.b and a.b.c."""
    names: set[str] = set()
    for node in _executed(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(file, node)
            names.add(base)
            names.update(f"{base}.{alias.name}" for alias in node.names)
    return frozenset(names)


def _executed(node: ast.AST) -> Iterator[ast.AST]:
    """Yield all nodes but those that only a type checker reads."""
    yield node
    for child in ast.iter_child_nodes(node):
        if not (isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING"):
            yield from _executed(child)


def _absolute(file: Path, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    package = file.relative_to(ROOT).parent.parts
    parts = package[: len(package) - node.level + 1]
    return ".".join((*parts, node.module) if node.module else parts)


@cache
def own_files(name: str) -> tuple[Path, ...]:
    """Return the files of ours that importing this dotted name runs: the module and the packages around it."""
    parts = name.split(".")
    if parts[0] not in PACKAGES:
        return ()
    packages = [ROOT.joinpath(*parts[:end], "__init__.py") for end in range(1, len(parts) + 1)]
    module = ROOT.joinpath(*parts).with_suffix(".py")
    return tuple(path for path in (*packages, module) if path.is_file())


def reachable(start: Path) -> set[Path]:
    """Return the start and every file of ours that it can come to import."""
    seen: set[Path] = set()
    waiting = [start]
    while waiting:
        file = waiting.pop()
        if file not in seen:
            seen.add(file)
            waiting.extend(own for name in imported_names(file) for own in own_files(name))
    return seen
