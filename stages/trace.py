"""`prep trace`: trace a result back to the raw trees, with DVC's hashes and the commits that contain them."""

import subprocess
from pathlib import Path
from typing import Annotated, Any

import typer

from pipeline.core.folders import DECISIONS, SPLITS
from pipeline.core.lineage.walk import Node, decisions_behind, walk
from stages.say import Json, show, show_json


def trace(
    file: Annotated[Path, typer.Argument(help="Any file or folder that a stage wrote.", show_default=False)],
    as_json: Json = False,
) -> None:
    """Print the way back from a result to the raw bytes and the decisions that it came from."""
    node = walk(file)
    if as_json:
        show_json({**_plain(node), "decisions": decisions_behind(file)})
        return
    show(f"{node.path}  written by {node.stage}, snapshot {_short(node.snapshot)}")
    _print_inputs(node.inputs, "", set())
    for dataset, counts in decisions_behind(file).items():
        kinds = ", ".join(f"{count} {name}" for name, count in counts["by_kind"].items())
        people = ", ".join(f"{name}: {count}" for name, count in counts["by_person"].items())
        show(f"decided about {dataset}: {kinds} (by {people})")


def _print_inputs(inputs: tuple[Node, ...], indent: str, seen: set[str]) -> None:
    for number, node in enumerate(inputs):
        last = number == len(inputs) - 1
        show(f"{indent}{'└─ ' if last else '├─ '}{_describe(node, node.path in seen)}")
        if node.path in seen:
            continue
        seen.add(node.path)
        _print_inputs(node.inputs, indent + ("   " if last else "│  "), seen)


def _describe(node: Node, seen: bool) -> str:
    if node.stage is None:
        return f"{node.path}  md5 {node.md5}  {_leaf(node.path)}, {_commits(node.path, node.md5 or '')}"
    again = "  (as above)" if seen and node.inputs else ""
    return f"{node.path}  md5 {node.md5}  {node.stage}, snapshot {_short(node.snapshot)}{again}"


def _plain(node: Node) -> dict[str, Any]:
    """Return a step as plain values, whole wherever it stands; commits are null where there is no git repository."""
    said = {"path": node.path, "md5": node.md5, "stage": node.stage, "snapshot": node.snapshot}
    if node.stage is None:
        return {**said, "kind": _leaf(node.path), "commits": _find_commits(node.path, node.md5 or "")}
    return {**said, "inputs": [_plain(given) for given in node.inputs]}


def _leaf(path: str) -> str:
    above = Path(path).parents
    return "a split that is kept" if SPLITS in above else "decisions" if DECISIONS in above else "raw"


def _short(snapshot: str | None) -> str:
    return (snapshot or "")[:12]


def _commits(path: str, md5: str) -> str:
    found = _find_commits(path, md5)
    if found is None:
        return "not in a git repository"
    return f"in commits {', '.join(found)}" if found else "in no commit yet"


def _find_commits(path: str, md5: str) -> list[str] | None:
    """Return the commits that brought these bytes, newest first: by hash in dvc.lock or a .dvc file, or as a file.

    None where there is no git repository.
    """
    try:
        found = _git("log", f"-S{md5}", "--format=%h %cs", "--", "dvc.lock", "raw/dvc.lock", "*.dvc")
        if not found and _git("ls-files", "--", path) and not _git("status", "--porcelain", "--", path):
            # A file that git tracks itself and that is unchanged, such as an earlier split.
            found = _git("log", "-1", "--format=%h %cs", "--", path)
    except (OSError, subprocess.CalledProcessError):
        return None
    return found


def _git(*arguments: str) -> list[str]:
    done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()
