"""Tracing a result back to the raw bytes, along the inputs that each snapshot names."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline.core.errors import LineageError
from pipeline.core.lineage.snapshot import Input, read_snapshot
from pipeline.core.names import SNAPSHOT_NAME


@dataclass(frozen=True, slots=True)
class Node:
    """One step: a file or folder with DVC's hash, the stage that made it (None for raw data), and its inputs."""

    path: str
    md5: str | None
    stage: str | None
    snapshot: str | None
    inputs: tuple["Node", ...]


def owner(path: Path) -> Path | None:
    """Return the output folder that a file or folder belongs to: the nearest one upwards with a snapshot."""
    for folder in (path, *path.parents):
        if (folder / SNAPSHOT_NAME).is_file():
            return folder
    return None


def walk(path: Path) -> Node:
    """Return the tree of inputs behind a result.

    Args:
        path: an output folder, or any file in one.

    Raises:
        LineageError: the path belongs to no output folder, or an input was made again after the result.
    """
    if not path.exists():
        raise LineageError(f"{path}: nothing is there")
    folder = owner(path)
    if folder is None:
        raise LineageError(f"{path}: not the output of a stage; no {SNAPSHOT_NAME} in its folder or above")
    return _node(path.as_posix(), None, folder, {})


def raw_inputs(folder: Path) -> dict[str, str]:
    """Return DVC's identity of each raw tree that a result was made from, by its path.

    Raises:
        LineageError: see `walk`.
    """
    leaves = (node for node in iter_nodes(walk(folder)) if node.stage is None)
    return dict(sorted((leaf.path, leaf.md5 or "") for leaf in leaves))


def iter_nodes(node: Node) -> Iterator[Node]:
    """Yield a node and everything behind it, each path once."""
    seen: set[str] = set()
    waiting = [node]
    while waiting:
        current = waiting.pop()
        if current.path not in seen:
            seen.add(current.path)
            yield current
            waiting.extend(reversed(current.inputs))


def _node(path: str, md5: str | None, folder: Path, known: dict[str, Node]) -> Node:
    snapshot = read_snapshot(folder)
    inputs = tuple(_input_node(folder, given, known) for given in snapshot.inputs)
    return Node(path, md5, snapshot.stage, snapshot.id, inputs)


def _input_node(result: Path, given: Input, known: dict[str, Node]) -> Node:
    if given.path not in known:
        known[given.path] = _read_input(result, given, known)
    node = known[given.path]
    if node.md5 != given.md5:
        raise LineageError(f"{given.path}: was made anew since {result} was; run dvc repro, or dvc checkout")
    return node


def _read_input(result: Path, given: Input, known: dict[str, Node]) -> Node:
    if given.snapshot is None:
        return Node(given.path, given.md5, None, None, ())
    folder = owner(Path(given.path))
    if folder is None:
        raise LineageError(f"{given.path}: missing, and {result} was made from it; run dvc checkout, or dvc repro")
    if read_snapshot(folder).id != given.snapshot:
        raise LineageError(f"{given.path}: was made anew since {result} was; run dvc repro, or dvc checkout")
    return _node(given.path, given.md5, folder, known)
