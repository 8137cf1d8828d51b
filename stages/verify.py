"""`prep verify`: every link between the raw bytes and the results hashed again."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from pipeline.core.errors import LineageError
from pipeline.core.lineage.walk import iter_nodes, owner, walk
from pipeline.core.names import CERTIFICATE_NAME, INDEX_NAME, SNAPSHOT_NAME
from pipeline.core.stage_output import relative_path
from pipeline.verify.dvc_lock import (
    LOCK,
    STAGES,
    Cache,
    Stage,
    cache_folder,
    left_over,
    read_lock,
    read_yaml,
    tracked,
    wanted,
)
from pipeline.verify.links import Problem, Verifier, find_outputs, name_files
from pipeline.verify.recorded import check_cache, check_stages, check_wanted
from stages import project
from stages.say import Json, note, say, show_json

# Of what crosses two sets.
_SHOWN: Final = 5


def verify(
    file: Annotated[
        Path | None, typer.Argument(help="Check only what this result was made from.", show_default=False)
    ] = None,
    as_json: Json = False,
) -> None:
    """Hash every link from the raw bytes to the results again; name what does not hold and exit with 1."""
    stages = read_lock()
    wants = wanted(read_yaml(project.PARAMS)) if stages else {}
    if old := left_over(stages, wants) if stages else ():
        note(f"{LOCK} still has {', '.join(sorted(old))}, which {STAGES} no longer has")
        stages = [stage for stage in stages if stage.name not in old]
    locked = {entry.path: entry.md5 for stage in stages for entry in stage.outs}
    folders = _folders(file, locked)
    if not LOCK.is_file():
        note(f"{LOCK} is missing; the last links are checked by the snapshots only")
    added = tracked([project.RAW, project.SPLITS])
    given = {entry.path: entry.md5 for stage in stages for entry in stage.deps}
    cache = Cache(cache_folder())
    verifier = Verifier(locked, given | {entry.path: entry.md5 for entry in added}, cache.tree)
    problems = _Problems()
    checked: list[dict[str, Any]] = []
    # The shards come last, with the certificate: by then it is known whether a file of the split is forged.
    for folder in sorted(folders, key=lambda folder: folder == project.SHARDS):
        found = list(verifier.check(folder))
        problems.add(found)
        if folder == project.SHARDS:
            found += (crossing := list(_certificate(problems.found.values())))
            problems.add(crossing, several=True)
        checked.append({"path": folder.as_posix(), "holds": not found, "recorded": not _unlocked(folder, locked)})
        if not as_json:
            say(f"{'broken' if found else 'holds '}  {folder}{_unlocked(folder, locked)}")
    if file is None:
        problems.add(verifier.check_rest(folders, [project.DATA, project.RUNS], project.UNRECORDED))
        problems.add(check_wanted(stages, wants))
    else:
        stages, added = [stage for stage in stages if _made(stage, folders)], []
    problems.add(check_stages(verifier, stages, locked))
    problems.add(check_cache(cache, [*added, *(entry for stage in stages for entry in stage.outs)]))
    named = name_files(problems.found.values())
    if as_json:
        show_json({"folders": checked, "problems": [asdict(problem) for problem in named]})
    for problem in named:
        say(f"{problem.path}: {problem.detail}", err=True)
    if named:
        raise LineageError(f"{len(named)} of the links do not hold; the first: {named[0].path}")


class _Problems:
    """Each file once, however many links lead to it; each line of dvc.lock and params.yaml."""

    def __init__(self) -> None:
        self.found: dict[tuple[str, str], Problem] = {}

    def add(self, problems: Iterable[Problem], *, several: bool = False) -> None:
        for problem in problems:
            lines = several or problem.path in {LOCK.as_posix(), project.PARAMS.as_posix()}
            self.found.setdefault((problem.path, problem.detail if lines else ""), problem)


def _made(stage: Stage, folders: list[Path]) -> bool:
    """Say whether a stage made one of these folders, or a file in one."""
    return any({Path(entry.path), *Path(entry.path).parents} & set(folders) for entry in stage.outs)


def _unlocked(folder: Path, locked: Mapping[str, str]) -> str:
    """Say of a folder that only its own snapshot vouches for it."""
    if not locked or folder.as_posix() in locked or (folder / SNAPSHOT_NAME).as_posix() in locked:
        return ""
    return f"  ({LOCK} does not have it)"


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


def _certificate(problems: Iterable[Problem]) -> Iterator[Problem]:
    """Check again, on the shards as they lie there, that no one is in two sets.

    Where a file of the shards or of the split is forged, that one is named, and not the certificate.
    """
    if not project.SPLIT.is_dir() or not (project.SHARDS / INDEX_NAME).is_file():
        return
    forged = [item.path for item in problems if {project.SHARDS, project.SPLIT} & set(Path(item.path).parents)]
    from pipeline.split.check import check

    details = check(project.SPLIT, project.SHARDS)
    if details:
        more = f"; and {len(details) - _SHOWN} more" if len(details) > _SHOWN else ""
        name = (project.SPLIT / CERTIFICATE_NAME).as_posix()
        yield Problem(forged[0] if forged else name, "; ".join(details[:_SHOWN]) + more)
