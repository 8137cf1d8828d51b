"""The project's own files, the rooms they stand in, and what each imports, those imports inside functions included."""

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
            assert not node.level, f"{file}: a relative import"
            names.add(str(node.module))
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return frozenset(names)


def _executed(node: ast.AST) -> Iterator[ast.AST]:
    """Yield all nodes but those that only a type checker reads."""
    yield node
    for child in ast.iter_child_nodes(node):
        if not (isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING"):
            yield from _executed(child)


def room_of(file: Path) -> str:
    """Return the room of a file: pipeline/align, models/data; stages, and models for what lies in it itself."""
    parts = file.relative_to(ROOT).parent.parts
    return parts[0] if parts[0] == "stages" else "/".join(parts[:2])


@cache
def imported_rooms(file: Path) -> frozenset[str]:
    """Return the other rooms that a file imports from; the mark of a package is no room."""
    found = set()
    for name in imported_names(file):
        parts = name.split(".")
        if parts[0] not in PACKAGES:
            continue
        for end in range(len(parts), 0, -1):
            place = ROOT.joinpath(*parts[:end])
            own = place.with_suffix(".py") if place.with_suffix(".py").is_file() else place / "__init__.py"
            if own.is_file():
                found.add(room_of(own))
                break
    return frozenset(found - {room_of(file), "pipeline"})
