"""What the data card says about the sets: what crosses them, how classes were balanced, which a dataset lacks."""

import json
from pathlib import Path
from typing import Any, Final

from pipeline.core.errors import DataError
from pipeline.core.lineage.snapshot import read_snapshot
from pipeline.core.names import CERTIFICATE_NAME, SUMMARY_NAME

_STATED: Final = ("crossing", "counts", "keep", "contradictions")


def build_sets(shards: Path, split: Path | None) -> dict[str, Any]:
    """Return the certificate's counts, the parameters of the shards, and the missing classes.

    Args:
        shards: the folder of the shards.
        split: the folder of the split; None if the shards were made from another one.

    Returns:
        `crossing` and `counts` of the certificate (null: not searched for), its `keep` and `contradictions`, `policy`,
        the parameters of `shard`, and `missing_classes` by split and dataset.

    Raises:
        DataError: a file is missing or torn.
    """
    certificate = read_json(split / CERTIFICATE_NAME) if split is not None else {}
    stated: dict[str, Any] = {name: certificate[name] for name in _STATED if name in certificate}
    missing = read_json(shards / SUMMARY_NAME).get("missing_classes", {})
    return {**stated, "policy": dict(read_snapshot(shards).params), "missing_classes": missing}


def read_json(path: Path) -> dict[str, Any]:
    """Return the content of a stage's JSON file.

    Raises:
        DataError: missing, not JSON, or not an object.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read: {error}; run the stage that writes {path.parent}") from None
    if not isinstance(content, dict):
        raise DataError(f"{path}: expected an object, found {type(content).__name__}")
    return content
