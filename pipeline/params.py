"""params.yaml as frozen models: no defaults, no unknown keys, and an error that names the key and what it may be."""

from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pipeline.errors import ParamsError

Share = Annotated[float, Field(ge=0, lt=1)]
Count = Annotated[int, Field(ge=1)]
Role = Literal["train", "test", "both"]


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


class DemoParams(Section):
    """How the demo's raw trees are rendered."""

    seed: int
    faces: Annotated[int, Field(ge=64, le=100_000)]


class IngestParams(Section):
    """What the readers choose where a dump offers more than one way."""

    ckplus_peak_frames: Count
    ckplus_neutral_frames: Annotated[int, Field(ge=0)]
    rafdb_pictures: Literal["original", "aligned"]


class AlignParams(Section):
    """How faces are found and cropped. `size_px` is the side of the square crop."""

    size_px: Annotated[int, Field(ge=16, le=2048)]
    margin: Annotated[float, Field(ge=0, lt=0.5)]
    border: Literal["constant", "replicate", "reflect"]
    cascade: Annotated[list[str], Field(min_length=1)]


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


class TrainParams(Section):
    """The network and how it is trained."""

    model: str
    epochs: Count
    batch_size: Count
    learning_rate: Annotated[float, Field(gt=0)]


class EvaluateParams(Section):
    """How a checkpoint is tested."""

    batch_size: Count


class Params(Section):
    """The whole of params.yaml."""

    seed: Annotated[int, Field(ge=0)]
    datasets: Annotated[dict[str, Dataset], Field(min_length=1)]
    demo: DemoParams
    ingest: IngestParams
    align: AlignParams
    equalize: EqualizeParams
    harmonize: HarmonizeParams
    split: SplitParams
    shard: ShardParams
    train: TrainParams
    evaluate: EvaluateParams


def read_params(path: Path) -> Params:
    """Read and check params.yaml.

    Raises:
        ParamsError: missing, not YAML, an unknown key, or a value that is not allowed; names the key.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ParamsError(f"{path}: cannot be read: {error.strerror}; run prep from the project's root") from None
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
    key = ".".join(str(part) for part in detail["loc"])
    match detail["type"]:
        case "extra_forbidden":
            return f"{key}: unknown key"
        case "missing":
            return f"{key}: missing"
        case _:
            return f"{key}: {detail['msg'][:1].lower()}{detail['msg'][1:]}, not {detail['input']!r}"
