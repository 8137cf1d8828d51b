"""The sections of params.yaml for the stages from raw trees to shards, and for the data card."""

import re
from typing import Annotated, Any, Final, Literal, Self, TypeVar

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag, model_validator
from pydantic_core import PydanticCustomError

from pipeline.core.catalog import TABLES
from pipeline.core.emotions import CLASSES
from pipeline.core.params.section import PLAIN_TAG, TABLE_TAG, Count, Section, Seed, Share, UnitShare

# A dataset's name is part of folder names, of every sample_id and of the names of stages in dvc.yaml, where DVC would
# take a dot for the separator of two keys.
DatasetName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]
# dvc.yaml passes the path to a shell in single quotes, so it may contain neither these nor control characters.
RawPath = Annotated[str, Field(pattern=r"^[^'\\\x00-\x1f]*[^'\\\x00-\x1f./][^'\\\x00-\x1f]*$")]
Role = Literal["train", "test", "both"]
Container = Literal["parquet", "webdataset"]
# What `columns` of a dataset may say: the columns of a csv, the csv itself, the folder that its paths are relative to,
# and a regular expression with one group that takes the subject from a picture's file name.
TableKey = Literal[
    "file", "images", "subject_pattern", "path", "label", "subject", "sequence", "split",
    "gender", "age", "race", "valence", "arousal", "dominance", "x0", "y0", "x1", "y1", "width", "height",
]  # fmt: skip

_AFFECT: Final = ("valence", "arousal", "dominance")


class ScaledColumn(Section):
    """A column of a csv whose affect is on another scale than -1 to 1."""

    column: str
    scale: Annotated[list[float], Field(min_length=2, max_length=2)]

    @model_validator(mode="after")
    def _check_scale(self) -> Self:
        if self.scale[0] >= self.scale[1]:
            raise PydanticCustomError("explained", "scale: expected [lowest, highest]")
        return self


def _column_kind(value: Any) -> str:
    return TABLE_TAG if isinstance(value, dict | ScaledColumn) else PLAIN_TAG


def _number_as_text(value: Any) -> Any:
    """Return the name of a column that YAML took for a number: those of a list are called 1, 2 and so on."""
    return str(value) if type(value) is int else value


Column = Annotated[
    Annotated[ScaledColumn, Tag(TABLE_TAG)] | Annotated[str, BeforeValidator(_number_as_text), Tag(PLAIN_TAG)],
    Discriminator(_column_kind),
]


def _with_text_keys(value: Any) -> Any:
    return {str(key): meaning for key, meaning in value.items()} if isinstance(value, dict) else value


class Dataset(Section):
    """One raw dataset.

    `test_per_class` caps the test rows of each of its classes, if a protocol asks for it; null: all are tested.
    `classes` maps codes or folder names to labels, if the layout does not. `align` and `select` override keys of these
    sections for this dataset. `terms` names the format in `prep formats` whose terms apply to its pictures; null: those
    of its own format, or of the dataset that it is named after.
    """

    src: RawPath
    format: str
    role: Role
    test_per_class: Count | None = None
    classes: (
        Annotated[
            dict[str, Annotated[str, Field(pattern=r"\S")]], BeforeValidator(_with_text_keys), Field(min_length=1)
        ]
        | None
    ) = None
    align: dict[str, Any] = Field(default_factory=dict)
    select: dict[str, Any] = Field(default_factory=dict)
    terms: str | None = None


