"""The sections of params.yaml for networks: training, personalizing and evaluating."""

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from pipeline.core.params.section import Count, Section, Share, UnitShare, explain

Logger = Literal["dvclive", "mlflow", "wandb", "tensorboard"]


def _with_dvclive(names: list[Logger]) -> list[Logger]:
    if "dvclive" not in names or len(set(names)) < len(names):
        raise PydanticCustomError(
            "explained", "expected dvclive, whose files DVC expects of the stage, and each other logger once"
        )
    return names


class AugmentParams(Section):
    """How strongly each operation changes a face during training; 0 switches it off.

    `shift`, `zoom`, `crop` and `pad` are shares of the side, `flip` (left to right), `flip_vertical`, `quarter_turn`
    (by 90, 180 or 270 degrees) and `erase` probabilities, `noise` a standard deviation for pixels in [0, 1], `blur_px`
    the largest sigma; `brightness` and `contrast` are relative.
    """

    shift: Share
    shear_deg: Annotated[float, Field(ge=0, le=45)]
    zoom: Share
    flip: Annotated[float, Field(ge=0, le=1)]
    flip_vertical: Annotated[float, Field(ge=0, le=1)]
    quarter_turn: Annotated[float, Field(ge=0, le=1)]
    rotation_deg: Annotated[float, Field(ge=0, le=180)]
    crop: Share
    pad: Share
    noise: Annotated[float, Field(ge=0, le=1)]
    blur_px: Annotated[float, Field(ge=0, le=10)]
    brightness: Share
    contrast: Share
    erase: Annotated[float, Field(ge=0, le=1)]


class TrainParams(Section):
    """The network and how it is trained. `preset` names one of `presets`, whose keys replace those of this section.

    A preset is a protocol for any network, so it never sets `model`.

    `weights` is none, hub (published weights) or a file. `size_px` null means the network's own size. `margin` is how
    much of align.margin the network sees around the face, so that its input does not depend on align.margin. The base
    is frozen for `frozen_epochs`; then its last `unfreeze_blocks` blocks (null: all) train, too, at `fine_tune_rate`,
    until `epochs`.
    """

    preset: str
    model: str
    task: Literal["emotion", "valence", "arousal", "dominance", "affect", "all"]
    size_px: Annotated[int, Field(ge=16, le=1024)] | None
    margin: Annotated[float, Field(ge=0, lt=0.5)]
    input_scale: Literal["network", "unit"]
    weights: str
    weights_sha256: Annotated[str, Field(pattern=r"^[0-9a-fA-F]{8,64}$")] | None
    epochs: Count
    frozen_epochs: Annotated[int, Field(ge=0)]
    unfreeze_blocks: Annotated[int, Field(ge=0)] | None
    fine_tune_rate: Annotated[float, Field(gt=0)]
    batch_size: Annotated[int, Field(ge=2)]
    accumulate: Count
    scale_rate: Literal["none", "linear", "sqrt"]
    sync_batchnorm: bool
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
    tta_flip: bool
    affect_loss: Literal["mse", "ccc"]
    select: Literal["balanced_accuracy", "loss", "last"]
    validate_on: Literal["val", "test"]
    patience: Annotated[int, Field(ge=0)]
    augment: Literal["none", "thesis", "strong"]
    precision: Literal["auto", "fp32", "bf16", "fp16"]
    compile: bool
    channels_last: bool
    threads: Count
    cache_mb: Annotated[int, Field(ge=0)]
    checkpoint_minutes: Annotated[float, Field(ge=0)]
    loggers: Annotated[list[Logger], AfterValidator(_with_dvclive)]
    augmentations: dict[Literal["thesis", "strong"], AugmentParams]
    presets: dict[str, dict[str, Any]]

    @model_validator(mode="after")
    def _check_presets(self) -> Self:
        """Check every preset, chosen or not, so that a mistake shows before the training that uses it."""
        if self.preset != "none" and self.preset not in self.presets:
            known = ", ".join(("none", *self.presets))
            raise PydanticCustomError("explained", "preset: expected one of {known}", {"known": known})
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
            given = {"name": name, "why": explain(error, "train")}
            raise PydanticCustomError("explained", "presets.{name}.{why}", given) from None

    def _values(self, name: str, above: tuple[str, ...]) -> dict[str, Any]:
        """Return the keys of a preset, merged over those of the preset that it starts from."""
        if name not in self.presets or name in above:
            raise PydanticCustomError(
                "explained", "presets: {name} has no other preset to begin with", {"name": above[-1]}
            )
        values = dict(self.presets[name])
        if "model" in values:
            raise PydanticCustomError(
                "explained", "presets: {name} names a model, but a preset is for any; give train.model", {"name": name}
            )
        base = values.pop("preset", "none")
        return values if base == "none" else {**self._values(base, (*above, name)), **values}


class PersonalizeParams(Section):
    """How personal networks are measured: in `draws`, on at least `min_test` faces, without those of `one_moment`."""

    draws: Annotated[int, Field(ge=1, le=1000)]
    min_test: Count
    one_moment: UnitShare


def _ascending(values: list[float]) -> list[float]:
    if values[0] > values[1]:
        raise PydanticCustomError("order", "expected the lower one first")
    return values


class EvaluateParams(Section):
    """How a checkpoint is tested. `bootstrap_draws` are for the 95% intervals, `calibration_bins` divide confidence.

    Faces are in profile below the first of `pose_cuts` of frontality, in half-profile below the second, else frontal.
    `baseline` is a classical network, fitted to at most `baseline_faces` training faces, or none. Each region of
    `occlusion` is hidden in all faces, which are answered once more for it.
    """

    batch_size: Count
    bootstrap_draws: Annotated[int, Field(ge=100, le=100_000)]
    calibration_bins: Annotated[int, Field(ge=2, le=100)]
    pose_cuts: Annotated[list[UnitShare], Field(min_length=2, max_length=2), AfterValidator(_ascending)]
    saliency_per_class: Annotated[int, Field(ge=0, le=10_000)]
    mistakes: Annotated[int, Field(ge=0, le=1000)]
    map_faces: Annotated[int, Field(ge=0, le=100_000)]
    baseline: str
    baseline_faces: Annotated[int, Field(ge=2, le=100_000)]
    occlusion: list[Literal["eyes", "mouth", "nose", "left", "right", "sunglasses", "surgical_mask", "block"]]
    threads: Count
