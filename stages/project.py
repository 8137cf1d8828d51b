"""The project in the working folder: its params.yaml, its datasets, and which outputs it has so far."""

import json
import os
import re
from pathlib import Path
from typing import Final

from pipeline.core.errors import DataError, ParamsError, TableError, UsageError
from pipeline.core.folders import (
    ALIGNED,
    DECIDED,
    DOUBT,
    EVALUATE,
    FACES,
    LABELS,
    PARAMS,
    SAMPLES,
    SELECTED,
    SHARDS,
    SPLIT,
    SPLITS,
    TRAIN,
)
from pipeline.core.lineage.snapshot import read_snapshot
from pipeline.core.names import SNAPSHOT_NAME, SUMMARY_NAME
from pipeline.core.params import Dataset, Params, read_params

_MADE_BY: Final = {
    SAMPLES: "ingest",
    DECIDED: "decide",
    ALIGNED: "align",
    SELECTED: "select",
    FACES: "equalize",
    LABELS: "harmonize",
    SPLIT: "split",
    SHARDS: "shard",
    TRAIN: "train",
    EVALUATE: "evaluate",
    DOUBT: "doubt",
}
_ARCHIVE_SUFFIXES: Final = (".zip", ".tar.gz", ".tar", ".tgz")
_OUTSIDE: Final = re.compile(r"(?<=[A-Za-z0-9])[^A-Za-z0-9_.-]+")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


def load_params() -> Params:
    """Read params.yaml of the project in the working folder."""
    return read_params(PARAMS)


def check_made(*inputs: Path) -> None:
    """Check that what a command reads is there.

    Raises:
        DataError: it is not; names the command that writes it.
    """
    for path in inputs:
        if not path.exists():
            maker = next((name for place, name in _MADE_BY.items() if place in (path, *path.parents)), None)
            raise DataError(f"{path}: not there" + (f"; run prep {maker} first, or dvc repro" if maker else ""))


def told_of(dataset: str, key: str) -> str:
    """Return what `ingest` says of a dataset in its summary, such as its `format`.

    Raises:
        TableError: there is no summary, or it does not say.
    """
    path = SAMPLES / dataset / SUMMARY_NAME
    try:
        return str(json.loads(path.read_text(encoding="utf-8"))[key])
    except (OSError, ValueError, KeyError):
        raise TableError(f"{path}: not a summary of ingest; run prep ingest again") from None


def own_folders(params: Params, root: Path) -> dict[str, Path]:
    """Return the folder below a root of each dataset in params.yaml.

    Raises:
        DataError: the folder of a dataset is not there.
        UsageError: a folder of no dataset is there too; dvc.lock would hold a hash that counts it.
    """
    strays = [path for path in sorted(root.glob("[!.]*")) if path.is_dir() and path.name not in params.datasets]
    if strays:
        raise UsageError(
            f"{strays[0]}: params.yaml has no dataset {strays[0].name!r}, and what DVC tracks must not hold others; "
            "add it under datasets, or remove the folder"
        )
    folders = {name: root / name for name in params.datasets}
    check_made(*folders.values())
    return folders


def check_keep(params: Params) -> None:
    """Refuse an earlier split that DVC would not see change: `split` depends on the folder `splits`.

    Raises:
        ParamsError: it lies elsewhere, or is not there.
    """
    if (keep := params.split.keep) is None:
        return
    place = Path(os.path.normpath(keep))
    if place.parts[:1] != SPLITS.parts or len(place.parts) < 2:
        raise ParamsError(f"{PARAMS}: split.keep: expected a file below {SPLITS}/, which DVC watches, not {keep!r}")
    if not place.is_file():
        raise ParamsError(
            f"{PARAMS}: split.keep: {keep}: not there; cp {SPLIT}/split.parquet {keep} keeps the last one"
        )


def local_folder(option: str, where: str) -> Path:
    """Return a folder to read whose bytes are hashed, so that results can name them.

    Raises:
        UsageError: it is a storage address.
    """
    if "://" in where:
        raise UsageError(
            f"{option} {where}: expected a folder, because its bytes are hashed for the lineage; copy it here first "
            "(models.data.loader.ShardLoader reads addresses)"
        )
    return Path(where)


def dataset_of(params: Params, src: str) -> tuple[str, Dataset] | None:
    """Return name and entry of the dataset whose source this is, however its path is written; None if there is none."""
    place = os.path.realpath(src)
    known = params.datasets.items()
    return next(((name, entry) for name, entry in known if os.path.realpath(entry.src) == place), None)


def dataset_name(params: Params, src: str) -> str:
    """Return the name of the dataset with this source, else the source's own base name without an archive suffix.

    What a name may not hold becomes an underscore: `CK+48` is `CK_48`.

    Raises:
        UsageError: there is no source, its base name cannot name a dataset, or it is another source's name.
    """
    if not src.strip():
        raise UsageError("--src: expected a folder or an archive, not an empty text")
    if (known := dataset_of(params, src)) is not None:
        return known[0]
    name = Path(src).name
    suffix = next((end for end in _ARCHIVE_SUFFIXES if name.lower().endswith(end)), "")
    name = _OUTSIDE.sub(lambda found: "_" if found.end() < len(found.string) else "", name[: len(name) - len(suffix)])
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"--src {src!r}: {name!r} cannot name a dataset (a letter or digit, then also _ . -); "
            "give the source an entry in params.yaml"
        )
    if (other := _other_source(params, name, src)) is not None:
        raise UsageError(
            f"--src {src}: the name {name} is that of {other}, whose results would be replaced; give this one its own "
            f"in params.yaml, below datasets: {name.replace('.', '_')}-2: {{src: {src}, format: auto, role: both}}"
        )
    return name


def _other_source(params: Params, name: str, src: str) -> str | None:
    """Return the source that has a name already: in params.yaml, or because its samples lie there; None for none."""
    if (entry := params.datasets.get(name)) is not None:
        return entry.src
    if not (SAMPLES / name / SNAPSHOT_NAME).is_file():
        return None
    before = read_snapshot(SAMPLES / name).inputs[0].path
    return None if os.path.realpath(before) == os.path.realpath(src) else f"{before} (see {SAMPLES / name})"
