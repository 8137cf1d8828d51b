"""`croissant.json`: metadata of the shards for catalogues of datasets (ML Commons Croissant 1.1, JSON-LD).

It states where the rows are, what the columns mean, the terms of each source dataset, and the number of samples of each
class of each dataset in every split; `responsible` adds what is known of people, labels and limits. The counts are a
record set of their own, so that a tool can read them. Croissant recommends `datePublished`; it is left out, because the
same data must give the same bytes on every run.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.core.catalog import CATALOG, CatalogEntry, terms_in
from pipeline.core.emotions import AFFECTNET, CLASSES, UNCLASSED
from pipeline.core.names import PARQUET, SPLITS, UNCLASSED_PREFIX, WEBDATASET
from pipeline.shards.columns import SHARD_SCHEMA
from pipeline.shards.container import CONTAINERS
from pipeline.shards.responsible import CONFORMS_TO, build_responsible

_CR: Final = "http://mlcommons.org/croissant/"
_UNKNOWN: Final = CatalogEntry("unknown", "", "", "not known to this project; ask whoever gave you the data")
# The terms of Croissant's own vocabulary, as listed in the appendix of the specification.
_TERMS: Final = """
    arrayShape citeAs column containedIn equivalentProperty extract field fileObject fileProperty fileSet format
    includes isArray isLiveDataset jsonPath key md5 parentField path recordSet references regex repeated replace
    samplingRate separator source subField transform
"""
_CONTEXT: Final[dict[str, Any]] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "cr": _CR,
    "dct": "http://purl.org/dc/terms/",
    # Texts may be given in several languages since 1.1.
    "description": {"@container": "@language"},
    "name": {"@container": "@language"},
    "rai": f"{_CR}RAI/",
    "sc": "https://schema.org/",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    **{name: f"cr:{name}" for name in _TERMS.split()},
}
_MEANINGS: Final = {
    "sample_id": "<dataset>/<path in the raw tree>#<number>, unique and the same on every run",
    "dataset": "the source dataset",
    "subject_id": "the person, where the dataset names one",
    "gender": "female, male, other or unsure; null where the dataset does not say",
    "age": "the dataset's own group; for an age in years 0-3, 4-19, 20-39, 40-69 or 70+",
    "age_years": "null where the dataset gives a group or nothing",
    "race": "in the dataset's own words, null where it does not say",
    "label": "class index, see the record set classes; null in the splits called unclassed",
    "label_probs": "soft label: a probability for each class; null where the label is",
    "valence": "in [-1, 1], null where the dataset gives none",
    "arousal": "in [-1, 1], null where the dataset gives none",
    "dominance": "in [-1, 1], null where the dataset gives none",
    "has_valence": "whether valence is given",
    "has_arousal": "whether arousal is given",
    "has_dominance": "whether dominance is given",
    "landmarks": "x and y in pixels of this picture: left eye, right eye, nose tip, left and right mouth corner, "
    "left and right as seen",
    "weight": "of the sample in the loss",
    "copy": "0, or which copy of the sample this is where classes were oversampled",
    "image": "the aligned face, JPEG",
}


def build_croissant(
    index: pa.Table,
    missing: pa.Table,
    people: pa.Table,
    snapshot_id: str,
    contract: Mapping[str, Any],
    containers: Sequence[str] = (PARQUET, WEBDATASET),
) -> dict[str, Any]:
    """Return the JSON-LD that describes the shards.

    Args:
        index: rows of `schema.INDEX`.
        missing: the labelled rows without a selected face, with their reason.
        people: `schema.ATTRIBUTES` of the written rows.
        snapshot_id: the id of the shards.
        contract: the merged preprocessing contract; its taxonomies name the releases.
        containers: the containers that were written. Columns are described for Parquet only: a sample of a tar is a
            pair of files, and Croissant cannot join the two by their names.
    """
    splits = name_splits(index)
    sources = list_sources(index, contract)
    inline = {"class_counts": _counts(index), "source_datasets": sources}
    return {
        "@context": {**_CONTEXT},  # a copy, because mlcroissant adds to what it is given
        "@type": "sc:Dataset",
        "conformsTo": [f"{_CR}1.1", CONFORMS_TO],
        "name": "facial-expression-shards",
        "version": "1.0.0",
        "url": f"urn:sha256:{snapshot_id}",
        "identifier": snapshot_id,
        "description": _description(index, sources, contract),
        "license": sorted({f"{source['title']}: {source['license']}" for source in sources}),
        "citeAs": f"Aligned and harmonized faces of {', '.join(source['dataset'] for source in sources)}; "
        f"snapshot {snapshot_id}",
        **build_responsible(index, missing, people, sources, contract),
        "distribution": [entry for split in splits for entry in _distribution(split, containers)],
        "recordSet": [
            *(_samples(split) for split in splits if PARQUET in containers),
            _inline(
                "classes", [{"label": n, "class": name, "affectnet": AFFECTNET[name]} for n, name in enumerate(CLASSES)]
            ),
            # A record set without rows has no columns either, which is none.
            *(_inline(name, rows) for name, rows in inline.items() if rows),
        ],
    }


def list_sources(index: pa.Table, contract: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the source datasets, with the title, terms and address of the release that each one is bound by."""
    rows = {entry["values"]: entry["counts"] for entry in pc.value_counts(index["dataset"]).to_pylist()}
    bound = terms_in(contract)
    sources = []
    for dataset in sorted(rows):
        release = bound.get(dataset, "")
        entry = CATALOG.get(release, _UNKNOWN)
        sources.append(
            {
                "dataset": dataset,
                "release": release,
                "title": entry.dataset,
                "license": entry.terms,
                "url": entry.where,
                "rows": rows[dataset],
            }
        )
    return sources


