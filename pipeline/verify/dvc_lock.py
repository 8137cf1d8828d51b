"""Reading dvc.lock, dvc.yaml, `.dvc` files and DVC's cache for `prep verify`. Nothing here hashes a result."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from configparser import ConfigParser
from configparser import Error as ConfigError
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from pipeline.core.errors import LineageError
from pipeline.core.lineage.identity import file_md5
from pipeline.core.params.read import Loader

LOCK: Final = Path("dvc.lock")
STAGES: Final = Path("dvc.yaml")
# The demo has files of its own: `dvc repro` takes it along only where a stage of dvc.yaml reads what it makes.
PIPELINES: Final = ((STAGES, LOCK), (Path("raw/dvc.yaml"), Path("raw/dvc.lock")))
# The only version that DVC has written since 2.0; another one would need another reader.
_SCHEMA: Final = "2.0"
_FOLDER: Final = ".dir"
_REFERENCE: Final = re.compile(r"\$\{([^}]*)\}")


@dataclass(frozen=True, slots=True)
class LockEntry:
    """A file or folder that DVC has recorded. `size`, in bytes, and the number of files are None if not recorded."""

    path: str
    md5: str
    size: int | None = None
    nfiles: int | None = None


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage as recorded in dvc.lock. `params` maps a file to the values read from it, by dotted key."""

    name: str
    cmd: str
    deps: tuple[LockEntry, ...]
    outs: tuple[LockEntry, ...]
    params: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Wanted:
    """A stage as dvc.yaml defines it now, with references resolved: its command, and the paths dvc.lock must have.

    `params` are those of params.yaml, by dotted key.
    """

    cmd: str
    deps: frozenset[str]
    outs: frozenset[str]
    params: frozenset[str]


def read_lock(path: Path = LOCK) -> list[Stage]:
    """Return the stages of dvc.lock; none if there is no dvc.lock.

    Raises:
        LineageError: the file is not a dvc.lock.
    """
    return read_stages(read_yaml(path), path) if path.is_file() else []


def read_stages(content: Mapping[str, Any], path: Path = LOCK) -> list[Stage]:
    """Return the stages in the content of a dvc.lock, for example of another commit.

    Raises:
        LineageError: it is not the content of a dvc.lock.
    """
    stages = content.get("stages")
    if not isinstance(stages, dict) or content.get("schema") != _SCHEMA:
        raise LineageError(f"{path}: not a dvc.lock: no stages, or another schema than {_SCHEMA}; run dvc repro")
    try:
        return [_stage(name, content) for name, content in stages.items()]
    except (KeyError, TypeError, AttributeError) as error:
        raise LineageError(f"{path}: not a dvc.lock: {error!r}; run dvc repro") from None


def tracked(folders: Iterable[Path]) -> list[LockEntry]:
    """Return what `dvc add` has recorded below some folders.

    Raises:
        LineageError: a file named `.dvc` is not one.
    """
    entries = []
    for file in sorted(file for folder in folders for file in folder.rglob("*.dvc") if file.is_file()):
        try:
            outs = [_entry(out) for out in read_yaml(file).get("outs", ())]
        except (KeyError, TypeError) as error:
            raise LineageError(f"{file}: not what dvc add writes: {error!r}") from None
        entries += [LockEntry((file.parent / out.path).as_posix(), out.md5, out.size, out.nfiles) for out in outs]
    return entries


def read_yaml(path: Path) -> dict[str, Any]:
    """Return the mapping in a YAML file; empty if it contains something else.

    Raises:
        LineageError: it cannot be read.
    """
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=Loader)  # noqa: S506 - a SafeLoader
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise LineageError(f"{path}: cannot be read: {' '.join(str(error).split())}") from None
    return content if isinstance(content, dict) else {}


def look_up(values: Any, key: str) -> Any:
    """Return the value at a dotted key; names may contain dots themselves.

    Raises:
        KeyError: there is none.
    """
    if not isinstance(values, dict):
        raise KeyError(key)
    if key in values:
        return values[key]
    for name, value in values.items():
        if key.startswith(f"{name}."):
            return look_up(value, key[len(str(name)) + 1 :])
    raise KeyError(key)


def wanted(params: Mapping[str, Any], path: Path = STAGES) -> dict[str, Wanted]:
    """Return the stages of dvc.yaml with references to params.yaml resolved; stages that need more are left out.

    Raises:
        LineageError: it cannot be read.
    """
    stages: dict[str, Wanted] = {}
    for name, body in (read_yaml(path).get("stages") or {}).items():
        try:
            stages |= dict(_unfold(name, body, dict(params)))
        except (KeyError, TypeError, AttributeError):
            continue  # `matrix`, `vars` and the like, which this project has not: DVC alone reads those
    return stages


