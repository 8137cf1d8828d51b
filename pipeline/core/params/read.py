"""The model of params.yaml as a whole, and reading the file."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Self, TypeVar

import yaml
from pydantic import Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from pipeline.core.errors import ParamsError
from pipeline.core.params.bounded import BombError, BoundedLoader
from pipeline.core.params.preparation import (
    AlignParams,
    AnyDataset,
    DatasetName,
    DecideParams,
    DemoParams,
    DoubtParams,
    EqualizeParams,
    HarmonizeParams,
    IngestParams,
    ReportParams,
    SelectParams,
    ShardParams,
    SplitParams,
)
from pipeline.core.params.section import Section, Seed, explain
from pipeline.core.params.training import EvaluateParams, PersonalizeParams, TrainParams

_S = TypeVar("_S", bound=Section)
# Keys of `align` that one dataset may not override: crops of all datasets go through one network.
_GEOMETRY: Final = frozenset({"size_px", "margin", "border"})


class Params(Section):
    """The whole of params.yaml."""

    seed: Seed
    datasets: Annotated[dict[DatasetName, AnyDataset], Field(min_length=1)]
    demo: DemoParams
    ingest: IngestParams
    decide: DecideParams
    align: AlignParams
    select: SelectParams
    equalize: EqualizeParams
    harmonize: HarmonizeParams
    split: SplitParams
    shard: ShardParams
    train: TrainParams
    personalize: PersonalizeParams
    evaluate: EvaluateParams
    doubt: DoubtParams
    report: ReportParams

    @model_validator(mode="after")
    def _check_sources(self) -> Self:
        """Refuse a raw tree that two datasets name: its samples would be counted twice."""
        first: dict[str, str] = {}
        for name, dataset in self.datasets.items():
            other = first.setdefault(os.path.realpath(dataset.src), name)
            if other != name:
                values = {"name": name, "src": dataset.src, "other": other}
                raise PydanticCustomError("source", "datasets.{name}.src: {src} is that of {other} too", values)
        return self

    @model_validator(mode="after")
    def _check_train_on(self) -> Self:
        """Refuse to train on a dataset that is not there, or of which nothing may train."""
        for name in self.shard.train_on or ():
            if name not in self.trained():
                given = {"name": name, "known": ", ".join(self.trained()) or "none"}
                said = "shard.train_on: no dataset {name} of role train or both; there are {known}"
                raise PydanticCustomError("source", said, given)
        return self

    @model_validator(mode="after")
    def _check_own(self) -> Self:
        """Refuse overrides of a dataset that are invalid in `align` or `select`, or that all crops must share."""
        for name, dataset in self.datasets.items():
            for key in sorted(dataset.align.keys() & _GEOMETRY):
                given = {"name": name, "key": key}
                raise PydanticCustomError(
                    "source", "datasets.{name}.align.{key}: one for all datasets; set align.{key}", given
                )
            for section, own in (("align", self.align_of), ("select", self.select_of)):
                try:
                    own(name)
                except ValidationError as error:
                    said = {"name": name, "section": section, "why": explain(error, section)}
                    raise PydanticCustomError("source", "datasets.{name}.{section}.{why}", said) from None
        return self

    def trained(self) -> list[str]:
        """Return the datasets whose rows may train, in the order of params.yaml."""
        return [name for name, dataset in self.datasets.items() if dataset.role != "test"]

    def align_of(self, dataset: str) -> AlignParams:
        """Return the section `align` with the overrides of a dataset; unchanged if there is no such dataset."""
        entry = self.datasets.get(dataset)
        return _changed(self.align, entry.align) if entry else self.align

    def select_of(self, dataset: str) -> SelectParams:
        """Return the section `select` with the overrides of a dataset; unchanged if there is no such dataset."""
        entry = self.datasets.get(dataset)
        return _changed(self.select, entry.select) if entry else self.select


def _changed(section: _S, changes: Mapping[str, Any]) -> _S:
    return type(section).model_validate({**section.model_dump(), **changes})


class _DuplicateKeyError(yaml.YAMLError):
    """A key is given twice in one mapping."""


class Loader(BoundedLoader):
    """PyYAML's safe loader, with floats as in YAML 1.2, and no key given twice.

    DVC writes 0.00003 as 3e-05, which YAML 1.1, and so PyYAML, reads as a text.
    """

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        """Refuse a key that is given twice."""
        node = super().compose_mapping_node(anchor)
        lines: dict[tuple[str, str], int] = {}
        for key, _ in node.value:
            line = key.start_mark.line + 1
            if isinstance(key, yaml.ScalarNode) and lines.setdefault((key.tag, key.value), line) != line:
                first = lines[key.tag, key.value]
                raise _DuplicateKeyError(f"line {line}: {key.value} is given a second time, after line {first}")
        return node


# PyYAML asks its resolvers in order. This one comes after its own, so that whole numbers stay integers.
Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$"),
    list("-+.0123456789"),
)


def read_params(path: Path) -> Params:
    """Read and check params.yaml.

    Raises:
        ParamsError: missing, not YAML, an unknown key or one given twice, or a value that is not allowed; names it.
    """
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=Loader)  # noqa: S506 - a SafeLoader
    except OSError as error:
        raise ParamsError(f"{path}: cannot be read: {error.strerror}; run prep from the project's root") from None
    except (_DuplicateKeyError, BombError) as error:
        raise ParamsError(f"{path}: {error}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ParamsError(f"{path}: not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise ParamsError(f"{path}: expected sections such as 'align:', found {type(content).__name__}")
    try:
        return Params.model_validate(content)
    except ValidationError as error:
        raise ParamsError(f"{path}: {explain(error)}") from None
