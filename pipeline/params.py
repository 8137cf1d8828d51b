"""params.yaml as frozen models: no defaults, no unknown keys, and an error that names the key and what it may be."""

import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from pipeline.errors import ParamsError

Share = Annotated[float, Field(ge=0, lt=1)]
UnitShare = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]
# What numpy and torch both take.
Seed = Annotated[int, Field(ge=0, lt=2**32)]
# It is part of folder names, of every sample_id and of the stages that dvc.yaml makes of each dataset.
DatasetName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
Role = Literal["train", "test", "both"]
# What `columns` of a dataset may say: the columns of a csv, the csv itself, the folder that its paths are relative to,
# and a regular expression with one group that takes the subject from a picture's file name.
TableKey = Literal[
    "file", "images", "subject_pattern", "path", "label", "subject", "sequence", "split",
    "valence", "arousal", "dominance", "x0", "y0", "x1", "y1", "width", "height",
]  # fmt: skip
# The tags of the two kinds of dataset; they never show in an error.
_TABLE, _PLAIN = "(table)", "(plain)"


class Section(BaseModel):
    """One part of params.yaml."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    def plain(self) -> dict[str, Any]:
        """Return the values as plain JSON, as snapshots keep them."""
        return self.model_dump(mode="json")


class Dataset(Section):
    """One raw tree."""

    src: str
    format: str
    role: Role


class TableDataset(Dataset):
    """A raw tree whose csv needs its columns named: role of a column -> its name; also where the pictures are."""

    columns: Annotated[dict[TableKey, str], Field(min_length=1)]

    def named_columns(self) -> dict[str, str]:
        """Return `columns` for readers, who do not know params.yaml."""
        return {str(role): column for role, column in self.columns.items()}


def _kind(entry: Any) -> str:
    named = "columns" in entry if isinstance(entry, dict) else isinstance(entry, TableDataset)
    return _TABLE if named else _PLAIN


AnyDataset = Annotated[
    Annotated[TableDataset, Tag(_TABLE)] | Annotated[Dataset, Tag(_PLAIN)],
    Discriminator(_kind),
]


class DemoParams(Section):
    """How the demo's raw trees are rendered."""

    seed: Seed
    faces: Annotated[int, Field(ge=64, le=100_000)]


class IngestParams(Section):
    """What the readers choose where a dump offers more than one way."""

    ckplus_peak_frames: Count
    ckplus_neutral_frames: Annotated[int, Field(ge=0)]
    rafdb_pictures: Literal["original", "aligned"]
    affectnet_lists: Literal["manual", "automatic", "both"]
    accept_mismatch: list[str]


class AlignParams(Section):
    """How faces are found and cropped. `size_px` is the side of the square crop; params.yaml explains the rest."""

    size_px: Annotated[int, Field(ge=16, le=2048)]
    margin: Annotated[float, Field(ge=0, lt=0.5)]
    border: Literal["constant", "replicate", "reflect"]
    cascade: Annotated[list[str], Field(min_length=1)]
    yunet_file: str | None
    max_pixels: Count
    min_score: UnitShare
    min_box_iou: UnitShare
    min_face_px: Annotated[float, Field(ge=0)]
    min_frontality: UnitShare
    min_sharpness: Annotated[float, Field(ge=0)]
    min_brightness: UnitShare
    max_brightness: UnitShare
    max_outside_share: UnitShare


class EqualizeParams(Section):
    """Histogram equalization; `clip_limit` and `tiles` are for CLAHE."""

    method: Literal["none", "hist", "clahe"]
    space: Literal["luma", "channels"]
    clip_limit: Annotated[float, Field(gt=0, le=40)]
    tiles: Annotated[int, Field(ge=1, le=64)]


class HarmonizeParams(Section):
    """What becomes of labels that are not one class."""

    votes: Literal["majority", "distribution"]
    mixed: Literal["dominant", "distribution"]
    several: Literal["reject", "vote", "priority"]
    affect: Literal["check", "ignore"]


class SplitParams(Section):
    """How rows without an official split are shared out."""

    train_share: Annotated[float, Field(gt=0, lt=1)]
    val_share: Share
    held_out: Literal["official", "all"]
    tolerance_points: Annotated[float, Field(ge=0, le=100)]
    duplicates: Literal["none", "identical", "near"]
    duplicate_similarity: Annotated[float, Field(gt=0, le=1)]
    identities: Literal["none", "dlib"]
    identity_distance: Annotated[float, Field(gt=0, lt=2)]
    folds: Annotated[int, Field(ge=0, le=1000)]
    fold: Annotated[int, Field(ge=0)]
    fold_order: Literal["balanced", "subject"]


