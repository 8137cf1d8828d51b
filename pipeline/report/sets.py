"""What the data card says of the sets: what crosses them, how classes were balanced, which ones a dataset lacks."""

import json
from pathlib import Path
from typing import Any, Final

from pipeline.core.errors import DataError
from pipeline.core.lineage.snapshot import read_snapshot
from pipeline.core.names import CERTIFICATE_NAME, SUMMARY_NAME

_STATED: Final = ("crossing", "counts", "keep", "contradictions")


def build_sets(shards: Path, split: Path | None) -> dict[str, Any]:
    """Return the certificate's counts, the parameters that made the shards, and the classes that are missing.

    Args:
        shards: the folder of the shards.
        split: the folder of the split, None where the shards were made from another's.

    Returns:
        `crossing` and `counts` of the certificate (null: not looked for), its `keep` and `contradictions`, `policy`,
        the parameters of `shard`, and `missing_classes` by split and dataset.

    Raises:
        DataError: a file is missing or torn.
    """
    certificate = read_json(split / CERTIFICATE_NAME) if split is not None else {}
    stated: dict[str, Any] = {name: certificate[name] for name in _STATED if name in certificate}
    missing = read_json(shards / SUMMARY_NAME).get("missing_classes", {})
    return {**stated, "policy": dict(read_snapshot(shards).params), "missing_classes": missing}


def read_json(path: Path) -> dict[str, Any]:
    """Return what a JSON file of a stage holds.

    Raises:
        DataError: missing, not JSON, or no object.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read: {error}; run the stage that writes {path.parent}") from None
    if not isinstance(content, dict):
        raise DataError(f"{path}: expected an object, found {type(content).__name__}")
    return content
