"""The commands that remove withdrawn samples from the places that hold them, in the order in which they work."""

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from pipeline.core.folders import DECISIONS
from pipeline.forget.places import Holder, remotes

_TARS: Final = {".tar": "", ".gz": "gz", ".tgz": "gz"}


def removal(holders: Sequence[Holder]) -> Iterator[str]:
    """Yield what to type, one command a line; nothing for places that a later command clears on its own."""
    raw = sorted({holder.place for holder in holders if holder.kind == "raw"})
    for place in raw:
        archive, colon, member = place.partition(":")
        yield from _out_of(Path(archive), member) if colon else (f"rm {shlex.quote(place)}",)
    for given in sorted({tracked for place in raw if (tracked := _added(Path(place.partition(":")[0])))}):
        yield f"dvc add {shlex.quote(given)}"
    yield "dvc repro"
    for parts in sorted({holder.place for holder in holders if holder.kind == "parts"}):
        yield f"rm -rf {shlex.quote(parts)}"
    yield f"git add {DECISIONS} raw/*.dvc dvc.lock runs" if raw else f"git add {DECISIONS} dvc.lock runs"
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


def _added(path: Path) -> str | None:
    """Return what `dvc add` tracks a raw file by: itself or the folder above it; None if a stage writes it."""
    for place in (path, *path.parents):
        if place.name and place.with_name(f"{place.name}.dvc").is_file():
            return place.as_posix()
    return None
