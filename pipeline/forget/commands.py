"""The commands that remove withdrawn samples from the places that hold them, in the order in which they work."""

import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from pipeline.core.folders import DECISIONS
from pipeline.core.names import SNAPSHOT_NAME
from pipeline.decisions.escapes import escape
from pipeline.forget.holder import RAW, TABLE, Holder
from pipeline.forget.places import remotes
from pipeline.verify.dvc_lock import LOCK, PIPELINES, read_lock

_MAGIC: Final = re.compile(r"[*?\[\]\\]")


def removal(holders: Sequence[Holder]) -> Iterator[str]:
    """Yield what to type, one command a line; nothing for places that a later command clears on its own."""
    tables = [holder for holder in holders if holder.kind == TABLE]
    for table in sorted(tables):
        yield f"# no command edits {escape(table.where)}: write it again without {escape(', '.join(table.samples))}"
    raw = sorted({(holder.place, holder.member) for holder in holders if holder.kind == RAW})
    for place, member in raw:
        yield from _out_of(Path(place), member) if member else (f"rm {shlex.quote(place)}",)
    files = [Path(place) for place in sorted({place for place, _ in raw} | {table.place for table in tables})]
    added = sorted({tracked for file in files if (tracked := _added(file))})
    written = sorted({by for file in files if (by := _written(file))})
    for given in added:
        yield f"dvc add {shlex.quote(given)}"
    for _, stage in written:  # which would otherwise write the pictures again
        yield f"dvc commit --force {shlex.quote(stage)}"
    yield "dvc repro"
    parts = {holder.place for holder in holders if holder.kind == "parts"}
    for kept in sorted(parts.union(_unstaged(holders))):
        yield f"rm -rf {shlex.quote(kept)}"
    changed = [*(f"{given}.dvc" for given in added), *sorted({lock for lock, _ in written} | {LOCK.as_posix()})]
    yield f"git add {DECISIONS} {' '.join(map(shlex.quote, changed))} runs"
    yield "git commit -m 'Withdraw samples'"
    if experiments := sorted({holder.place for holder in holders if holder.kind == "experiment"}):
        yield f"dvc exp remove {' '.join(map(shlex.quote, experiments))}"
    yield "dvc gc --workspace --force"
    for name in remotes():
        yield f"dvc gc --workspace --force --cloud --remote {shlex.quote(name)}"
    yield "prep verify --forgotten"


def _out_of(archive: Path, member: str) -> Iterator[str]:
    """Yield the commands that write an archive again without one member, by the name that is stored in it."""
    name, inside = shlex.quote(archive.as_posix()), f"-- {shlex.quote(member)}"
    local = "--force-local " if ":" in archive.as_posix() else ""  # else what is before a colon is a host
    kind = archive.suffix.casefold()
    if kind == ".zip" and member.startswith("./"):  # zip takes it for the name without, unless by a pattern
        pattern = "[.]" + _MAGIC.sub(r"\\\g<0>", member[1:])
        yield f"zip --quiet --delete {name} -- {shlex.quote(pattern)}"
    elif kind == ".zip":
        yield f"zip --quiet --no-wild --delete {name} {inside}"
    elif kind == ".tar":
        yield f"tar {local}--delete --file {name} {inside}"
    else:
        bare = shlex.quote(f"{archive}.tar")
        cut = f"tar {local}--delete --file {bare} {inside}"
        yield f"gunzip < {name} > {bare} && {cut} && gzip --no-name < {bare} > {name}"
        yield f"rm {bare}"


def _unstaged(holders: Sequence[Holder]) -> Iterator[str]:
    """Yield the results that no stage of DVC's writes again, such as an export: the whole result, not a part of it."""
    outs = {Path(entry.path) for _, lock in PIPELINES for stage in read_lock(lock) for entry in stage.outs}

    def is_staged(place: Path) -> bool:
        """Say whether a stage writes this, what it is in, or, as of runs/report, some of what is in it."""
        return any(out == place or out in place.parents or place in out.parents for out in outs)

    for holder in holders:
        place = Path(holder.place)
        if holder.kind in ("result", "drawn") and not is_staged(place):
            whole = [folder for folder in place.parents if (folder / SNAPSHOT_NAME).is_file() and not is_staged(folder)]
            yield (whole or [place])[0].as_posix()


def _written(file: Path) -> tuple[str, str] | None:
    """Return the lock file and the name, as `dvc commit` takes it, of the DVC stage that writes a raw file, if any."""
    for definition, lock in PIPELINES:
        for stage in read_lock(lock):
            if any(Path(entry.path) in (file, *file.parents) for entry in stage.outs):
                return lock.as_posix(), f"{definition.as_posix()}:{stage.name}"
    return None


def _added(path: Path) -> str | None:
    """Return what `dvc add` tracks a raw file by: itself or the folder above it; None if a stage writes it."""
    for place in (path, *path.parents):
        if place.name and place.with_name(f"{place.name}.dvc").is_file():
            return place.as_posix()
    return None
