"""The parts of params.yaml for networks: how they are trained, fitted to a person and tested."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from pipeline.core.params.section import Count, Section, Share, explain


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

    A preset is a protocol for any network and never names one, so that `model` is always the one that stands here.

    `weights` is none, hub (the published ones) or a file; `size_px` null takes the network's own; `margin` is what is
    left of align.margin around the face, so that the network sees the same whatever was aligned. For `frozen_epochs`
    the base is frozen, then its last `unfreeze_blocks` blocks train too (null: all) at `fine_tune_rate`, until
    `epochs`.
    """

    preset: str
    model: str
    task: Literal["emotion", "valence", "arousal", "affect"]
    size_px: Annotated[int, Field(ge=16, le=1024)] | None
    margin: Annotated[float, Field(ge=0, lt=0.5)]
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
    patience: Annotated[int, Field(ge=0)]
    augment: Literal["none", "thesis", "strong"]
    precision: Literal["auto", "fp32", "bf16", "fp16"]
    compile: bool
    channels_last: bool
    threads: Count
    cache_mb: Annotated[int, Field(ge=0)]
    checkpoint_minutes: Annotated[float, Field(ge=0)]
    augmentations: dict[Literal["thesis", "strong"], AugmentParams]
    presets: dict[str, dict[str, Any]]

    @model_validator(mode="after")
    def _check_presets(self) -> Self:
        """Hold every preset to the same rules, whether it is chosen or not."""
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
        """Return the keys of a preset, on top of those of the one it names as its own `preset`."""
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
    """How a network is fine-tuned on one person; `unfreeze_blocks` of its base train beside the head (null: all)."""

    draws: Annotated[int, Field(ge=1, le=1000)]
    steps: Count
    learning_rate: Annotated[float, Field(gt=0)]
    unfreeze_blocks: Annotated[int, Field(ge=0)] | None


class EvaluateParams(Section):
    """How a checkpoint is tested. `bootstrap_draws` are of the 95% intervals, `calibration_bins` of confidence."""

    batch_size: Count
    bootstrap_draws: Annotated[int, Field(ge=100, le=100_000)]
    calibration_bins: Annotated[int, Field(ge=2, le=100)]
    saliency_per_class: Annotated[int, Field(ge=0, le=10_000)]
    mistakes: Annotated[int, Field(ge=0, le=1000)]
    threads: Count
