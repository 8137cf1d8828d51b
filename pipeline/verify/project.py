"""Verifying a project, or one result of it: every link from the raw bytes is hashed again."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pipeline.core import folders as places
from pipeline.core.errors import LineageError
from pipeline.core.lineage.walk import iter_nodes, owner, walk
from pipeline.core.names import CERTIFICATE_NAME, INDEX_NAME, SNAPSHOT_NAME
from pipeline.core.stage_output import relative_path
from pipeline.verify.dvc_lock import (
    LOCK,
    PIPELINES,
    Cache,
    LockEntry,
    Stage,
    Wanted,
    cache_folder,
    left_over,
    read_lock,
    read_yaml,
    tracked,
    wanted,
)
from pipeline.verify.links import Problem, Verifier, find_outputs, name_files
from pipeline.verify.recorded import check_cache, check_code, check_stages, check_wanted

# How many crossings are named.
_SHOWN: Final = 5

Say = Callable[[str], None]
# Finds what crosses sets, given the folders of a split and of the shards written from it.
CrossingCheck = Callable[[Path, Path], list[str]]


@dataclass(frozen=True, slots=True)
class Checked:
    """An output folder: whether it holds, and whether dvc.lock records it or only its own snapshot does."""

    path: str
    holds: bool
    recorded: bool


def verify_project(
    file: Path | None,
    crossing: CrossingCheck,
    *,
    checked: Callable[[Checked], None],
    note: Say,
    withdrawn: Set[str] = frozenset(),
) -> list[Problem]:
    """Return what does not hold in the whole project, or behind one result; each file once.

    Args:
        file: the result; None for everything that dvc.lock records.
        crossing: checks the certificate on the shards as they are now.
        checked: called for each folder that was checked.
        note: called with what is missing without harm.
        withdrawn: md5 of pictures that are rightly not there any more.

    Raises:
        LineageError: there is nothing to verify, or a record cannot be read.
    """
    lock = _read_lock(note)
    folders = _folders(file, lock.locked)
    if not LOCK.is_file():
        note(f"{LOCK} is missing; the last links are checked by the snapshots only")
    cache = Cache(cache_folder())
    verifier = Verifier(lock.locked, lock.given, cache.tree, withdrawn)
    problems = _Problems()
    # The shards come last, with the certificate: by then it is known whether a file of the split is forged.
    for folder in sorted(folders, key=lambda folder: folder == places.SHARDS):
        found = list(verifier.check(folder))
        problems.add(found)
        if folder == places.SHARDS:
            found += (across := list(_certificate(problems.found.values(), crossing)))
            problems.add(across, several=True)
        checked(Checked(folder.as_posix(), not found, _is_recorded(folder, lock.locked)))
    stages, added = lock.stages, lock.added
    if file is None:
        # Without dvc.lock nothing says that `prep code` wrote its folder; with it, the folder is compared as a whole.
        passed_over = [*places.UNRECORDED, places.CODE]
        problems.add(verifier.check_rest(folders, [places.DATA, places.RUNS], passed_over))
        problems.add(check_wanted(stages, lock.wants))
    else:
        stages, added = [stage for stage in stages if _made(stage, folders)], []
    problems.add(check_code(verifier, places.CODE, stages))
    problems.add(check_stages(verifier, stages, lock.locked))
    problems.add(check_cache(cache, [*added, *(entry for stage in stages for entry in stage.outs)]))
    return name_files(problems.found.values())


@dataclass(frozen=True, slots=True)
class _Lock:
    """DVC's records: the stages of dvc.lock, those of dvc.yaml, and what `dvc add` has recorded."""

    stages: list[Stage]
    wants: Mapping[str, Wanted]
    added: list[LockEntry]

    @property
    def locked(self) -> dict[str, str]:
        """The md5 of every output by its path."""
        return {entry.path: entry.md5 for stage in self.stages for entry in stage.outs}

    @property
    def given(self) -> dict[str, str]:
        """The md5 of everything that a stage read, or that was added, by its path."""
        read = {entry.path: entry.md5 for stage in self.stages for entry in stage.deps}
        return read | {entry.path: entry.md5 for entry in self.added}


def _read_lock(note: Say) -> _Lock:
    stages: list[Stage] = []
    wants: dict[str, Wanted] = {}
    for yaml, lock in PIPELINES if LOCK.is_file() else ():
        if not (here := read_lock(lock)):
            continue
        wanted_here = wanted(read_yaml(places.PARAMS), yaml)
        if old := left_over(here, wanted_here, yaml):
            note(f"{lock} still has {', '.join(sorted(old))}, which {yaml} no longer has")
        stages += [stage for stage in here if stage.name not in old]
        wants |= wanted_here
    return _Lock(stages, wants, tracked([places.RAW, places.SPLITS]))


class _Problems:
    """Collects problems: each file once, however many links lead to it, and each line of dvc.lock and params.yaml."""

    def __init__(self) -> None:
        self.found: dict[tuple[str, str], Problem] = {}

    def add(self, problems: Iterable[Problem], *, several: bool = False) -> None:
        for problem in problems:
            lines = several or problem.path in {LOCK.as_posix(), places.PARAMS.as_posix()}
            self.found.setdefault((problem.path, problem.detail if lines else ""), problem)


def _made(stage: Stage, folders: list[Path]) -> bool:
    """Return whether a stage made one of these folders, or a file in one."""
    return any({Path(entry.path), *Path(entry.path).parents} & set(folders) for entry in stage.outs)


def _is_recorded(folder: Path, locked: Mapping[str, str]) -> bool:
    return not locked or folder.as_posix() in locked or (folder / SNAPSHOT_NAME).as_posix() in locked


def _folders(file: Path | None, locked: Mapping[str, str]) -> list[Path]:
    if file is None:
        folders = find_outputs([places.DEMO, places.DATA, places.RUNS])
        if not folders:
            raise LineageError(f"{places.DATA}, {places.RUNS}: no output to verify; run dvc repro first")
        # One that lost its snapshot is still an output to DVC.
        return sorted({*folders, *(path for path in _outputs(locked) if path.is_dir())})
    path = Path(relative_path(file))
    nodes = (Path(node.path) for node in iter_nodes(walk(path)) if node.stage)
    return sorted({folder for path in nodes if (folder := owner(path))})


def _outputs(locked: Mapping[str, str]) -> Iterator[Path]:
    """Yield the folders with a snapshot. DVC records such a folder as a whole, or its files one by one."""
    for path, md5 in locked.items():
        if Path(path).name == SNAPSHOT_NAME:
            yield Path(path).parent
        elif (
            Path(path) != places.CODE
            and md5.endswith(".dir")
            and (Path(path).parent / SNAPSHOT_NAME).as_posix() not in locked
        ):
            yield Path(path)


def _certificate(problems: Iterable[Problem], check: CrossingCheck) -> Iterator[Problem]:
    """Check again, on the shards as they are now, that nobody is in two sets.

    If a file of the shards or of the split is forged, that file is named instead of the certificate.
    """
    if not places.SPLIT.is_dir() or not (places.SHARDS / INDEX_NAME).is_file():
        return
    forged = [item.path for item in problems if {places.SHARDS, places.SPLIT} & set(Path(item.path).parents)]
    details = check(places.SPLIT, places.SHARDS)
    if details:
        more = f"; and {len(details) - _SHOWN} more" if len(details) > _SHOWN else ""
        name = (places.SPLIT / CERTIFICATE_NAME).as_posix()
        yield Problem(forged[0] if forged else name, "; ".join(details[:_SHOWN]) + more)