class TableDataset(Dataset):
    """A raw dataset whose csv has unusual columns: `columns` maps a role to a column, and says where pictures are."""

    columns: Annotated[dict[TableKey, Column], Field(min_length=1)]

    @model_validator(mode="after")
    def _check_columns(self) -> Self:
        """Refuse what would be silently ignored: columns of a layout without a csv, a pattern without a group."""
        if self.format not in {"auto", *TABLES}:
            for key in sorted(self.columns.keys() - {"subject_pattern"}):
                given = {"key": key, "fmt": self.format}
                raise PydanticCustomError("explained", "columns.{key}: {fmt} has no such column", given)
        for key, column in self.columns.items():
            if isinstance(column, ScaledColumn) and key not in _AFFECT:
                given = {"key": key, "known": ", ".join(_AFFECT)}
                raise PydanticCustomError("explained", "columns.{key}: only {known} have a scale", given)
        pattern = self.named_columns().get("subject_pattern")
        if pattern is not None and not _takes_one(pattern):
            raise PydanticCustomError("explained", "columns.subject_pattern: not a regular expression with one group")
        return self

    def named_columns(self) -> dict[str, str]:
        """Return `columns` as plain role -> name, for readers, which do not know params.yaml."""
        named = self.columns.items()
        return {str(role): one.column if isinstance(one, ScaledColumn) else one for role, one in named}

    def scales(self) -> dict[str, tuple[float, float]]:
        """Return the lowest and highest value of each column of affect that `columns` gives a scale of its own."""
        named = self.columns.items()
        return {str(role): (one.scale[0], one.scale[1]) for role, one in named if isinstance(one, ScaledColumn)}


def _takes_one(pattern: str) -> bool:
    try:
        return re.compile(pattern).groups == 1
    except re.error:
        return False


def _kind(entry: Any) -> str:
    named = "columns" in entry if isinstance(entry, dict) else isinstance(entry, TableDataset)
    return TABLE_TAG if named else PLAIN_TAG


AnyDataset = Annotated[
    Annotated[TableDataset, Tag(TABLE_TAG)] | Annotated[Dataset, Tag(PLAIN_TAG)],
    Discriminator(_kind),
]


class DemoParams(Section):
    """How the demo's raw trees are rendered."""

    seed: Seed
    faces: Annotated[int, Field(ge=64, le=100_000)]


class VideoParams(Section):
    """Which frames of a video become samples; `first` and `last` are seconds after its first frame."""

    fps: Annotated[float, Field(gt=0)] | None
    first: Annotated[float, Field(ge=0)]
    last: Annotated[float, Field(ge=0)] | None
    keyframes: bool

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        if self.last is not None and self.last < self.first:
            raise PydanticCustomError("explained", "last: expected at least first")
        return self


class IngestParams(Section):
    """What readers use when a raw dataset can be read in more than one way."""

    ckplus_peak_frames: Count
    ckplus_neutral_frames: Annotated[int, Field(ge=0)]
    rafdb_pictures: Literal["original", "aligned"]
    affectnet_lists: Literal["manual", "automatic", "both"]
    cremad_labels: Literal["meant", "seen"]
    accept_mismatch: list[str]
    video: VideoParams


class DecideParams(Section):
    """What counts where people decide differently about a sample, and what becomes of one that nobody decided."""

    conflicts: Literal["majority", "unanimous"]
    undecided: Literal["keep", "reject"]


class AlignParams(Section):
    """How faces are found and cropped. `size_px` is the side of the square crop; params.yaml explains the rest."""

    size_px: Annotated[int, Field(ge=16, le=2048)]
    margin: Annotated[float, Field(ge=0, lt=0.5)]
    border: Literal["constant", "replicate", "reflect"]
    cascade: Annotated[list[str], Field(min_length=1)]
    yunet_file: str | None
    refine: Literal["none", "upright", "mirrored"]
    max_decode_mb: Count
    deadline_s: Annotated[float, Field(gt=0)]
    max_points_outside: Annotated[int, Field(ge=0, le=5)]
    max_picture_share: Annotated[float, Field(gt=0)]


class SelectParams(Section):
    """Which of the faces that were found count. params.yaml explains each limit; a face at it passes."""

    min_score: UnitShare
    min_box_iou: UnitShare
    min_face_px: Annotated[float, Field(ge=0)]
    min_frontality: UnitShare
    min_sharpness: Annotated[float, Field(ge=0)]
    min_brightness: UnitShare
    max_brightness: UnitShare
    max_outside_share: UnitShare


