"""`prep verify`: every link between the raw bytes and the results hashed again."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import typer
import yaml

from pipeline.errors import LineageError
from pipeline.lineage.snapshot import SNAPSHOT_NAME
from pipeline.lineage.verify import Problem, Verifier, find_outputs, name_files
from pipeline.lineage.walk import iter_nodes, owner, walk
from pipeline.output import relative_path
from stages import project

# Of what crosses two sets.
_SHOWN: Final = 5


def verify(
    file: Annotated[
        Path | None, typer.Argument(help="Check only what this result was made from.", show_default=False)
    ] = None,
) -> None:
    """Hash every link from the raw bytes to the results again; name what does not hold and exit with 1."""
    lock = Path("dvc.lock")
    locked = _locked(lock)
    folders = _folders(file, locked)
    if not lock.is_file():
        typer.echo("note: dvc.lock is missing; the last links are checked by the snapshots only", err=True)
    verifier = Verifier(locked, _given(lock))
    problems: dict[str, Problem] = {}
    for folder in folders:
        found = list(verifier.check(folder)) + list(_certificate(folder))
        problems |= {problem.path: problem for problem in found if problem.path not in problems}
        typer.echo(f"{'broken' if found else 'holds '}  {folder}")
    if file is None:
        found = list(verifier.check_rest(folders, [project.DATA, project.RUNS], project.UNRECORDED))
        problems |= {problem.path: problem for problem in found if problem.path not in problems}
    named = name_files(problems.values())
    for problem in named:
        typer.echo(f"{problem.path}: {problem.detail}", err=True)
    if named:
        raise LineageError(f"{len(named)} of the links do not hold; the first: {named[0].path}")


def _folders(file: Path | None, locked: Mapping[str, str]) -> list[Path]:
    if file is None:
        folders = find_outputs([project.DEMO, project.DATA, project.RUNS])
        if not folders:
            raise LineageError(f"{project.DATA}, {project.RUNS}: no output to verify; run dvc repro first")
        # One that lost its snapshot is still an output to DVC.
        return sorted({*folders, *(path for path in _outputs(locked) if path.is_dir())})
    path = Path(relative_path(file))
    nodes = (Path(node.path) for node in iter_nodes(walk(path)) if node.stage)
    return sorted({folder for path in nodes if (folder := owner(path))})


def _outputs(locked: Mapping[str, str]) -> Iterator[Path]:
    """Yield the folders that stages wrote: to DVC a whole one, or the files of one with its snapshot among them."""
    for path, md5 in locked.items():
        if Path(path).name == SNAPSHOT_NAME:
            yield Path(path).parent
        elif md5.endswith(".dir") and (Path(path).parent / SNAPSHOT_NAME).as_posix() not in locked:
            yield Path(path)


def _certificate(folder: Path) -> Iterator[Problem]:
    """Check again, on the shards as they lie there, that no one is in two sets."""
    if folder != project.SHARDS or not project.SPLIT.is_dir() or not (folder / "index.parquet").is_file():
        return
    from pipeline.split.check import check

    details = check(project.SPLIT, project.SHARDS)
    if details:
        more = f"; and {len(details) - _SHOWN} more" if len(details) > _SHOWN else ""
        yield Problem((project.SPLIT / "certificate.json").as_posix(), "; ".join(details[:_SHOWN]) + more)


def _locked(path: Path) -> dict[str, str]:
    """Return DVC's identity of each output in dvc.lock by its path; nothing where there is no dvc.lock."""
    if not path.is_file():
        return {}
    return {entry["path"]: entry["md5"] for stage in _stages(path) for entry in stage.get("outs", ())}


def _given(lock: Path) -> dict[str, str]:
    """Return DVC's identity of what no stage writes: the dependencies in dvc.lock, and the trees of `dvc add`."""
    given: dict[str, str] = {}
    if lock.is_file():
        given = {entry["path"]: entry["md5"] for stage in _stages(lock) for entry in stage.get("deps", ())}
    for file in sorted(file for folder in (project.RAW, project.SPLITS) for file in folder.rglob("*.dvc")):
        if file.is_file():
            given |= {(file.parent / out["path"]).as_posix(): out["md5"] for out in _read(file).get("outs", ())}
    return given


def _stages(lock: Path) -> list[dict[str, Any]]:
    stages = _read(lock).get("stages")
    if not isinstance(stages, dict) or not all(isinstance(stage, dict) for stage in stages.values()):
        raise LineageError(f"{lock}: not a dvc.lock: it has no stages; run dvc repro")
    return list(stages.values())


def _read(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise LineageError(f"{path}: cannot be read: {' '.join(str(error).split())}") from None
    return content if isinstance(content, dict) else {}
