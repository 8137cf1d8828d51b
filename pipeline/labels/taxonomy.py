"""Taxonomies: what a dataset's native label names mean in the eight classes, from ``taxonomies/<format>.yaml``.

A taxonomy maps each native *name*, never a number, to one class, to weights over several, or to ``reject: why``. Each
entry names the source of the choice. Names are compared without case, spaces, hyphens and underscores. A spelling in
``synonyms.yaml`` (angry, Anger, ANGRY) finds a native name only if that is a spelling of the same word, so a taxonomy
without contempt refuses ``contemptuous``.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from pipeline.core.emotions import CLASSES
from pipeline.core.errors import DataError
from pipeline.core.synonyms import bare, normalize, synonyms

FOLDER: Final = Path(__file__).with_name("taxonomies")
_SHARED: Final = ("synonyms", "affect")  # files for all taxonomies that are not taxonomies themselves
# Weights such as 1/3 cannot be written exactly.
_WEIGHT_TOLERANCE: Final = 1e-6

Weight = Annotated[float, Field(gt=0, le=1)]
Interval = Annotated[list[float], Field(min_length=2, max_length=2)]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, populate_by_name=True)


class TaxonomyEntry(_Model):
    """What one native name means: exactly one of `to`, `weights` and `reject`.

    `to` is a class (``class:`` in the file). `weights` is a distribution over classes; `head` is the one that becomes
    the hard label if weights are equal. `reject` says why the name is none of the eight classes. `source` is a key of
    the taxonomy's sources. `also` lists other spellings of the name in copies of the dataset.
    """

    to: str | None = Field(default=None, alias="class")
    weights: dict[str, Weight] | None = None
    head: str | None = None
    reject: str | None = None
    source: str
    why: str | None = None
    also: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _one_meaning(self) -> Self:
        if sum(value is not None for value in (self.to, self.weights, self.reject)) != 1:
            raise ValueError("exactly one of class, weights and reject")
        unknown = set(self.shares()) - set(CLASSES)
        if unknown:
            raise ValueError(f"no such class: {', '.join(sorted(unknown))}; the classes are {', '.join(CLASSES)}")
        if self.weights and abs(sum(self.weights.values()) - 1) > _WEIGHT_TOLERANCE:
            raise ValueError(f"weights add up to {sum(self.weights.values())}, not 1")
        if (self.head is not None) and self.head not in (self.weights or {}):
            raise ValueError(f"head {self.head!r} is none of the weights")
        return self

    def shares(self) -> Mapping[str, float]:
        """Return the weight of each class; empty for a name that is rejected."""
        return {self.to: 1.0} if self.to is not None else (self.weights or {})


class Affect(_Model):
    """The intervals of valence and arousal, within [-1, 1], that are compatible with a class."""

    valence: Interval = [-1.0, 1.0]
    arousal: Interval = [-1.0, 1.0]


class Taxonomy(_Model):
    """The label names of one dataset.

    `votes` says, for datasets with votes, whether an annotator chose one name or several. `priority` ranks the classes
    for rows with several names. `affect` gives the valence and arousal of each class; without this key, the bounds are
    those of ``affect.yaml``.
    """

    name: str
    version: Annotated[int, Field(ge=1)]
    sources: dict[str, str]
    labels: Annotated[dict[str, TaxonomyEntry], Field(min_length=1)]
    votes: Literal["one", "several"] = "one"
    priority: tuple[str, ...] = ()
    affect: dict[str, Affect] = {}

    @model_validator(mode="after")
    def _complete(self) -> Self:
        for label, entry in self.labels.items():
            if entry.source not in self.sources:
                raise ValueError(f"{label}: source {entry.source!r} is none of {', '.join(self.sources)}")
        for place, classes in (("priority", self.priority), ("affect", tuple(self.affect))):
            if set(classes) - set(CLASSES) or len(set(classes)) != len(classes):
                raise ValueError(f"{place}: each of {', '.join(CLASSES)} at most once")
        return self

    @property
    def digest(self) -> str:
        """Return 12 hex digits of the SHA-256 of the taxonomy's content, without comments and layout."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def contract(self) -> dict[str, Any]:
        """Return what the shards and the checkpoint record of the taxonomy."""
        return {"name": self.name, "version": self.version, "digest": self.digest}


class Lookup:
    """Finds the entry of a label in any of its spellings."""

    def __init__(self, taxonomy: Taxonomy) -> None:
        self.taxonomy = taxonomy
        self._entries: dict[str, tuple[str, TaxonomyEntry]] = {}
        for label, entry in taxonomy.labels.items():
            for spelling in (label, *entry.also):
                self._add(normalize(spelling), label, entry)
        words = {word: key for key in self._entries if (word := synonyms().get(key))}
        self._words = {word: self._entries[key] for word, key in words.items()}

    def find(self, label: str) -> tuple[str, TaxonomyEntry] | None:
        """Return the native name and its entry; None for a label that the taxonomy does not know.

        If nothing has this name, what is usual beside it is left out ("1_Surprise", "Angry Faces"). A number alone is
        not matched, because it has no meaning without the dataset's own list.
        """
        for key in (normalize(label), bare(label)):
            if found := self._entries.get(key) or self._words.get(synonyms().get(key, "")):
                return found
        return None

    def _add(self, key: str, label: str, entry: TaxonomyEntry) -> None:
        if self._entries.get(key, (label,))[0] != label:
            raise DataError(
                f"taxonomies/{self.taxonomy.name}.yaml: {label!r} and {self._entries[key][0]!r} are one name"
            )
        self._entries[key] = (label, entry)


def list_taxonomies() -> list[str]:
    """Return the names of all taxonomies, sorted."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml") if path.stem not in _SHARED)


def read_taxonomy(name: str) -> Taxonomy:
    """Read the taxonomy of a format. ``extends: <name>`` takes over another's entries, except those in ``without``.

    Raises:
        DataError: there is no such taxonomy, or its file breaks a rule; names the file and the entry.
    """
    if name not in list_taxonomies():
        raise DataError(
            f"taxonomies/{name}.yaml: no taxonomy for format {name!r}; there are {', '.join(list_taxonomies())}"
        )
    content = _resolve(name, ())
    content.setdefault("affect", _read_yaml("affect").get("classes"))
    try:
        return Taxonomy.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise DataError(f"taxonomies/{name}.yaml: {where}: {first['msg']}") from None


def _resolve(name: str, seen: tuple[str, ...]) -> dict[str, Any]:
    content = _read_yaml(name)
    base_name = content.pop("extends", None)
    without = content.pop("without", [])
    if base_name is None:
        return content
    if base_name in (*seen, name):  # also through other taxonomies
        raise DataError(f"taxonomies/{name}.yaml: extends itself")
    base = _resolve(base_name, (*seen, name))
    unknown = [label for label in without if label not in base["labels"]]
    if unknown:
        raise DataError(f"taxonomies/{name}.yaml: without {unknown[0]!r}, which {base_name} does not have")
    kept = {label: entry for label, entry in base["labels"].items() if label not in without}
    merged = {**base, **content}
    merged["sources"] = {**base["sources"], **content.get("sources", {})}
    merged["labels"] = {**kept, **content.get("labels", {})}
    return merged


def _read_yaml(name: str) -> dict[str, Any]:
    path = f"taxonomies/{name}.yaml"
    try:
        content = yaml.safe_load((FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise DataError(f"{path}: expected 'labels:' and the names below it")
    return content
