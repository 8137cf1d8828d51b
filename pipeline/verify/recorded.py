"""Comparing dvc.lock with the working folder: code, data, parameters, commands, sizes and DVC's cache."""

import json
import subprocess
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from pipeline.core.errors import LineageError, PrepError
from pipeline.core.folders import PARAMS
from pipeline.core.lineage.code import changed_code, code_root, stage_code
from pipeline.core.lineage.identity import file_md5
from pipeline.core.names import SNAPSHOT_NAME
from pipeline.verify.dvc_lock import LOCK, STAGES, Cache, LockEntry, Stage, Wanted, look_up, read_yaml
from pipeline.verify.links import Problem, Verifier, find_outputs

# The formats of parameter files that this project can have; DVC reads more.
_READ: Final = frozenset({".yaml", ".yml", ".json"})
_AGAIN: Final = "run dvc repro, or bring it back"


def check_stages(verifier: Verifier, stages: Iterable[Stage], outputs: Collection[str]) -> Iterator[Problem]:
    """Yield where the working folder differs from what dvc.lock records of the stages.

    Args:
        verifier: hashes each file once.
        stages: the stages of dvc.lock.
        outputs: the path of every output in dvc.lock.
    """
    read: dict[str, Mapping[str, Any] | Problem] = {}
    for stage in stages:
        yield from _check_entries(verifier, stage, outputs)
        for file, values in stage.params.items():
            if Path(file).suffix not in _READ:
                continue
            if file not in read:
                read[file] = _read_params(file)
            now = read[file]
            yield from [now] if isinstance(now, Problem) else _check_params(stage.name, file, values, now)


def _check_entries(verifier: Verifier, stage: Stage, outputs: Collection[str]) -> Iterator[Problem]:
    for entry in stage.deps:
        path = Path(entry.path)
        if not path.exists():
            yield Problem(entry.path, f"missing; dvc.lock has it as what {stage.name} was made from")
        elif verifier.identity(path) != entry.md5:
            yield from _name_changed(verifier, stage, entry, outputs)
        else:
            yield from _check_size(verifier, entry, stage)
    for entry in stage.outs:
        path = Path(entry.path)
        if path.exists():
            if verifier.identity(path) != entry.md5:
                yield from verifier.differs(path, entry.md5, f"not what dvc.lock has of {stage.name}")
            else:
                yield from _check_size(verifier, entry, stage)


def check_code(verifier: Verifier, folder: Path, stages: Iterable[Stage]) -> Iterator[Problem]:
    """Yield each file of code whose meaning has changed since a stage ran, or that is missing or new.

    Args:
        verifier: hashes each file once.
        folder: the output of `prep code`.
        stages: the stages of dvc.lock.
    """
    root, params = code_root(), read_yaml(PARAMS) if PARAMS.is_file() else {}
    recorded: dict[str, set[str]] = {}
    for stage in stages:
        path = (folder / f"{stage.name.partition('@')[0]}.json").as_posix()
        recorded.setdefault(path, set()).update(entry.md5 for entry in stage.deps if entry.path == path)
    for path, md5s in recorded.items():
        taken, name = Path(path), Path(path).stem
        # A file that is not the one that a stage read accuses no code; `check_stages` names the file itself.
        if not taken.is_file() or (md5s and verifier.identity(taken) not in md5s):
            continue
        try:
            before = json.loads(taken.read_text(encoding="utf-8"))
        except ValueError as error:
            yield Problem(taken.as_posix(), f"cannot be read: {' '.join(str(error).split())}")
            continue
        try:
            now = stage_code(name, root, params)
        except LineageError as error:
            place, _, detail = str(error).partition(": ")
            yield Problem(Path(place).relative_to(root).as_posix(), f"{detail}; {name} ran it, as {taken} has it")
            continue
        for file in changed_code(before, now, root):
            yield Problem(file, f"not the code that {name} ran, as {taken} has it; {_AGAIN}")


def check_wanted(stages: Iterable[Stage], wanted: Mapping[str, Wanted]) -> Iterator[Problem]:
    """Yield what dvc.yaml defines and dvc.lock lacks or records differently, because it was cut or edited."""
    known = {stage.name: stage for stage in stages}
    for name, want in wanted.items():
        stage = known.get(name)
        if stage is None:
            made = sorted(path for path in want.outs if Path(path).exists())
            if made:
                yield Problem(LOCK.as_posix(), f"has no stage {name}, but {made[0]} is there; run dvc repro")
            continue
        if stage.cmd != want.cmd:
            yield Problem(LOCK.as_posix(), f"{name} was {stage.cmd!r}, and {STAGES} has {want.cmd!r}; run dvc repro")
        params = {key for values in stage.params.values() for key in values}
        for kind, asked, has in (
            ("deps", want.deps, {entry.path for entry in stage.deps}),
            ("outs", want.outs, {entry.path for entry in stage.outs}),
            ("params", want.params, params),
        ):
            if lacks := sorted(asked - has):
                yield Problem(LOCK.as_posix(), f"{name} lacks {lacks[0]} among its {kind}; run dvc repro")


