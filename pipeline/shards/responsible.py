"""The responsible-AI part of `croissant.json` (ML Commons Croissant RAI 1.0): what is known of the data, and what not.

Every sentence follows from the tables and the contract of the shards, or is true of all such shards. What only the
authors of a source dataset know, such as who annotated it and when, is left to them, and is not guessed.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

import pyarrow as pa

from pipeline.core.emotions import CLASSES
from pipeline.core.schema import ATTRIBUTES

CONFORMS_TO: Final = "http://mlcommons.org/croissant/RAI/1.0"
_MISUSE: Final = "not to infer what a person feels or intends, nor to judge people at work, at school or in court"
USES: Final = (
    "training and testing classifiers of posed or apparent facial expressions",
    "research on alignment, labels and splits of such datasets",
)
LIMITATIONS: Final = (
    "A label is how annotators named a face, or what an actor was told to show; it is not what the person felt.",
    "Labels of several datasets were mapped to eight classes, which loses distinctions that their authors made.",
    "Faces that no detector found are missing, and these are not a random part: turned, dark, small and covered faces.",
    f"Use it {_MISUSE}. The EU AI Act (2024/1689, article 5) prohibits inferring emotions at work and in education.",
)
PERSONAL: Final = (
    "Every row shows a face, which is personal data and, used to identify a person, biometric data (GDPR, article 9). "
    "Names of people in a dataset (subject_id) are pseudonyms of its authors. Consent, where any was given, was given "
    "to the authors of the source dataset."
)


def build_responsible(
    index: pa.Table,
    missing: pa.Table,
    people: pa.Table,
    sources: Sequence[Mapping[str, Any]],
    contract: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the `rai:` properties of the shards.

    Args:
        index: rows of `schema.INDEX`.
        missing: the labelled rows without a selected face, with their reason.
        people: `schema.ATTRIBUTES` of the written rows.
        sources: the source datasets, as `croissant.json` lists them.
        contract: the merged preprocessing contract.
    """
    rendered = contract.get("rendered", [])
    named = "; ".join(
        f"{source['dataset']} ({source['title']}, {source['url'] or 'no address known'})" for source in sources
    )
    made = f" Rendered by this project and of no real person: {', '.join(rendered)}." if rendered else ""
    return {
        "rai:dataCollection": f"By the authors of the source datasets: {named}. None for these shards.{made}",
        "rai:dataCollectionType": ["Secondary Data Analysis", *(["Others"] if rendered else [])],
        "rai:dataCollectionRawData": "The raw trees of the source datasets, as they ship; snapshot.json leads to "
        "DVC's md5 of each.",
        "rai:dataCollectionMissingData": _missing(index, missing),
        "rai:dataPreprocessingProtocol": _preprocessing(contract),
        "rai:dataAnnotationProtocol": _annotation(contract),
        "rai:annotatorDemographics": "Not known to this project; the authors of the source datasets may tell.",
        "rai:dataBiases": [_classes(index, contract.get("classes", CLASSES)), *_people(people)],
        "rai:dataUseCases": list(USES),
        "rai:dataLimitations": list(LIMITATIONS),
        "rai:dataSocialImpact": f"What reads faces can be turned on people who did not agree to it: {_MISUSE}.",
        "rai:personalSensitiveInformation": [PERSONAL, "Gender, age and race as the authors of a dataset give them."],
        "rai:dataReleaseMaintenancePlan": "A withdrawn consent or a corrected label gives shards with another "
        "snapshot id; whoever passed these on must withdraw them.",
    }


def _missing(index: pa.Table, missing: pa.Table) -> str:
    reasons = Counter(missing["reason"].to_pylist())
    told = ", ".join(f"{count} {reason}" for reason, count in sorted(reasons.items()))
    return f"{len(missing)} labelled samples have no selected face ({told or 'none'}); {len(index)} rows are written."


def _preprocessing(contract: Mapping[str, Any]) -> list[str]:
    align, equalize = contract["align"], contract.get("equalize") or {}
    by = ", ".join(f"{key} {value}" for key, value in sorted(equalize.items())) or "not recorded"
    return [
        f"Each face was found and warped by a similarity to the template {align.get('template')}, {align['size_px']} "
        f"px, margin {align.get('margin')}.",
        f"Equalization: {by}.",
        "Groups of samples that share a person, a sequence or a picture are in one split.",
    ]


def _annotation(contract: Mapping[str, Any]) -> list[str]:
    mapped = [
        f"{dataset}: the release's own labels, mapped by the taxonomy {of.get('name')} version {of.get('version')}."
        for dataset, of in sorted((contract.get("taxonomy") or {}).items())
        if of
    ]
    return [*mapped, f"The classes are {', '.join(contract.get('classes', CLASSES))}."]


def _classes(index: pa.Table, classes: Sequence[str]) -> str:
    counts = Counter(CLASSES[label] for label in index["label"].drop_null().to_pylist())
    if not counts:
        return "No row has a class."
    shares = ", ".join(f"{name} {counts[name] / counts.total():.1%}" for name in classes)
    return f"Of the rows with a class: {shares}."


def _people(people: pa.Table) -> list[str]:
    """Return the share of each gender, age and race that the datasets name, or that they name none."""
    said = []
    for name in ATTRIBUTES:
        counts = Counter("not said" if value is None else value for value in people[name].to_pylist())
        shares = ", ".join(f"{value} {count / len(people):.1%}" for value, count in sorted(counts.items()))
        known = counts.keys() - {"not said"}
        said.append(
            f"By {name}: {shares}." if known else f"No source dataset says the {name} of anybody in these rows."
        )
    return said
