"""The output folder of a stage. It is written beside its final place, and moved there when it is complete.

A complete folder has a summary, rejects and a snapshot. A run that is killed leaves the previous result unchanged, and
a hidden ``.partial`` folder, of which the next run takes over whole parts and removes the rest. While one run writes a
folder, a second one for the same folder stops with an error. `place` does the moving and locking, `parts` the keeping.
"""

import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipeline.core.errors import DataError, LineageError, OutputError, OutputUseError
from pipeline.core.lineage.identity import PARTIAL_SUFFIX, file_md5, folder_files
from pipeline.core.lineage.known import KnownFiles
from pipeline.core.lineage.snapshot import (
    Input,
    Snapshot,
    file_table,
    read_snapshot,
    rows_id,
    tool_versions,
    write_snapshot,
)
from pipeline.core.names import REJECTS_NAME, SNAPSHOT_NAME, SUMMARY_NAME
from pipeline.core.parts import KeptPart, PartStore, Resume
from pipeline.core.place import PARTS_NAME, link_or_move, put_in_place, replace_synced, workplace
from pipeline.core.schema import REJECTS, Reason
from pipeline.core.tables import is_full, rows_to_table, write_slices, write_table


@dataclass(frozen=True, slots=True)
class Reject:
    """One row that was left out: `reason` is the category, `detail` a text for people."""

    sample_id: str
    dataset: str
    reason: Reason
    detail: str = ""
    source_path: str | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """An input of a stage.

    `md5` is DVC's hash if the stage knows it already, or the function with which it computes it (of a raw tree); None:
    it is computed here.
    """

    path: Path
    md5: "str | Callable[[StageOutput], str] | None" = None


@dataclass(frozen=True, slots=True)
class _Finished:
    """What a stage states at its end; see `StageOutput.finish`."""

    summary: dict[str, Any]
    contract: Mapping[str, Any]
    ran: Mapping[str, Any]
    snapshot_id: str | None


