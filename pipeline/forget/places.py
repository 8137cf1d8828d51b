"""Every place that faces of a project can lie in: raw trees, results, kept parts, DVC's cache, experiments, remotes."""

import subprocess
from collections.abc import Iterable, Iterator, Mapping
from configparser import ConfigParser
from pathlib import Path
from typing import Final

import yaml

from pipeline.core.errors import PrepError
from pipeline.core.folders import DATA, DECISIONS, FORGOTTEN, RUNS, SHARDS
from pipeline.core.lineage.identity import PARTIAL_SUFFIX, file_md5
from pipeline.core.lineage.walk import iter_nodes, owner, walk
from pipeline.core.names import SNAPSHOT_NAME
from pipeline.forget.holder import UNPROVEN, Holder
from pipeline.forget.look import Seen, Wanted, is_drawn
from pipeline.forget.raw import in_raw
from pipeline.verify.dvc_lock import LOCK, LockEntry, cache_folder, read_lock, tracked

_DECIDE: Final = "decide"
_KEPT: Final = (".yaml", ".yml", ".json", ".csv", ".md", ".txt")  # of results, these hold no bytes of pictures


def find_holders(wanted: Wanted, sources: Mapping[str, str]) -> Iterator[Holder]:
    """Yield each place that still shows what is looked for.

    Args:
        wanted: digests and names of the withdrawn samples.
        sources: the raw tree of each dataset.

    Raises:
        SourceError: a raw tree cannot be read.
    """
    for _, src in sorted(sources.items()):
        yield from in_raw(wanted, src)
    yield from _in_results(wanted)
    yield from _drawn_before()
    cache = cache_folder()
    held = dict(_in_objects(wanted, cache))
    current = _current_objects(cache)
    for md5, seen in sorted(held.items()):
        yield _holder("cache", _object(cache, md5), seen, "an object of DVC's cache")
    for md5 in sorted(_drawn_objects(cache) - held.keys() - current):
        detail = "a picture or page of an earlier result, in which no digest finds a face"
        yield Holder("cache", _object(cache, md5).as_posix(), (), detail)
    yield from _experiments(held.keys(), cache)
    for name, url in remotes().items():
        yield from _in_remote(wanted, name, url)


def _holder(kind: str, place: Path | str, seen: Seen, detail: str) -> Holder:
    unread = "; damaged, so nobody can say what else it holds" if seen.torn else ""
    return Holder(kind, str(place), tuple(sorted(seen.samples)), detail + unread)


def remotes() -> dict[str, str]:
    """Return the address of each remote that the project or this machine's copy of it configures."""
    found: dict[str, str] = {}
    for name in ("config", "config.local"):
        parser = ConfigParser(interpolation=None, strict=False)
        parser.read(Path(".dvc") / name, encoding="utf-8")
        for section in parser.sections():
            if section.strip("'").startswith("remote "):
                found[section.strip("'").removeprefix("remote ").strip('"')] = parser.get(section, "url", fallback="")
    return found


def _in_results(wanted: Wanted) -> Iterator[Holder]:
    for root in (DATA, RUNS):
        for path in sorted(root.rglob("*")):
            if not path.is_file() or path.suffix in _KEPT:
                continue
            seen = wanted.in_file(path, file_md5(path))
            if seen.samples or seen.torn:
                parts = next((one for one in path.parents if one.name.endswith(PARTIAL_SUFFIX)), None)
                kind, detail = ("parts", "kept for the next run") if parts else ("result", "written by a stage")
                yield _holder(kind, parts or path, seen, detail)


def _drawn_before() -> Iterator[Holder]:
    """Yield the results with drawn faces that were not made from the decisions as they are now."""
    drawn = [path for path in sorted(RUNS.rglob("*")) if path.is_file() and is_drawn(path)]
    for folder in sorted({folder for path in drawn if (folder := owner(path))}):
        if (why := _outdated(folder)) is not None:
            yield Holder("drawn", folder.as_posix(), (), f"has pictures, and was made before {why}")
    # Sheets have no snapshot. One that is younger than the shards that hold shows what these hold.
    record = SHARDS / SNAPSHOT_NAME
    since = record.stat().st_mtime if record.is_file() and _outdated(SHARDS) is None else None
    for path in drawn:
        if owner(path) is None and (since is None or path.stat().st_mtime < since):
            yield Holder("drawn", path.as_posix(), (), "a picture or page that may be older than the withdrawal")