def check_cache(cache: Cache, entries: Iterable[LockEntry]) -> Iterator[Problem]:
    """Yield each object of DVC's cache whose md5 is not its name; `dvc checkout` would restore the wrong bytes."""
    seen: set[Path] = set()
    for entry in entries:
        for place, md5, of in cache.objects(entry):
            if place not in seen:
                seen.add(place)
                if file_md5(place) != md5:
                    detail = f"forged: its md5 is another, and dvc checkout would make {of} of it; remove it, dvc fetch"
                    yield Problem(place.as_posix(), detail)


def _check_size(verifier: Verifier, entry: LockEntry, stage: Stage) -> Iterator[Problem]:
    path = Path(entry.path)
    files = verifier.files(path) if path.is_dir() else []
    size = sum(file.size for file in files) if path.is_dir() else path.stat().st_size
    if entry.size is not None and entry.size != size:
        yield Problem(LOCK.as_posix(), f"{stage.name}: size of {entry.path} is {size}, not {entry.size}")
    if entry.nfiles is not None and entry.nfiles != len(files):
        yield Problem(LOCK.as_posix(), f"{stage.name}: {entry.path} has {len(files)} files, not {entry.nfiles}")


def _read_params(file: str) -> Mapping[str, Any] | Problem:
    try:
        return read_yaml(Path(file))
    except PrepError as error:
        return Problem(file, str(error).partition(": ")[2])


def _check_params(stage: str, file: str, values: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[Problem]:
    for key, value in values.items():
        yield from (Problem(file, detail) for detail in _compare(stage, key, value, _value(now, key)))


def _value(values: Mapping[str, Any], key: str) -> Any:
    try:
        return look_up(values, key)
    except KeyError:
        return None


def _compare(stage: str, key: str, was: Any, now: Any) -> Iterator[str]:
    """Yield how a parameter differs from dvc.lock, by its innermost key."""
    if isinstance(was, dict) and isinstance(now, dict):
        for name in dict.fromkeys((*was, *now)):
            yield from _compare(stage, f"{key}.{name}", was.get(name), now.get(name))
    elif was != now:
        yield f"{key} is {now!r}, but {stage} ran with {was!r}, as dvc.lock has it; {_AGAIN}"


def _name_changed(verifier: Verifier, stage: Stage, entry: LockEntry, outputs: Collection[str]) -> Iterator[Problem]:
    """Yield the files in which a dependency differs from dvc.lock; the folder itself if its files are not known."""
    path = Path(entry.path)
    detail = f"not what {stage.name} was made from, as dvc.lock has it"
    if path.is_dir():
        others = [folder for folder in find_outputs([path]) if not _is_output(folder, outputs)]
        if others:
            yield from (
                Problem((at / SNAPSHOT_NAME).as_posix(), f"of a folder no stage wrote; {_AGAIN}") for at in others
            )
            return
        files = {f"{entry.path}/{file.path}" for file in verifier.files(path)}
        changed = [name for name in _edited(path) if name in files or not Path(name).exists()]
        if changed:
            yield from (
                Problem(name, f"changed since {stage.name} ran: {path} is {detail}; {_AGAIN}") for name in changed
            )
            return
    yield from verifier.differs(path, entry.md5, f"{detail}; {_AGAIN}")


def _is_output(folder: Path, outputs: Collection[str]) -> bool:
    places = {folder.as_posix(), *(parent.as_posix() for parent in folder.parents), (folder / SNAPSHOT_NAME).as_posix()}
    return any(place in outputs for place in places)


def _edited(folder: Path) -> list[str]:
    """Return the files below a folder that differ from git's when dvc.lock was committed; none without git."""
    try:
        base = "HEAD" if _git("status", "--porcelain", "--", LOCK.as_posix()) else ""
        base = base or next(iter(_git("log", "-1", "--format=%H", "--", LOCK.as_posix())), "HEAD")
        found = _git("diff", "--name-only", "--relative", base, "--", folder.as_posix())
        return sorted({*found, *_git("ls-files", "--others", "--exclude-standard", "--", folder.as_posix())})
    except (OSError, subprocess.CalledProcessError):
        return []


def _git(*arguments: str) -> list[str]:
    done = subprocess.run(["git", "-c", "core.quotePath=false", *arguments], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()
