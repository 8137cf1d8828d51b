"""Parts of a result that outlive the run that made them, so that a run which was killed goes on where it was.

A part is a folder of files in `data/.x.partial/parts/<recipe>/`, beside the output `data/x`. The recipe is a digest of
all that the parts of a run have in common: parameters, the meaning of the code, versions of libraries. The name of a
part begins with its key, a digest of the input of this part alone. So a part is taken over only where the same code
would make the same bytes again.

A worker writes a part under a name that only this attempt has, with the digests of its files, and then gives it its
final name. What a power cut tore or somebody edited has other digests, and is removed; so parts need not be synced. A
part that leaves out a picture because it ended or stalled its process has a flaw: it is good for this run, but the next
one tries the picture again.

Hard links put the files into the output, so a part takes space of its own only once the output is gone.
"""

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

from pipeline.core.errors import LineageError
from pipeline.core.lineage.code import function_code
from pipeline.core.lineage.identity import PARTIAL_SUFFIX, folder_files
from pipeline.core.lineage.snapshot import file_table, tool_versions
from pipeline.core.parallel.engine import map_ordered
from pipeline.core.parallel.pool import say_nothing
from pipeline.core.parallel.units import Units
from pipeline.core.place import FOLDER_MODE, PARTS_NAME, protect_folder

Job = TypeVar("Job")

# Writes the files of a job into a folder; returns whether another run may take them over.
PartWriter = Callable[[Job, Path, Units], bool]

_RECORD_NAME: Final = "part.json"
_NEW: Final = ".new"
_ALL: Final = Units()


@dataclass(frozen=True, slots=True)
class Resume:
    """Whether a run takes over the whole parts of an earlier one; `say` is told how many these are."""

    fresh: bool = False
    say: Callable[[str], None] = say_nothing


TAKE_OVER: Final = Resume()


@dataclass(frozen=True, slots=True)
class Task(Generic[Job]):
    """A part to make: the key of its input, and what the function that makes it receives."""

    key: str
    job: Job


@dataclass(frozen=True, slots=True)
class KeptPart:
    """A whole part: its folder, and the md5 and size of each of its files, as its worker wrote them."""

    folder: Path
    files: Mapping[str, Mapping[str, Any]]

    def is_whole(self) -> bool:
        """Return whether all files are there: without hard links, they were moved into the output."""
        return all((self.folder / name).is_file() for name in self.files)