class ShardParams(Section):
    """How many of each class go into the shards."""

    balance: Literal["none", "cap", "undersample", "oversample", "weights"]
    train_per_class: Count
    test_per_class: Count
    balance_over: Literal["class", "dataset_and_class"]
    max_copies: Annotated[int, Field(ge=1, le=1000)]
    weighting: Literal["inverse", "effective"]
    effective_beta: Annotated[float, Field(ge=0, lt=1)]
    rows_per_shard: Count
    processes: Count


class AugmentParams(Section):
    """How strongly each operation changes a face while training; 0 leaves it out.

    `shift`, `zoom`, `crop` and `pad` are shares of the side, `flip` and `erase` probabilities, `noise` a standard
    deviation for pixels in [0, 1], `blur_px` the largest sigma; `brightness` and `contrast` are relative.
    """

    shift: Share
    shear_deg: Annotated[float, Field(ge=0, le=45)]
    zoom: Share
    flip: Annotated[float, Field(ge=0, le=1)]
    rotation_deg: Annotated[float, Field(ge=0, le=180)]
    crop: Share
    pad: Share
    noise: Annotated[float, Field(ge=0, le=1)]
    blur_px: Annotated[float, Field(ge=0, le=10)]
    brightness: Share
    contrast: Share
    erase: Annotated[float, Field(ge=0, le=1)]


class TrainParams(Section):
    """The network and how it is trained. `preset` names one of `presets`, whose keys replace those beside it.

    `weights` is none, hub (the published ones) or a file; `size_px` null takes the network's own; `margin` is what is
    left of align.margin around the face, so that the network sees the same whatever was aligned. For `head_epochs`
    the base is frozen, then its last `open_blocks` blocks train too (null: all) at `fine_tune_rate`, until `epochs`.
    """

    preset: str
    model: str
    task: Literal["emotion", "valence", "arousal", "affect"]
    size_px: Annotated[int, Field(ge=16, le=1024)] | None
    margin: Annotated[float, Field(ge=0, lt=0.5)]
    weights: str
    weights_sha256: Annotated[str, Field(pattern=r"^[0-9a-fA-F]{8,64}$")] | None
    epochs: Count
    head_epochs: Annotated[int, Field(ge=0)]
    open_blocks: Annotated[int, Field(ge=0)] | None
    fine_tune_rate: Annotated[float, Field(gt=0)]
    batch_size: Annotated[int, Field(ge=2)]
    optimizer: Literal["adam", "adamw", "sgd"]
    learning_rate: Annotated[float, Field(gt=0)]
    weight_decay: Annotated[float, Field(ge=0)]
    schedule: Literal["constant", "exponential", "cosine"]
    decay: Annotated[float, Field(gt=0, le=1)]
    warmup_epochs: Annotated[float, Field(ge=0)]
    clip_norm: Annotated[float, Field(ge=0)]
    label_smoothing: Share
    soft_labels: bool
    class_weights: Annotated[float, Field(ge=0, le=1)]
    mixup: Annotated[float, Field(ge=0)]
    ema: Share
    flips: bool
    affect_loss: Literal["mse", "ccc"]
    select: Literal["balanced_accuracy", "loss", "last"]
    patience: Annotated[int, Field(ge=0)]
    augment: Literal["none", "thesis", "strong"]
    precision: Literal["auto", "fp32", "bf16"]
    compile: bool
    channels_last: bool
    threads: Count
    cache_mb: Annotated[int, Field(ge=0)]
    checkpoint_steps: Annotated[int, Field(ge=0)]
    augmentations: dict[Literal["thesis", "strong"], AugmentParams]
    presets: dict[str, dict[str, Any]]

    @model_validator(mode="after")
    def _check_presets(self) -> Self:
        """Hold every preset to the same rules, whether it is chosen or not."""
        if self.preset != "none" and self.preset not in self.presets:
            known = ", ".join(("none", *self.presets))
            raise PydanticCustomError("preset", "preset: expected one of {known}", {"known": known})
        if self.presets:
            for name in self.presets:
                self._with(name)
        return self

    def resolved(self) -> Self:
        """Return the parameters with the chosen preset applied, and no presets left."""
        return self if self.preset == "none" else self._with(self.preset)

    def _with(self, name: str) -> Self:
        try:
            return self.model_validate({**self.plain(), **self._values(name, ()), "preset": "none", "presets": {}})
        except ValidationError as error:
            raise PydanticCustomError(
                "preset", "presets.{name}.{why}", {"name": name, "why": _explain(error)}
            ) from None

    def _values(self, name: str, above: tuple[str, ...]) -> dict[str, Any]:
        """Return the keys of a preset, on top of those of the one it names as its own `preset`."""
        if name not in self.presets or name in above:
            raise PydanticCustomError(
                "preset", "presets: {name} has no other preset to begin with", {"name": above[-1]}
            )
        values = dict(self.presets[name])
        base = values.pop("preset", "none")
        return values if base == "none" else {**self._values(base, (*above, name)), **values}