class StageOutput:
    """The folder that a stage writes into, made by `stage_output`.

    Attributes:
        folder: where to write; a hidden folder beside the final place.
        stage: the stage's name.
        inputs: what the stage reads, with its hashes from before the stage began.
    """

    def __init__(self, folder: Path, stage: str, files: KnownFiles) -> None:
        self._files = files
        self.folder = folder
        self.stage = stage
        self.inputs: tuple[Input, ...] = ()
        self._beside: dict[Path, Path] = {}  # files outside the folder: final path -> temporary path
        self._rejects: list[Reject] = []
        self._finished: _Finished | None = None
        self._store: PartStore | None = None
        self._parts: list[tuple[KeptPart, Mapping[str, str]]] = []

    def path(self, name: str) -> Path:
        """Return the path to write a file of this output to, and make its folder."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def write_table(self, name: str, table: pa.Table) -> None:
        """Write one table."""
        write_table(self.path(name), table)

    def write_slices(self, name: str, schema: pa.Schema, slices: Iterable[pa.Table]) -> None:
        """Write one table slice by slice, without having all of it in memory; see `tables.write_slices`."""
        write_slices(self.path(name), schema, slices)

    def write_json(self, name: str, content: Mapping[str, Any]) -> None:
        """Write JSON with sorted keys, so that the same content gives the same bytes."""
        write_json(self.path(name), content)

    def write_json_beside(self, place: Path, content: Mapping[str, Any]) -> None:
        """Write JSON to a path outside the folder, for metrics that git keeps.

        The file appears at `place` only when the folder does, and its md5 is in the snapshot.
        """
        # Not `resolve`: a link at this place is replaced, not followed.
        place = Path(os.path.abspath(place))
        self._beside[place] = place.with_name(f".{place.name}{PARTIAL_SUFFIX}")
        place.parent.mkdir(parents=True, exist_ok=True)
        write_json(self._beside[place], content)

    def put_beside(self) -> None:
        """Move the files outside the folder to their places; `stage_output` calls it."""
        for place, waiting in self._beside.items():
            replace_synced(waiting, place)

    def part_store(self, recipe: Mapping[str, Any], resume: Resume, *, lasting: bool) -> PartStore:
        """Return the store of the parts of this output.

        Args:
            recipe: all that decides the bytes of the parts of this run, besides the input of each; see `recipe_of`.
            resume: whether parts of an earlier run are taken over.
            lasting: whether the parts of the result are kept for the next run.
        """
        root = self.folder.with_name(PARTS_NAME)
        self._store = PartStore(root, recipe, resume, self._files.md5, lasting=lasting)
        return self._store

    def add_part(self, part: KeptPart, files: Mapping[str, str]) -> None:
        """Put files of a part into this output, at the end of the stage: name in the part -> name in this output."""
        self._parts.append((part, files))

    def settle_parts(self) -> None:
        """Keep the parts of this result only; `stage_output` calls it."""
        if self._store is not None:
            self._store.settle()

    def reject(self, rejects: Iterable[Reject]) -> None:
        """Record rows that are left out. They are counted by `finish` and written at the end."""
        self._rejects.extend(rejects)

    @property
    def rejects(self) -> Sequence[Reject]:
        """Return the rows that have been left out so far."""
        return self._rejects

    def finish(
        self,
        *,
        rows_in: int,
        rows_out: int,
        empty: bool = False,
        contract: Mapping[str, Any] | None = None,
        ran: Mapping[str, Any] | None = None,
        snapshot_id: str | None = None,
        **extra: Any,
    ) -> dict[str, Any]:
        """State the numbers of rows, and what else the summary and the snapshot contain.

        Args:
            rows_in: the number of rows that the stage read.
            rows_out: the number of rows that it wrote; all others must be rejects.
            empty: whether a result without any row is allowed, because its other files are worth keeping.
            contract: how pixels and labels were made; it is passed on to the checkpoint.
            ran: the device and how it was used, for stages that run networks. It is not part of the id.
            snapshot_id: the id, for stages that need it before their files are written; None: computed from the files.
            extra: further entries of summary.json.

        Returns:
            The content of summary.json.

        Raises:
            OutputError: rows were lost silently: rows_in is not rows_out plus the number of rejects.
            DataError: no row is left; the message gives the most frequent reason.
        """
        rejected = Counter(str(reject.reason) for reject in self._rejects)
        if rows_in != rows_out + rejected.total():
            raise OutputError(
                f"{self.stage}: {rows_in} rows came in, {rows_out} went out and {rejected.total()} were rejected"
            )
        if rows_in and not rows_out and not empty:
            raise DataError(f"{self.stage}: {nothing_left(rows_in, self._rejects)}")
        counts = {"rows_in": rows_in, "rows_out": rows_out, "rejected": dict(sorted(rejected.items()))}
        self._finished = _Finished({**counts, **extra}, contract or {}, ran or {}, snapshot_id)
        return self._finished.summary

    def seal(self, params: Mapping[str, Any], tools: Sequence[str]) -> None:
        """Write the rejects, the summary and at last the snapshot, which lists all files; `stage_output` calls it."""
        if self._finished is None:
            raise OutputError(f"{self.stage}: finished without stating its counts")
        self._write_rejects()
        self.write_json(SUMMARY_NAME, self._finished.summary)
        taken = self._place_parts()
        files = folder_files(self.folder)
        for file in files:
            if taken.get(file.path, file.md5) != file.md5:
                raise OutputError(f"{self.stage}: {file.path} is not what its worker wrote; run the stage again")
        # A tar contains the same rows as the Parquet shards, so reading it would add nothing to the id.
        names = [file.path for file in files if not file.path.endswith(".tar")]
        write_snapshot(
            self.folder,
            Snapshot(
                stage=self.stage,
                id=self._finished.snapshot_id or rows_id(self.folder, names),
                inputs=self.inputs,
                params=dict(params),
                tools=tool_versions(tools),
                files=file_table(files),
                contract=dict(self._finished.contract),
                ran=dict(self._finished.ran),
                beside={relative_path(place): _entry(waiting) for place, waiting in self._beside.items()},
            ),
        )

    def drop_beside(self) -> None:
        """Remove files outside the folder that were not moved to their places; `stage_output` calls it."""
        for waiting in self._beside.values():
            waiting.unlink(missing_ok=True)

    def _place_parts(self) -> dict[str, str]:
        """Put the files of all parts into this output; return the md5 with which each left its worker.

        This is done last: without hard links, files are moved, and a kill before would take them from the next run.
        """
        taken = {}
        for part, files in self._parts:
            for name, here in files.items():
                link_or_move(part.folder / name, self.path(here))
                taken[here] = str(part.files[name]["md5"])
        return taken

    def _write_rejects(self) -> None:
        rejects = sorted(self._rejects, key=lambda reject: (reject.sample_id, reject.source_path or ""))
        rows = [
            {
                "sample_id": reject.sample_id,
                "dataset": reject.dataset,
                "source_path": reject.source_path,
                "stage": self.stage,
                "reason": str(reject.reason),
                "detail": reject.detail,
            }
            for reject in rejects
        ]
        self.write_table(REJECTS_NAME, rows_to_table(rows, REJECTS))


@contextmanager
def stage_output(
    out: Path,
    *,
    stage: str,
    sources: Sequence[Path | Source],
    params: Mapping[str, Any],
    tools: Sequence[str] = (),
) -> Iterator[StageOutput]:
    """Yield a new output folder; if the block ends without an error, complete it and move it to its place.

    The block must call `StageOutput.finish`.

    Args:
        out: the folder to write. An existing folder is replaced if it is empty or contains an output of this stage.
        stage: the stage's name.
        sources: everything that the stage reads. It is hashed before the block. Files whose size, times or inode have
            changed afterwards are hashed again, and a change of content is an error.
        params: the parameters that shape the result, as plain JSON values.
        tools: the distributions whose version can change the result.

    Raises:
        OutputUseError: the folder contains something else or another stage's output, or overlaps an input.
        OutputError: another run is writing the folder, or the disk is full.
        LineageError: an input changed while the stage ran.
    """
    out = out.resolve()
    _check_replaceable(out, stage)
    _check_apart(out, sources)
    try:
        with workplace(out) as folder:
            _check_replaceable(out, stage)  # again, because another run may have ended before the lock
            files = KnownFiles()
            output = StageOutput(folder, stage, files)
            output.inputs = tuple(_input(source, files, output) for source in sources)
            try:
                yield output
                _check_unchanged(sources, output.inputs, files)
                output.seal(params, tools)
                put_in_place(folder, out)
                output.put_beside()
                output.settle_parts()
            finally:
                output.drop_beside()
    except OSError as error:
        raise OutputError(_explain(out, error)) from error


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write JSON with sorted keys and a final newline.

    An undecodable byte of a file name, which Python holds as a lone surrogate, is written as a JSON escape.
    """
    text = json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    path.write_text(text, encoding="utf-8", errors="backslashreplace")


