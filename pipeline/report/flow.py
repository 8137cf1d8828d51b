"""The way of the rows from the raw trees to the shards: what each stage got, passed on and left out."""

from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

# Stage -> what a row is that it passes on. The classes come from a branch of their own, which starts from the same rows
# as the faces do.
_TITLES: Final = {
    "ingest": "read from the raw dataset",
    "align": "with a face",
    "select": "with a face that passes the gates",
    "equalize": "equalized",
    "harmonize": "with a class, or with affect",
    "split": "in a set: training, validation or test",
    "shard": "in the shards, with a face",
}


def build_flow(card: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the steps of all datasets together, or of one.

    Args:
        card: see `card.build_card`; or the facts of one dataset in it, for the stages that treat it alone.

    Returns:
        For each stage in order: stage, title, rows_in, rows_out, rejected by reason with the most frequent first, and
        `share` and `lost`, rows_out and the rejects as a share of the most rows that any step has.
    """
    summed: dict[str, Counter[str]] = {}
    rejected: dict[str, Counter[str]] = {}
    for facts in card["datasets"].values() if "datasets" in card else [card]:
        for stage, counts in facts["stages"].items():
            _add(summed, rejected, stage, counts)
    for stage, counts in card.get("steps", {}).items():
        _add(summed, rejected, stage, counts)
    most = max((counts["rows_in"] for counts in summed.values()), default=0) or 1
    return [
        {
            "stage": stage,
            "title": title,
            "rows_in": summed[stage]["rows_in"],
            "rows_out": summed[stage]["rows_out"],
            "rejected": dict(sorted(rejected[stage].items(), key=lambda entry: (-entry[1], entry[0]))),
            "share": summed[stage]["rows_out"] / most,
            "lost": rejected[stage].total() / most,
        }
        for stage, title in _TITLES.items()
        if stage in summed and (stage != "equalize" or rejected[stage])
    ]


def _add(
    summed: dict[str, Counter[str]], rejected: dict[str, Counter[str]], stage: str, counts: Mapping[str, Any]
) -> None:
    summed.setdefault(stage, Counter()).update({name: counts.get(name, 0) for name in ("rows_in", "rows_out")})
    rejected.setdefault(stage, Counter()).update(counts.get("rejected", {}))


def sum_classes(card: Mapping[str, Any]) -> dict[str, dict[str, int]]:
    """Return split -> class -> rows in the shards of all datasets."""
    totals: dict[str, Counter[str]] = {}
    for facts in card["datasets"].values():
        for split, counts in facts["splits"].items():
            totals.setdefault(split, Counter()).update(counts)
    return {split: dict(counts) for split, counts in totals.items()}


def sum_misses(card: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return class -> labelled rows, those with a selected face, and the share missed, of all datasets."""
    labelled: Counter[str] = Counter()
    with_face: Counter[str] = Counter()
    for facts in card["datasets"].values():
        for name, counts in facts["classes"].items():
            labelled[name] += counts["labelled"]
            with_face[name] += counts["with_face"]
    return {
        name: {
            "labelled": labelled[name],
            "with_face": with_face[name],
            "missed_share": 1 - with_face[name] / labelled[name] if labelled[name] else 0.0,
        }
        for name in labelled
    }