def _description(index: pa.Table, sources: list[dict[str, Any]], contract: Mapping[str, Any]) -> str:
    named = "; ".join(f"{source['dataset']} (layout and terms of {source['title']})" for source in sources)
    apart = "No group of samples (person, sequence, picture) is in two splits."
    return f"{describe_rows(index, contract)}, from {named}. {apart}"


def describe_rows(index: pa.Table, contract: Mapping[str, Any]) -> str:
    """Say how many faces there are, with a class and without one."""
    without = index["label"].null_count
    size_px, classes = contract["align"]["size_px"], contract.get("classes", CLASSES)
    expressions, affect = f"with one of {len(classes)} expressions", "with valence, arousal or dominance alone"
    kinds = {expressions: len(index) - without, affect: without}
    told = [f"{rows} {kind}" for kind, rows in kinds.items() if rows]
    said = ": " + ", ".join(told) if len(told) > 1 else f" {affect if without else expressions}"
    return f"{len(index)} aligned faces of {size_px} px{said}"


def name_splits(index: pa.Table) -> list[str]:
    """Return the names of the splits as their shards are called: train, ..., then those of rows without a class."""
    classed = pc.is_valid(index["label"])
    with_class, without = (set(index.filter(mask)["split"].to_pylist()) for mask in (classed, pc.invert(classed)))
    unclassed = [f"{UNCLASSED_PREFIX}{split}" for split in SPLITS if split in without]
    return [*(split for split in SPLITS if split in with_class), *unclassed]


def _distribution(split: str, containers: Sequence[str]) -> list[dict[str, Any]]:
    return [
        {
            "@type": "cr:FileSet",
            "@id": f"{kind}-{split}",
            "name": f"{kind}-{split}",
            "description": f"The {split} rows as {kind}; snapshot.json holds the md5 of each file.",
            "encodingFormat": container.media_type,
            "includes": f"{kind}/{split}-*.{container.suffix}",
        }
        for kind, container in CONTAINERS.items()
        if kind in containers
    ]


def _samples(split: str) -> dict[str, Any]:
    fields = []
    for field in SHARD_SCHEMA:
        source: dict[str, Any] = {"fileSet": {"@id": f"parquet-{split}"}, "extract": {"column": field.name}}
        # Hugging Face's picture is a struct of bytes and path; the picture itself is in `bytes`.
        if field.name == "image":
            source["transform"] = {"jsonPath": "bytes"}
        fields.append(
            {
                "@type": "cr:Field",
                "@id": f"{split}/{field.name}",
                "name": field.name,
                "description": _MEANINGS[field.name],
                "dataType": _data_type(field.type),
                "source": source,
                **_array(field.type),
            }
        )
    # With oversampling, a sample_id alone is not unique.
    key = [{"@id": f"{split}/sample_id"}, {"@id": f"{split}/copy"}]
    return {"@type": "cr:RecordSet", "@id": split, "name": split, "key": key, "field": fields}


def _array(arrow_type: pa.DataType) -> dict[str, Any]:
    if not pa.types.is_fixed_size_list(arrow_type):
        return {}
    return {"isArray": True, "arrayShape": str(arrow_type.list_size)}


def _data_type(arrow_type: pa.DataType) -> str:
    if pa.types.is_struct(arrow_type):
        return "sc:ImageObject"
    if pa.types.is_fixed_size_list(arrow_type) or pa.types.is_floating(arrow_type):
        return "sc:Float"
    if pa.types.is_boolean(arrow_type):
        return "sc:Boolean"
    return "sc:Integer" if pa.types.is_integer(arrow_type) else "sc:Text"


def _counts(index: pa.Table) -> list[dict[str, Any]]:
    keys = ["split", "dataset", "label"]
    grouped = index.group_by(keys, use_threads=False).aggregate([([], "count_all")]).to_pylist()
    found = {tuple(row[key] for key in keys): row["count_all"] for row in grouped}
    cells = sorted({(split, dataset) for split, dataset, _ in found})
    return [
        {"split": split, "dataset": dataset, "class": name, "rows": found.get((split, dataset, number), 0)}
        for split, dataset in cells
        for number, name in (*enumerate(CLASSES), (None, UNCLASSED))
        if number is not None or (split, dataset, number) in found
    ]


def _inline(name: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    fields = [
        {
            "@type": "cr:Field",
            "@id": f"{name}/{key}",
            "name": key,
            "dataType": "sc:Integer" if isinstance(value, int) else "sc:Text",
        }
        for key, value in rows[0].items()
    ]
    data = [{f"{name}/{key}": value for key, value in row.items()} for row in rows]
    return {"@type": "cr:RecordSet", "@id": name, "name": name, "field": fields, "data": data}
