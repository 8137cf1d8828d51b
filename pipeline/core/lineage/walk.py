"""Tracing a result back to the raw data by following the inputs that each snapshot names."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pipeline.core.errors import LineageError
from pipeline.core.lineage.snapshot import Input, read_snapshot
from pipeline.core.names import SNAPSHOT_NAME, SUMMARY_NAME

_DECIDE: Final = "decide"


@dataclass(frozen=True, slots=True)
class Node:
    """A file or folder on the way from a result to the raw data.

    Attributes:
        path: relative to the project.
        md5: DVC's hash of it; None for the result itself, where the walk begins.
        stage: the stage that made it; None for raw data.
        snapshot: the id of its snapshot; None for raw data.
        inputs: what the stage read.
    """

    path: str
    md5: str | None
    stage: str | None
    snapshot: str | None
    inputs: tuple["Node", ...]


def owner(path: Path) -> Path | None:
    """Return the output folder that a path belongs to, the nearest one upwards with a snapshot; None without one."""
    for folder in (path, *path.parents):
        if (folder / SNAPSHOT_NAME).is_file():
            return folder
    return None


def walk(path: Path) -> Node:
    """Return a result as the root of the tree of its inputs.

    Args:
        path: an output folder, or any file in one.

    Raises:
        LineageError: the path is in no output folder, or an input was made again after the result.
    """
    if not path.exists():
        raise LineageError(f"{path}: nothing is there")
    folder = owner(path)
    if folder is None:
        raise LineageError(f"{path}: not the output of a stage; no {SNAPSHOT_NAME} in its folder or above")
    return _node(path.as_posix(), None, folder, {})


def raw_inputs(folder: Path) -> dict[str, str]:
    """Return DVC's hash of each raw tree that a result was made from, by path.

    Raises:
        LineageError: see `walk`.
    """
    leaves = (node for node in iter_nodes(walk(folder)) if node.stage is None)
    return dict(sorted((leaf.path, leaf.md5 or "") for leaf in leaves))


def decisions_behind(folder: Path) -> dict[str, dict[str, dict[str, int]]]:
    """Return how many decisions of people a result rests on: by dataset, by kind and by person.

    Raises:
        LineageError: see `walk`; or a summary of `decide` cannot be read.
    """
    found: dict[str, dict[str, dict[str, int]]] = {}
    for node in iter_nodes(walk(folder)):
        if node.stage == _DECIDE and (place := owner(Path(node.path))):
            summary = _read_summary(place)
            kinds = {kind: count for kind, count in summary["by_kind"].items() if count}
            if kinds:
                found[summary["dataset"]] = {"by_kind": kinds, "by_person": summary["by_person"]}
    return dict(sorted(found.items()))


def _read_summary(folder: Path) -> dict[str, Any]:
    path = folder / SUMMARY_NAME
    try:
        summary: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise LineageError(f"{path}: cannot be read: {error}; run dvc checkout, or dvc repro") from None
    return summary


def iter_nodes(node: Node) -> Iterator[Node]:
    """Yield a node and all nodes behind it, depth first, each path once."""
    seen: set[str] = set()
    waiting = [node]
    while waiting:
        current = waiting.pop()
        if current.path not in seen:
            seen.add(current.path)
            yield current
            # Reversed, because the last one is taken next: inputs come in the order of the snapshot.
            waiting.extend(reversed(current.inputs))


def _node(path: str, md5: str | None, folder: Path, known: dict[str, Node]) -> Node:
    snapshot = read_snapshot(folder)
    inputs = tuple(_input_node(folder, given, known) for given in snapshot.inputs)
    return Node(path, md5, snapshot.stage, snapshot.id, inputs)


def _input_node(result: Path, given: Input, known: dict[str, Node]) -> Node:
    # An input that several results share, such as the samples of a dataset, is read once.
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
    if _identity_now(folder, Path(given.path)) != given.snapshot:
        raise LineageError(f"{given.path}: was made anew since {result} was; run dvc repro, or dvc checkout")
    return _node(given.path, given.md5, folder, known)


def _identity_now(folder: Path, path: Path) -> str | None:
    """Return what a result made from this path now would name: the id of the folder, or the md5 of one file of it."""
    snapshot = read_snapshot(folder)
    if path == folder:
        return snapshot.id
    entry = snapshot.files.get(path.relative_to(folder).as_posix())
    return None if entry is None else str(entry["md5"])
