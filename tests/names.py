"""What the project's code defines, read from its text alone: modules, their names, the members of their classes."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tests.imports import ROOT

TOPS = ("pipeline", "models", "stages", "tests", "benchmarks")
Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


@cache
def modules() -> dict[str, Path]:
    """Return dotted name -> file; a package is its `__init__.py`, or its folder where it has none."""
    found: dict[str, Path] = {}
    for top in TOPS:
        for path in sorted((ROOT / top).rglob("*.py")):
            found.setdefault(".".join(path.parent.relative_to(ROOT).parts), path.parent)
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8") if path.is_file() else "")


@cache
def top_level(path: Path) -> dict[str, ast.AST]:
    """Return the names that a module defines or imports, with what defines each."""
    names: dict[str, ast.AST] = {}
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names |= {alias.asname or alias.name: node for alias in node.names}
    for node in tree_of(path).body:
        names |= dict.fromkeys(_bound(node), node)
    return names


def _bound(node: ast.AST) -> Iterator[str]:
    """Yield the names that a statement binds: of a function, a class, an assignment."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.Assign | ast.AnnAssign):
        for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
            yield from (name.id for name in ast.walk(target) if isinstance(name, ast.Name))


@cache
def classes() -> dict[str, list[tuple[Path, ast.ClassDef]]]:
    """Return class name -> where classes of that name are defined."""
    found: dict[str, list[tuple[Path, ast.ClassDef]]] = {}
    for path in modules().values():
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.ClassDef):
                found.setdefault(node.name, []).append((path, node))
    return found


def members(node: ast.ClassDef) -> set[str]:
    """Return the attributes of a class, those of its bases among ours and those set on `self` included."""
    names = {name for statement in node.body for name in _bound(statement)}
    for inner in ast.walk(node):
        if isinstance(inner, ast.Attribute) and isinstance(inner.value, ast.Name) and inner.value.id == "self":
            names.add(inner.attr)
    for base in node.bases:
        for _, parent in classes().get(getattr(base, "id", ""), []):
            names |= members(parent)
    return names


def resolves(dotted: str) -> bool:
    """Tell whether a dotted name from the top (`pipeline.images.decode`) is a module, or something in one."""
    parts = dotted.split(".")
    for end in range(len(parts), 0, -1):
        path = modules().get(".".join(parts[:end]))
        if path is not None:
            return _inside(path, parts[end:])
    return False


def _inside(path: Path, rest: list[str]) -> bool:
    if not rest:
        return True
    node = top_level(path).get(rest[0])
    if node is None or len(rest) == 1:
        return node is not None
    return any(rest[1] in members(found) for _, found in classes().get(rest[0], []))


@cache
def words_of(path: Path) -> frozenset[str]:
    """Return every word that the code of a file uses, in names or in texts, its docstrings and comments left out."""
    tree = tree_of(path)
    said = {id(node.body[0].value) for node in documented(tree)}
    words: set[str] = set()
    for node in ast.walk(tree):
        for value in vars(node).values():
            if isinstance(value, str) and id(node) not in said:
                words.update(re.findall(r"\w+", value))
    return frozenset(words)


def documented(tree: ast.Module) -> Iterator[Documented]:
    """Yield what has a docstring."""
    for node in ast.walk(tree):
        if isinstance(node, Documented) and ast.get_docstring(node, clean=False) is not None:
            yield node