class EqualizeParams(Section):
    """Denoising, intensity normalization and histogram equalization; `clip_limit` and `tiles` are for CLAHE."""

    denoise: Literal["none", "median", "bilateral"]
    denoise_px: Literal[3, 5, 7, 9]
    denoise_levels: Annotated[float, Field(gt=0, le=255)]
    normalize: Literal["none", "stretch", "local"]
    method: Literal["none", "hist", "clahe"]
    space: Literal["luma", "channels"]
    clip_limit: Annotated[float, Field(gt=0, le=40)]
    tiles: Annotated[int, Field(ge=1, le=64)]


def _in_order(values: list[str]) -> list[str]:
    if not set(values) <= set(CLASSES):
        raise PydanticCustomError("class", "expected some of {known}", {"known": ", ".join(CLASSES)})
    return [name for name in CLASSES if name in values]


class HarmonizeParams(Section):
    """The label policy: which classes there are (null: all eight), and how rows with more than one label get one."""

    classes: Annotated[list[str], AfterValidator(_in_order), Field(min_length=2)] | None

    votes: Literal["majority", "probability", "distribution"]
    compound: Literal["reject", "dominant", "distribution"]
    multi_label: Literal["reject", "vote", "priority"]
    affect: Literal["check", "ignore"]


def _known_folds(value: Any) -> Any:
    if isinstance(value, str) and value != "people":
        raise PydanticCustomError("folds", "expected a number or 'people'")
    return value


class SplitParams(Section):
    """How rows without an official split are divided, and what must stay together."""

    train_share: Annotated[float, Field(gt=0, lt=1)]
    val_share: Share
    held_out: Literal["official", "all"]
    tolerance_points: Annotated[float, Field(ge=0, le=100)]
    keep: str | None
    duplicates: Literal["none", "identical", "near"]
    duplicate_similarity: Annotated[float, Field(gt=0, le=1)]
    contradictions: Literal["reject", "soften", "keep"]
    contradiction_similarity: Annotated[float, Field(gt=0, le=1)]
    identities: Literal["none", "dlib"]
    identity_distance: Annotated[float, Field(gt=0, lt=2)]
    folds: Annotated[Annotated[int, Field(ge=0, le=1000)] | Literal["people"], BeforeValidator(_known_folds)]
    fold: Annotated[int, Field(ge=0)]
    fold_order: Literal["balanced", "subject"]


_T = TypeVar("_T", bound=str)


def _each_once(values: list[_T]) -> list[_T]:
    return sorted(set(values))


class ShardParams(Section):
    """Which training rows go into the shards; `train_on` limits validation rows, too, and nothing limits test rows."""

    train_on: Annotated[list[DatasetName], Field(min_length=1), AfterValidator(_each_once)] | None
    balance: Literal["none", "cap", "undersample", "oversample", "weights"]
    train_per_class: Count
    balance_over: Literal["class", "dataset_and_class"]
    max_copies: Annotated[int, Field(ge=1, le=1000)]
    weighting: Literal["inverse", "effective"]
    effective_beta: Annotated[float, Field(ge=0, lt=1)]
    containers: Annotated[list[Container], Field(min_length=1), AfterValidator(_each_once)]
    rows_per_shard: Count
    world_size: Count

    @model_validator(mode="before")
    @classmethod
    def _check_gone(cls, values: Any) -> Any:
        """Name the successor of the cap that all datasets once shared."""
        if isinstance(values, dict) and "test_per_class" in values:
            raise PydanticCustomError(
                "explained", "test_per_class: test sets are whole now; to cap one give datasets.NAME.test_per_class"
            )
        return values


class DoubtParams(Section):
    """How doubtful samples are looked for: the features, the number of folds, and of faces on the map."""

    features: Literal["histograms", "both"]
    folds: Annotated[int, Field(ge=2, le=100)]
    map_faces: Annotated[int, Field(ge=1, le=20_000)]


class ReportParams(Section):
    """What the data card shows."""

    faces_per_class: Annotated[int, Field(ge=1, le=1000)]
    faces_per_cell: Annotated[int, Field(ge=1, le=1000)]
    rejects_per_reason: Annotated[int, Field(ge=1, le=1000)]
