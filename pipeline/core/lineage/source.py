"""What one file of code means, what it imports, and which files beside it it names.

A process parses every content once. Between processes the answers are kept by `prep code` in the project's own folder
of temporary files, by the digest of the content, so that the stages of one `dvc repro` parse nothing.
"""

import ast
import hashlib
import json
import os
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple

import yaml

from pipeline.core.errors import LineageError

# DVC makes this folder and git ignores it.
KEPT: Final = Path(".dvc/tmp/prep-code.json")
# Fields of a syntax tree that mean nothing by themselves: how a string was spelled (u"..."), type comments, and whether
# a name is read or written, which follows from its position.
_MUTE: Final = frozenset({"kind", "ctx", "type_comment", "type_ignores"})
_YAML: Final = frozenset({".yaml", ".yml"})
_LONGEST_NAME: Final = 255  # bytes of a file's name, on all common file systems


class Source(NamedTuple):
    """What a file says."""

    meaning: str  # the md5 of its meaning, which does not depend on comments, docstrings and layout
    imports: tuple[str, ...]  # dotted names, with leading dots where they are relative, in the file's order
    names: tuple[str, ...]  # its string constants that could be the name of a file, sorted


def read_source(path: Path | str) -> Source:
    """Return what a file says, from its content alone.

    A Python file means its syntax tree without docstrings, a YAML file its parsed content, any other file its bytes.
    `from a.b import c` imports a.b and a.b.c. Imports inside functions count; those below `if TYPE_CHECKING` never run.

    Raises:
        LineageError: it cannot be read or parsed.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise LineageError(f"{path}: cannot be read: {error.strerror}") from None
    suffix = Path(path).suffix
    kind = ".py" if suffix == ".py" else ".yaml" if suffix in _YAML else ""
    digest = f"{kind}{_md5(content)}"
    known = _known()
    if digest not in known:
        try:
            known[digest] = _parse(content, kind)
        except (SyntaxError, ValueError, RecursionError, yaml.YAMLError) as error:
            raise LineageError(f"{path}: cannot be parsed: {' '.join(str(error).split())}") from None
    return known[digest]


def keep_sources(project: Path) -> None:
    """Keep what this process has read for the next ones, if the folder is a DVC project. Failing to is no error."""
    if not (project / ".dvc").is_dir():
        return
    text = json.dumps({"made_by": _made_by(), "sources": _known()})
    place = project / KEPT
    new = place.with_name(f"{place.name}.{os.getpid()}")
    try:
        place.parent.mkdir(exist_ok=True)
        new.write_text(text, encoding="utf-8")
        new.replace(place)
    except OSError:
        new.unlink(missing_ok=True)


@cache
def _known() -> dict[str, Source]:
    """Return what is known by digest: at first what was kept below the working folder by this very module."""
    try:
        kept = json.loads(KEPT.read_text(encoding="utf-8"))
        if kept["made_by"] != _made_by():
            return {}
        return {digest: Source(one[0], tuple(one[1]), tuple(one[2])) for digest, one in kept["sources"].items()}
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        return {}


@cache
def _made_by() -> str:
    return f"{sys.version_info[:2]} {_md5(Path(__file__).read_bytes())}"


def _parse(content: bytes, kind: str) -> Source:
    if kind == ".py":
        tree = ast.parse(content)
        return Source(_md5(repr(_said(tree)).encode()), tuple(_imported(tree)), _file_names(tree))
    if kind == ".yaml":
        # JSON would not do: it writes the keys 0 and "0" alike.
        return Source(_md5(repr(yaml.load(content.decode("utf-8"), yaml.CSafeLoader)).encode()), (), ())
    return Source(_md5(content), (), ())


def _md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def _said(node: Any) -> Any:
    """Return a syntax tree as nested tuples, without positions.

    Empty fields are left out, because newer Python versions add such fields and the fingerprint should be the same for
    all of them.
    """
    if isinstance(node, ast.AST):
        said: list[Any] = [type(node).__name__]
        for name in _fields(type(node).__name__):
            value = getattr(node, name, None)
            if value is not None and value != []:
                inner = _said(value)
                if inner != ():
                    said.append((name, inner))
        return tuple(said)
    if isinstance(node, list):
        return tuple([_said(item) for item in node if not _is_text(item)])
    return (type(node).__name__, repr(node)) if node is not None else None


@cache
def _fields(kind: str) -> tuple[str, ...]:
    return tuple(name for name in getattr(ast, kind)._fields if name not in _MUTE)


def _is_text(node: Any) -> bool:
    """Return whether a statement is a bare text, such as a docstring, at any level."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _file_names(tree: ast.AST) -> tuple[str, ...]:
    texts = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    return tuple(sorted(text for text in texts if _could_be_a_name(text)))


def _could_be_a_name(text: str) -> bool:
    return 0 < len(text) <= _LONGEST_NAME and "/" not in text and "\0" not in text


def _imported(tree: ast.AST) -> Iterator[str]:
    for node in _executed(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = f"{'.' * node.level}{node.module or ''}"
            yield base
            yield from (f"{base}{'.' if node.module else ''}{alias.name}" for alias in node.names)


def _executed(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the statements below a node; expressions import nothing."""
    yield node
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.expr):
            continue
        if isinstance(child, ast.If) and ast.unparse(child.test) in {"TYPE_CHECKING", "typing.TYPE_CHECKING"}:
            for other in child.orelse:
                yield from _executed(other)
        else:
            yield from _executed(child)
