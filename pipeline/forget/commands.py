"""The commands that remove withdrawn samples from the places that hold them, in the order in which they work."""

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from pipeline.core.folders import DECISIONS
from pipeline.forget.places import Holder, remotes
from pipeline.verify.dvc_lock import LOCK, PIPELINES, read_lock

_TARS: Final = {".tar": "", ".gz": "gz", ".tgz": "gz"}


def removal(holders: Sequence[Holder]) -> Iterator[str]:
    """Yield what to type, one command a line; nothing for places that a later command clears on its own."""
    raw = sorted({holder.place for holder in holders if holder.kind == "raw"})
    for place in raw:
        archive, colon, member = place.partition(":")
        yield from _out_of(Path(archive), member) if colon else (f"rm {shlex.quote(place)}",)
    files = [Path(place.partition(":")[0]) for place in raw]
    added = sorted({tracked for file in files if (tracked := _added(file))})
    written = sorted({by for file in files if (by := _written(file))})
    for given in added:
        yield f"dvc add {shlex.quote(given)}"
    for _, stage in written:  # which would otherwise write the pictures again
        yield f"dvc commit --force {shlex.quote(stage)}"
    yield "dvc repro"
    for parts in sorted({holder.place for holder in holders if holder.kind == "parts"}):
        yield f"rm -rf {shlex.quote(parts)}"
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
    """Yield the commands that write an archive again without one member."""
    name, inside = shlex.quote(archive.as_posix()), shlex.quote(member)
    if archive.suffix == ".zip":
        yield f"zip --quiet --no-wild --delete {name} {inside}"
    elif _TARS.get(archive.suffix) == "":
        yield f"tar --delete --file {name} {inside}"
    else:
        bare = shlex.quote(f"{archive}.tar")
        yield f"gunzip < {name} > {bare} && tar --delete --file {bare} {inside} && gzip --no-name < {bare} > {name}"
        yield f"rm {bare}"


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