def left_over(stages: Iterable[Stage], wants: Mapping[str, Wanted], path: Path = STAGES) -> frozenset[str]:
    """Return the stages of dvc.lock that dvc.yaml no longer has. DVC keeps those, for example of a removed dataset.

    Raises:
        LineageError: dvc.yaml cannot be read.
    """
    unread = (read_yaml(path).get("stages") or {}).keys() - {name.partition("@")[0] for name in wants}
    return frozenset(
        stage.name for stage in stages if stage.name not in wants and stage.name.partition("@")[0] not in unread
    )


def _unfold(name: str, body: Mapping[str, Any], params: Mapping[str, Any]) -> Iterator[tuple[str, Wanted]]:
    if "foreach" not in body:
        yield name, _wanted(body, params)
        return
    items = look_up(params, body["foreach"].removeprefix("${").removesuffix("}"))
    for key, item in items.items():
        yield f"{name}@{key}", _wanted(body["do"], {**params, "key": key, "item": item})


def _wanted(body: Mapping[str, Any], values: Mapping[str, Any]) -> Wanted:
    def paths(*kinds: str) -> frozenset[str]:
        found = [item for kind in kinds for item in body.get(kind, ())]
        return frozenset(_fill(item if isinstance(item, str) else next(iter(item)), values) for item in found)

    return Wanted(_fill(body["cmd"], values), paths("deps"), paths("outs", "metrics", "plots"), paths("params"))


def _fill(text: str, values: Mapping[str, Any]) -> str:
    return _REFERENCE.sub(lambda found: str(look_up(values, found[1].strip())), text)


def _stage(name: str, content: Mapping[str, Any]) -> Stage:
    deps, outs = (tuple(_entry(entry) for entry in content.get(kind, ())) for kind in ("deps", "outs"))
    params = {file: dict(values) for file, values in content.get("params", {}).items()}
    return Stage(name, str(content["cmd"]), deps, outs, params)


def _entry(content: Mapping[str, Any]) -> LockEntry:
    path, md5 = content["path"], content["md5"]
    if not isinstance(path, str) or not isinstance(md5, str):
        raise TypeError(f"path {path!r} and md5 {md5!r} must be texts")
    if content.get("hash", "md5") != "md5":
        raise TypeError(f"{path}: hash {content['hash']!r} is not md5")
    return LockEntry(path, md5, content.get("size"), content.get("nfiles"))


class Cache:
    """DVC's cache in this project, from which `dvc checkout` restores files."""

    def __init__(self, folder: Path) -> None:
        """Take the folder of the cache, which need not exist."""
        self._folder = folder
        self._trees: dict[str, dict[str, str] | None] = {}

    def place(self, md5: str) -> Path:
        """Return the path in the cache for an md5."""
        return self._folder / "files" / "md5" / md5[:2] / md5[2:]

    def tree(self, md5: str) -> dict[str, str] | None:
        """Return path -> md5 for the files of a folder's hash; None if the cache no longer has its list.

        A list whose own md5 is not its name was changed, and is not used.
        """
        if md5 not in self._trees:
            self._trees[md5] = self._read_tree(md5) if md5.endswith(_FOLDER) else None
        return self._trees[md5]

    def objects(self, entry: LockEntry) -> Iterator[tuple[Path, str, Path]]:
        """Yield the objects of an entry in the cache: path, the md5 in its name, and the file that it belongs to."""
        if (place := self.place(entry.md5)).is_file():
            yield place, entry.md5.removesuffix(_FOLDER), Path(entry.path)
        for name, md5 in (self.tree(entry.md5) or {}).items():
            if (place := self.place(md5)).is_file():
                yield place, md5, Path(entry.path, name)

    def _read_tree(self, md5: str) -> dict[str, str] | None:
        place = self.place(md5)
        if not place.is_file() or file_md5(place) != md5.removesuffix(_FOLDER):
            return None
        return {entry["relpath"]: entry["md5"] for entry in json.loads(place.read_text(encoding="utf-8"))}


def cache_folder(project: Path = Path()) -> Path:
    """Return the folder of DVC's cache as the project configures it; settings of the machine are ignored.

    Raises:
        LineageError: the configuration cannot be read.
    """
    place = project / ".dvc"
    configured = "cache"
    for name in ("config", "config.local"):
        parser = ConfigParser(interpolation=None, strict=False)
        try:
            parser.read(place / name, encoding="utf-8")
        except (ConfigError, UnicodeDecodeError) as error:
            raise LineageError(f"{place / name}: cannot be read: {' '.join(str(error).split())}") from None
        configured = parser.get("cache", "dir", fallback=configured)
    return place / configured.strip("'\"")
