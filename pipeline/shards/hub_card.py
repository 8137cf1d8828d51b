"""`README.md` of the shards: a dataset card as the Hugging Face Hub reads it, gated, with the terms of every source.

The YAML header is what the Hub shows and enforces: the licence, the splits, and what who asks for access must agree to
(https://huggingface.co/docs/hub/datasets-cards, https://huggingface.co/docs/hub/datasets-gated).
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

import pyarrow as pa
import yaml

from pipeline.core.emotions import CLASSES, UNCLASSED
from pipeline.core.names import PARQUET, UNCLASSED_PREFIX
from pipeline.shards.croissant import describe_rows, list_sources, name_splits
from pipeline.shards.responsible import LIMITATIONS, PERSONAL, USES

# The Hub's own names of sizes, each with the rows below which it holds.
_SIZES: Final = (
    (1_000, "n<1K"),
    (10_000, "1K<n<10K"),
    (100_000, "10K<n<100K"),
    (1_000_000, "100K<n<1M"),
    (10_000_000, "1M<n<10M"),
)
_LARGEST: Final = "10M<n<100M"
_PROMPT: Final = (
    "These are faces of people. By asking for access you say that you hold a licence of every source dataset named "
    "below, keep its terms, pass nothing on, identify nobody, and delete the data when a withdrawal is announced."
)


def build_hub_card(
    index: pa.Table, missing: pa.Table, snapshot_id: str, contract: Mapping[str, Any], containers: Sequence[str]
) -> str:
    """Return the text of the card.

    Args:
        index: rows of `schema.INDEX`.
        missing: the labelled rows without a selected face, with their reason.
        snapshot_id: the id of the shards.
        contract: the merged preprocessing contract.
        containers: the containers that were written; splits are named for Parquet only.
    """
    sources = list_sources(index, contract)
    header = yaml.safe_dump(_header(index, sources, containers), sort_keys=False, allow_unicode=True, width=120)
    return f"---\n{header}---\n\n{_body(index, missing, sources, snapshot_id, contract)}"


def _header(index: pa.Table, sources: Sequence[Mapping[str, Any]], containers: Sequence[str]) -> dict[str, Any]:
    # Rows without a class are a configuration of their own, so that nobody meets one who learns classes.
    named: dict[str, list[dict[str, str]]] = {}
    for name in name_splits(index):
        split = name.removeprefix(UNCLASSED_PREFIX)
        kind = "default" if split == name else UNCLASSED
        named.setdefault(kind, []).append({"split": _hub_split(split), "path": f"{PARQUET}/{name}-*.parquet"})
    listed = [{"config_name": kind, "data_files": files} for kind, files in named.items()]
    configs = {"configs": listed} if PARQUET in containers else {}
    terms = "; ".join(f"{one['title']}: {one['license']}" for one in sources)
    return {
        "pretty_name": "Facial expression shards",
        "license": "other",
        "license_name": "terms-of-the-source-datasets",
        "license_link": "README.md#terms",
        "task_categories": ["image-classification"],
        "size_categories": [next((name for below, name in _SIZES if len(index) < below), _LARGEST)],
        "source_datasets": ["extended"],
        "tags": ["faces", "facial-expression-recognition", "croissant"],
        "extra_gated_prompt": f"{_PROMPT} Sources: {terms}.",
        "extra_gated_fields": {
            "Name and institution": "text",
            "Country": "country",
            "Purpose": "text",
            "I hold the licence of every source dataset": "checkbox",
            "I will not identify or contact anybody who is shown": "checkbox",
            "I will delete the data when a withdrawal is announced": "checkbox",
        },
        "extra_gated_button_content": "Ask for access",
        **configs,
    }


def _hub_split(name: str) -> str:
    return "validation" if name == "val" else name


def _body(
    index: pa.Table,
    missing: pa.Table,
    sources: Sequence[Mapping[str, Any]],
    snapshot_id: str,
    contract: Mapping[str, Any],
) -> str:
    align = contract["align"]
    rendered = contract.get("rendered", [])
    parts = [
        "# Facial expression shards",
        f"{describe_rows(index, contract)}. No person, sequence or picture is in two splits. Snapshot `{snapshot_id}`.",
    ]
    if rendered:
        parts.append(
            f"**Rendered, and of no real person: {', '.join(rendered)}.** What is measured on them says nothing."
        )
    parts += [
        "> **Do not publish this folder because it has a card.** The terms below decide whether you may pass it on at "
        "all; the gate only asks. Most of them forbid it.",
        "## Terms",
        "\n".join(
            f"- **{one['dataset']}** ({one['title']}, {one['rows']} rows): {one['license']}. {one['url']}"
            for one in sources
        ),
        "## Rows",
        _counts(index),
        f"{len(missing)} labelled samples have no face that was found and selected (`missing_faces.parquet`).",
        "## Uses",
        "\n".join(f"- {use}" for use in USES),
        "## Limits",
        "\n".join(f"- {limit}" for limit in LIMITATIONS),
        "## Personal data",
        PERSONAL,
        "## How it was made",
        "By expression-prep. `snapshot.json` names DVC's hash of every input, `croissant.json` describes the columns "
        "and has the responsible-AI properties, `index.parquet` lists every row. Alignment: template "
        f"{align.get('template')}, margin {align.get('margin')}.",
    ]
    return "\n\n".join(parts) + "\n"


def _counts(index: pa.Table) -> str:
    counts = Counter(zip(index["label"].to_pylist(), index["split"].to_pylist(), strict=True))
    splits = [name for name in ("train", "val", "test") if any(split == name for _, split in counts)]
    lines = [f"| class | {' | '.join(splits)} |", f"|---|{'--:|' * len(splits)}"]
    lines += [
        f"| {name} | {' | '.join(str(counts[label, split]) for split in splits)} |"
        for label, name in (*enumerate(CLASSES), (None, UNCLASSED))
        if label is not None or index["label"].null_count
    ]
    return "\n".join(lines)
