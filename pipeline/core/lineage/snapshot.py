"""`snapshot.json`: what an output folder contains, and what it was made from.

It records the stage, an `id` (`rows_id`: a digest of the rows of Parquet files and of the bytes of all others), DVC's
hash of each input, the stage's parameters, the versions of the libraries that process pixels, the preprocessing
contract and the md5 of every other file in the folder. It contains no time, host, user, absolute path or git commit:
when DVC restores the output from its cache, these would be another run's.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from pipeline.core.errors import LineageError
from pipeline.core.lineage.identity import FileIdentity
from pipeline.core.names import SNAPSHOT_NAME
from pipeline.core.tables import digest_rows


@dataclass(frozen=True, slots=True)
class Input:
    """An input of a stage.

    Attributes:
        path: relative to the project.
        md5: DVC's hash of it.
        snapshot: the id of the snapshot of the output folder that it is, or the md5 of a single file of one, since the
            rest of that folder may change without it; None for what no stage wrote.
    """

    path: str
    md5: str
    snapshot: str | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The content of `snapshot.json`. `files` maps each other file of the folder to its md5 and size in bytes.

    `ran` says on which device networks ran and how; it is empty for stages without networks. `beside` maps each file
    that the stage wrote outside its folder, by its path relative to the project, to its md5 and size.
    """

    stage: str
    id: str
    inputs: tuple[Input, ...]
    params: Mapping[str, Any]
    tools: Mapping[str, str]
    files: Mapping[str, Mapping[str, Any]]
    contract: Mapping[str, Any] = field(default_factory=dict)
    ran: Mapping[str, Any] = field(default_factory=dict)
    beside: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def tool_versions(packages: Iterable[str]) -> dict[str, str]:
    """Return the installed version of each distribution; those that are not installed are left out."""
    found = {}
    for package in sorted(packages):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def rows_id(folder: Path, names: Iterable[str]) -> str:
    """Return a sha256 of the content of a folder, in hex: of the rows of Parquet files and the bytes of all others.

    The bytes of a Parquet file depend on the version of the library that wrote it; its rows do not.
    """
    whole = {}
    for name in sorted(names):
        path = folder / name
        whole[name] = digest_rows(path) if path.suffix == ".parquet" else hashlib.sha256(path.read_bytes()).hexdigest()
    return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()


def file_table(files: Iterable[FileIdentity]) -> dict[str, dict[str, Any]]:
    """Return the `files` entry of a snapshot."""
    return {file.path: {"md5": file.md5, "size": file.size} for file in files}


def write_snapshot(folder: Path, snapshot: Snapshot) -> None:
    """Write `snapshot.json` as sorted JSON, so that the same content is the same bytes."""
    text = json.dumps(asdict(snapshot), indent=1, sort_keys=True, ensure_ascii=False)
    (folder / SNAPSHOT_NAME).write_text(text + "\n", encoding="utf-8")


def read_snapshot(folder: Path) -> Snapshot:
    """Read `snapshot.json` of a folder.

    Raises:
        LineageError: missing, not JSON, or without the keys of a snapshot.
    """
    path = folder / SNAPSHOT_NAME
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        inputs = tuple(Input(**entry) for entry in content.pop("inputs"))
        snapshot = Snapshot(inputs=inputs, **content)
        _check_types(snapshot)
        return snapshot
    except OSError as error:
        raise LineageError(f"{path}: cannot be read: {error.strerror}; run the stage that writes {folder}") from None
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise LineageError(f"{path}: not a snapshot: {error}") from None


def _check_types(snapshot: Snapshot) -> None:
    texts = {"stage": snapshot.stage, "id": snapshot.id}
    for given in snapshot.inputs:
        # Checked input by input, because the next one overwrites the same keys.
        texts |= {"inputs.path": given.path, "inputs.md5": given.md5, "inputs.snapshot": given.snapshot or ""}
        _check_texts(texts)
    _check_texts(texts)
    for name in ("params", "tools", "files", "contract", "ran", "beside"):
        if not isinstance(getattr(snapshot, name), dict):
            raise TypeError(f"{name} must be a mapping")
    for name, entry in (*snapshot.files.items(), *snapshot.beside.items()):
        if not isinstance(entry, dict) or not isinstance(entry.get("md5"), str):
            raise TypeError(f"{name} must have an md5")


def _check_texts(texts: Mapping[str, Any]) -> None:
    for name, value in texts.items():
        if not isinstance(value, str):
            raise TypeError(f"{name} must be a text, not {value!r}")