def _entry(path: Path) -> dict[str, Any]:
    return {"md5": file_md5(path), "size": path.stat().st_size}


def _input(source: Path | Source, files: KnownFiles, output: StageOutput) -> Input:
    given = source if isinstance(source, Source) else Source(source)
    known = given.md5(output) if callable(given.md5) else given.md5
    folder, md5 = _output_of(given.path), known or files.identity(given.path)
    snapshot = None
    if (folder / SNAPSHOT_NAME).is_file():
        snapshot = read_snapshot(folder).id if folder == given.path else md5
    return Input(relative_path(given.path), md5, snapshot)


def _output_of(path: Path) -> Path:
    """Return the output folder of a file, or any other path unchanged.

    A stage may read a single file of an output. Only that file is hashed, and the rest of the folder may change without
    it; the file can still be traced through the snapshot of its folder.
    """
    return path.parent if path.is_file() and (path.parent / SNAPSHOT_NAME).is_file() else path


def relative_path(path: Path) -> str:
    """Return a path as POSIX, relative to the working folder: an absolute one would differ between machines."""
    return Path(os.path.relpath(path)).as_posix()


def _check_unchanged(sources: Sequence[Path | Source], before: Sequence[Input], files: KnownFiles) -> None:
    for source, was in zip(sources, before, strict=True):
        # What the stage hashes by itself, it also compares by itself.
        given = source if isinstance(source, Source) else Source(source)
        if given.md5 is None and files.identity(given.path) != was.md5:
            raise LineageError(f"{was.path}: changed while it was being read; run the stage again")


def _check_replaceable(out: Path, stage: str) -> None:
    shown = relative_path(out)
    if not out.is_dir():
        if out.exists():
            raise OutputUseError(f"{shown}: is a file; --out takes a folder")
        return
    if (out / SNAPSHOT_NAME).is_file():
        owner = read_snapshot(out).stage
        if owner != stage:
            raise OutputUseError(f"{shown}: holds the result of {owner}; give --out another folder")
    elif not (out / SUMMARY_NAME).exists() and any(out.iterdir()):
        raise OutputUseError(f"{shown}: not empty and not an output of prep; give --out a new or empty folder")


def _check_apart(out: Path, sources: Sequence[Path | Source]) -> None:
    """Refuse an output folder that is an input, is inside one, or contains one."""
    place = out.resolve()
    for source in sources:
        path = _output_of(source.path if isinstance(source, Source) else source).resolve()
        if place == path or place in path.parents or path in place.parents:
            raise OutputUseError(
                f"{relative_path(out)}: is, holds or lies in {relative_path(path)}, which is read; give --out another"
            )


def _explain(out: Path, error: OSError) -> str:
    if is_full(error):
        return f"{out}: the disk is full; nothing was changed"
    where = error.filename or out
    return f"{where}: {error.strerror or error}"


def nothing_left(rows: int, rejects: Sequence[Reject]) -> str:
    """Return why no row is left, as one line: the most frequent reason, and the first row that has it."""
    if not rejects:
        return "holds no rows"
    reason, count = Counter(reject.reason for reject in rejects).most_common(1)[0]
    first = next(reject for reject in rejects if reject.reason is reason)
    return f"none of {rows} rows is left; {count} of them {reason}: {first.sample_id}: {first.detail}"