class PersonalizeParams(Section):
    """How a network is fine-tuned on one person; `open_blocks` of its base train beside the head (null: all)."""

    draws: Annotated[int, Field(ge=1, le=1000)]
    steps: Count
    learning_rate: Annotated[float, Field(gt=0)]
    open_blocks: Annotated[int, Field(ge=0)] | None


class EvaluateParams(Section):
    """How a checkpoint is tested. `bootstrap_draws` are of the 95% intervals, `calibration_bins` of confidence."""

    batch_size: Count
    bootstrap_draws: Annotated[int, Field(ge=100, le=100_000)]
    calibration_bins: Annotated[int, Field(ge=2, le=100)]
    saliency_per_class: Annotated[int, Field(ge=0, le=10_000)]
    mistakes: Annotated[int, Field(ge=0, le=1000)]
    threads: Count


class ReportParams(Section):
    """What the data card shows."""

    contact_faces: Annotated[int, Field(ge=1, le=1000)]


class Params(Section):
    """The whole of params.yaml."""

    seed: Seed
    datasets: Annotated[dict[DatasetName, AnyDataset], Field(min_length=1)]
    demo: DemoParams
    ingest: IngestParams
    align: AlignParams
    equalize: EqualizeParams
    harmonize: HarmonizeParams
    split: SplitParams
    shard: ShardParams
    train: TrainParams
    personalize: PersonalizeParams
    evaluate: EvaluateParams
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


class _DuplicateKeyError(yaml.YAMLError):
    """A key is given twice in one mapping."""


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader with the floats of YAML 1.2, as DVC writes them (3e-05), and no key given twice."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        lines: dict[tuple[str, str], int] = {}
        for key, _ in node.value:
            line = key.start_mark.line + 1
            if isinstance(key, yaml.ScalarNode) and lines.setdefault((key.tag, key.value), line) != line:
                first = lines[key.tag, key.value]
                raise _DuplicateKeyError(f"line {line}: {key.value} is given a second time, after line {first}")
        return node


# Behind PyYAML's own resolvers, so that whole numbers stay whole.
_Loader.add_implicit_resolver(
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
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506 - a SafeLoader
    except OSError as error:
        raise ParamsError(f"{path}: cannot be read: {error.strerror}; run prep from the project's root") from None
    except _DuplicateKeyError as error:
        raise ParamsError(f"{path}: {error}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ParamsError(f"{path}: not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise ParamsError(f"{path}: expected sections such as 'align:', found {type(content).__name__}")
    try:
        return Params.model_validate(content)
    except ValidationError as error:
        raise ParamsError(f"{path}: {_explain(error)}") from None


def _explain(error: ValidationError) -> str:
    return "; ".join(_explain_one(detail) for detail in error.errors())


def _explain_one(detail: Any) -> str:
    key = ".".join(str(part) for part in detail["loc"] if part not in {_TABLE, _PLAIN})
    match detail["type"]:
        case "extra_forbidden":
            return f"{key}: unknown key"
        case "missing":
            return f"{key}: missing"
        case "source":
            return str(detail["msg"])
        case "string_pattern_mismatch" if detail["loc"][-1] == "[key]":
            return f"{key.removesuffix('.[key]')}: a name begins with a letter or digit, then also _ . -"
        case "preset":
            return f"{key}.{detail['msg']}"
        case _:
            return f"{key}: {detail['msg'][:1].lower()}{detail['msg'][1:]}, not {detail['input']!r}"