def digest_of(content: Any) -> str:
    """Return a digest of plain JSON content, in hex: a recipe, or the key of a part."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class MakePart(Generic[Job]):
    """The function that a worker process runs: it has `function` write the files of a part, and names them.

    Attributes:
        function: writes the files of a job into a folder, reports its units (see `supervised.map_parts`), and returns
            whether another run may take them over.
        key_of: returns the key of a job by reading its input again.
        folder: that of the recipe.
    """

    function: PartWriter[Job]
    key_of: Callable[[Job], str]
    folder: Path

    def __call__(self, task: Task[Job], units: Units = _ALL) -> KeptPart:
        """Make one part; of a single unit that is tried alone, nothing is kept.

        Raises:
            LineageError: the input is not what the key was computed from.
        """
        place = self.folder / f"{task.key}.{secrets.token_hex(4)}"
        scratch = place.with_name(f"{place.name}{_NEW}")
        scratch.mkdir(FOLDER_MODE)
        try:
            lasts = self.function(task.job, scratch, units)
            files = file_table(folder_files(scratch))
            if units.only is None:
                # Otherwise the part would be taken over by a run that finds the earlier input in its place again.
                if self.key_of(task.job) != task.key:
                    raise LineageError("an input changed while it was being read; run the stage again")
                _finish(scratch, place, files, flawed=not lasts)
            return KeptPart(place, files)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)


class PartStore:
    """The parts of one recipe, for the run that holds the lock of the output; see `StageOutput.part_store`."""

    def __init__(
        self, root: Path, recipe: Mapping[str, Any], resume: Resume, md5: Callable[[Path], str], *, lasting: bool
    ) -> None:
        """Open the store.

        Args:
            root: the folder of all recipes of an output.
            recipe: what all parts have in common, as plain JSON.
            resume: whether to take over what is there.
            md5: returns the md5 of a file that the stage reads, for keys; it does not read the file again.
            lasting: whether the parts of a result are kept for the next run.
        """
        self.folder = root / digest_of(recipe)
        self.md5 = md5
        self._resume = resume
        self._lasting = lasting
        self._used: list[KeptPart] = []
        if resume.fresh:
            shutil.rmtree(root, ignore_errors=True)
        self.folder.mkdir(FOLDER_MODE, parents=True, exist_ok=True)
        root.chmod(FOLDER_MODE)
        # An output may be anywhere in a repository, and faces never enter git.
        (root / ".gitignore").write_text("*\n")
        _keep_last(root, self.folder)

    def take_over(self, tasks: Sequence[Task[Any]], workers: int) -> dict[str, KeptPart]:
        """Return the whole parts that are there, by key, and remove what is torn; every file is hashed."""
        wanted = {task.key for task in tasks}
        found = sorted(self.folder.iterdir())
        # Threads are enough, because reading and hashing release the interpreter's lock.
        with ThreadPoolExecutor(workers) as pool:
            parts = pool.map(lambda path: _read_part(path) if path.name.partition(".")[0] in wanted else None, found)
            taken = {path.name.partition(".")[0]: part for path, part in zip(found, parts, strict=True) if part}
        for path in found:
            if path.name.endswith(_NEW) or (path.name.partition(".")[0] in wanted and path not in _folders(taken)):
                shutil.rmtree(path, ignore_errors=True)
        if taken:
            count = sum(task.key in taken for task in tasks)
            self._resume.say(f"{count} of {len(tasks)} parts taken over from an earlier run")
        return taken

    def in_order(
        self, tasks: Sequence[Task[Any]], taken: Mapping[str, KeptPart], made: Iterable[KeptPart]
    ) -> Iterator[KeptPart]:
        """Yield the part of each task, in order: those taken over, and between them those that are made now."""
        others = iter(made)
        for task in tasks:
            part = taken[task.key] if task.key in taken else next(others)
            self._used.append(part)
            yield part

    def settle(self) -> None:
        """Remove everything but the parts of this result, which is finished, and if none are to be kept, also these."""
        kept = {part.folder for part in self._used if self._lasting and part.is_whole()}
        for path in (*self.folder.parent.iterdir(), *self.folder.iterdir()):
            if path.is_dir() and path not in {self.folder, *kept}:
                shutil.rmtree(path, ignore_errors=True)
        if not kept:
            shutil.rmtree(self.folder.parent, ignore_errors=True)


def map_kept(
    store: PartStore,
    function: PartWriter[Job],
    key_of: Callable[[Job], str],
    tasks: Sequence[Task[Job]],
    workers: int,
    count_units: Callable[[Job], int],
    report: Callable[[int], None],
    *,
    threads: bool = False,
) -> Iterator[KeptPart]:
    """Yield the part of each task, in order; `engine.map_ordered` makes those that are not there.

    Args:
        store: where the parts are.
        function: writes the files of a job into a folder; it may call `finish_units`; see `MakePart`.
        key_of: returns the key of a job by reading its input again.
        tasks: the parts of the result.
        workers: processes.
        count_units: returns how many units a job has.
        report: called with the number of units that are done or were taken over.
        threads: use threads instead of processes.
    """
    taken = store.take_over(tasks, workers)
    before = sum(count_units(task.job) for task in tasks if task.key in taken)
    report(before)
    waiting = [task for task in tasks if task.key not in taken]
    make = MakePart(function, key_of, store.folder)
    made = map_ordered(make, waiting, workers, lambda done: report(before + done), threads=threads)
    yield from store.in_order(tasks, taken, made)


def recipe_of(
    functions: Iterable[Callable[..., Any]], params: Mapping[str, Any], tools: Iterable[str]
) -> dict[str, Any]:
    """Return what decides the bytes of parts besides their input: code, parameters, and versions of distributions."""
    code: dict[str, str] = {}
    for function in functions:
        code |= function_code(function, params)
    versions = tool_versions([*tools, "pyarrow"])  # pyarrow writes the files
    return {"code": code, "params": dict(params), "tools": versions}


def kept_parts(root: Path) -> list[Path]:
    """Return the folders below a folder in which parts of results are kept, sorted; they hold copies of faces."""
    return sorted(path for path in root.rglob(f".*{PARTIAL_SUFFIX}/{PARTS_NAME}") if path.is_dir())


def _finish(scratch: Path, place: Path, files: Mapping[str, Any], *, flawed: bool) -> None:
    record = json.dumps({"files": files, "flawed": flawed}, sort_keys=True)
    (scratch / _RECORD_NAME).write_text(record, encoding="utf-8")
    protect_folder(scratch)
    scratch.rename(place)


def _read_part(folder: Path) -> KeptPart | None:
    """Return a part if it is whole: without a flaw, and with the very files that its worker wrote."""
    if folder.name.endswith(_NEW):
        return None
    try:
        record = json.loads((folder / _RECORD_NAME).read_text(encoding="utf-8"))
        found = file_table(file for file in folder_files(folder) if file.path != _RECORD_NAME)
        return KeptPart(folder, found) if record == {"files": found, "flawed": False} else None
    except (OSError, ValueError):
        return None


def _folders(parts: Mapping[str, KeptPart]) -> set[Path]:
    return {part.folder for part in parts.values()}


def _keep_last(root: Path, mine: Path) -> None:
    """Remove the parts of all other recipes but the last, so that one run with other parameters loses nothing."""
    others = sorted((path for path in root.iterdir() if path.is_dir() and path != mine), key=os.path.getmtime)
    for path in others[:-1]:
        shutil.rmtree(path, ignore_errors=True)