def _outdated(folder: Path) -> str | None:
    """Return what changed since a result was made, in words; None if nothing did."""
    try:
        nodes = list(iter_nodes(walk(folder)))
    except PrepError:
        return "its inputs"
    for node in nodes:
        if node.stage is None and Path(node.path).is_file() and file_md5(Path(node.path)) != node.md5:
            return f"{node.path} changed"
        if node.stage == _DECIDE and (made := owner(Path(node.path))):
            books = [root / f"{made.name}.csv" for root in (DECISIONS, FORGOTTEN)]
            read = {given.path for given in node.inputs}
            if fresh := [book for book in books if book.is_file() and book.as_posix() not in read]:
                return f"{fresh[0]} was written"
    return None


def _in_objects(wanted: Wanted, cache: Path) -> Iterator[tuple[str, Seen]]:
    for path in _objects(cache):
        md5 = path.parent.name + path.name
        seen = wanted.in_file(path, md5)
        if seen.samples or seen.torn:
            yield md5, seen


def _objects(cache: Path) -> list[Path]:
    return sorted(path for path in (cache / "files" / "md5").glob("??/*") if path.is_file() and path.suffix != ".dir")


def _object(cache: Path, md5: str) -> Path:
    return cache / "files" / "md5" / md5[:2] / md5[2:]


def _drawn_objects(cache: Path) -> set[str]:
    return {path.parent.name + path.name for path in _objects(cache) if is_drawn(path)}


def _current_objects(cache: Path) -> set[str]:
    """Return the md5 of every object that dvc.lock and the .dvc files name now."""
    locks = [LOCK, Path("raw/dvc.lock")]
    entries: list[LockEntry] = [entry for lock in locks for stage in read_lock(lock) for entry in stage.outs]
    return _files_of((entry.md5 for entry in (*entries, *tracked([Path("raw"), Path("splits")]))), cache)


def _files_of(md5s: Iterable[str], cache: Path) -> set[str]:
    found: set[str] = set()
    for md5 in md5s:
        tree = _object(cache, md5)
        if md5.endswith(".dir") and tree.is_file():
            found |= {entry["md5"] for entry in yaml.safe_load(tree.read_text(encoding="utf-8"))}
        found.add(md5)
    return found


def _experiments(held: Iterable[str], cache: Path) -> Iterator[Holder]:
    """Yield the experiments whose dvc.lock names an object that shows a withdrawn sample."""
    objects = set(held)
    refs = [line.split() for line in _git("for-each-ref", "--format=%(objectname) %(refname)", "refs/exps/")]
    for commit, ref in sorted(refs, key=lambda one: one[1]):
        text = "\n".join(_git("show", f"{commit}:{LOCK}"))
        stages = (yaml.safe_load(text) or {}).get("stages", {}) if text else {}
        md5s = {entry["md5"] for stage in stages.values() for entry in stage.get("outs", ()) if "md5" in entry}
        if _files_of(md5s, cache) & objects:
            name = ref.rpartition("/")[2]
            yield Holder("experiment", name, (), f"the experiment {ref} names objects of the cache that hold it")


def _in_remote(wanted: Wanted, name: str, url: str) -> Iterator[Holder]:
    folder = (Path(".dvc") / url) if "://" not in url else None
    if folder is None or not folder.is_dir():
        why = "is no folder" if "://" in url else "is not there"
        yield Holder(UNPROVEN, f"remote {name}", (), f"{url} {why}, so nobody has looked into it")
        return
    for md5, seen in _in_objects(wanted, folder):
        yield _holder("remote", f"{name}: {_object(folder, md5)}", seen, "an object of the remote")


def _git(*arguments: str) -> list[str]:
    done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
    return done.stdout.splitlines() if done.returncode == 0 else []
