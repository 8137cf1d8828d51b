"""All networks that can be trained, by name: the project's own, pretrained ones and classical baselines.

Any other name is looked up in timm. EfficientNetB0, efficientnet-b0 and efficientnet_b0 are the same name.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from torch import nn

from models.classical.baselines import builder, find_classical
from models.core.inputs import InputSpec
from models.networks import plain, pretrained
from models.networks.weights import Published, State, read_weights
from pipeline.core.errors import ModelError, UsageError

Build = Callable[[int, int, State | None], nn.Module]
Kind = Literal["own", "pretrained", "classical", "timm"]

_DEFAULT_SIZE_PX: Final = 224  # the thesis trained every network at this side
# The side on which facenet-pytorch's weights were trained.
_FACENET_SIZE_PX: Final = 160


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """One network or baseline that can be trained.

    Attributes:
        name: as `create_model` takes it.
        kind: own, pretrained, classical or timm.
        what: one line for `prep models`.
        build: (classes, size_px, state) -> network with logits (N, classes).
        input: the input for a side in pixels; None means the network's own side.
        published: its published weights, if there are any.
        min_size_px: the smallest side it accepts.
        whole_crop: whether it searches for the face itself and therefore needs the crop with its margin.
    """

    name: str
    kind: Kind
    what: str
    build: Build
    input: Callable[[int | None], InputSpec]
    published: Callable[[], Published] | None = None
    min_size_px: int = 32
    whole_crop: bool = False


def list_models() -> list[ModelEntry]:
    """Return the registered networks, in the order of the thesis's tables; timm's networks can be used in addition."""
    return list(_ENTRIES.values())


def find_model(name: str) -> ModelEntry:
    """Return the entry of a name.

    Raises:
        UsageError: neither registered nor known to timm; names what is registered.
    """
    entry = _ENTRIES.get(_normal(name)) or _classical(name)
    if entry is not None:
        return entry
    import timm

    if not timm.is_model(name):
        known = ", ".join(entry.name for entry in _ENTRIES.values())
        raise UsageError(
            f"train.model: no network {name!r}; there are {known}, every other <feature>-<classifier>, such as "
            "lbp-knn, and every name of timm.list_models()"
        )
    config = timm.get_pretrained_cfg(name)
    has_hub = config is not None and bool(config.hf_hub_id)
    return ModelEntry(
        name,
        "timm",
        "a network of timm",
        pretrained.timm_builder(name),
        lambda size_px: pretrained.timm_input(name, size_px),
        (lambda: pretrained.timm_weights(name)) if has_hub else None,
    )


def create_model(
    name: str,
    num_classes: int = 8,
    pretrained: bool = False,
    *,
    size_px: int | None = None,
    weights: Path | None = None,
    weights_sha256: str | None = None,
) -> nn.Module:
    """Build a network: normalized images (N, channels, size_px, size_px) float32 to logits (N, num_classes).

    Args:
        name: one of `list_models`, or any name of timm.
        num_classes: width of the output.
        pretrained: load the published weights into the base.
        size_px: side of the input; None for the network's own (`find_model(name).input(None).size_px`).
        weights: a local file of weights for the base, instead of the published ones.
        weights_sha256: the SHA-256 that the file must have.

    Raises:
        UsageError: unknown name, or a side that the network does not accept.
        ModelError: weights that do not exist, cannot be downloaded or do not fit.
        ExtraError: the package with the weights is not installed.
    """
    entry = find_model(name)
    side = entry.input(size_px).size_px
    if side < entry.min_size_px:
        raise UsageError(f"train.size_px: {entry.name} takes faces of at least {entry.min_size_px} px, not {side}")
    state = read_weights(weights, weights_sha256) if weights is not None else None
    if pretrained and state is None:
        state = _fetch(entry)
    try:
        return entry.build(num_classes, side, state)
    except ModelError as error:
        source = weights.as_posix() if weights is not None else f"the published weights of {entry.name}"
        raise ModelError(f"{source}: {error}") from None


def _fetch(entry: ModelEntry) -> State:
    if entry.published is None:
        raise ModelError(f"{entry.name}: nobody publishes weights of it; give a file as train.weights, or 'none'")
    return entry.published().hub.fetch()


def _normal(name: str) -> str:
    return name.lower().replace("-", "").replace("_", "")


def _own(name: str, what: str, build: Build) -> ModelEntry:
    mean, std = (0.5,) * 3, (0.25,) * 3
    return ModelEntry(name, "own", what, build, lambda size_px: InputSpec(size_px or _DEFAULT_SIZE_PX, mean, std))


def _torchvision(name: str, what: str) -> ModelEntry:
    return ModelEntry(
        name,
        "pretrained",
        what,
        pretrained.torchvision_builder(name),
        lambda size_px: pretrained.imagenet_input(size_px or _DEFAULT_SIZE_PX),
        lambda: pretrained.torchvision_weights(name),
    )


def _timm(
    name: str,
    timm_name: str,
    what: str,
    published: Callable[[], Published] | None = None,
    *,
    min_size_px: int = 32,
) -> ModelEntry:
    return ModelEntry(
        name,
        "pretrained",
        what,
        pretrained.timm_builder(timm_name),
        lambda size_px: pretrained.timm_input(timm_name, size_px or _DEFAULT_SIZE_PX),
        published,
        min_size_px,
    )


def _published(name: str, timm_name: str, what: str, *, min_size_px: int = 32) -> ModelEntry:
    return _timm(name, timm_name, what, lambda: pretrained.timm_weights(timm_name), min_size_px=min_size_px)


def _load_own(build: Callable[[int, int], nn.Module]) -> Build:
    def build_with(classes: int, size_px: int, state: State | None) -> nn.Module:
        network = build(classes, size_px)
        if state is not None:
            from models.networks.weights import load_base

            load_base(network, state, "head")
        return network

    return build_with


def _classical(name: str) -> ModelEntry | None:
    name = name.lower().replace("_", "-")
    found = find_classical(name)
    if found is None:
        return None
    feature, classifier, what = found
    build, reads = builder(feature, classifier), feature().input
    return ModelEntry(name, "classical", what, build, reads, whole_crop=feature.whole_crop)


# Those that papers name; `find_model` knows every other pair of a feature and a classifier.
_CLASSICAL: Final = (
    "hog-svm", "descriptor-linear", "lbp-svm", "sift-svm", "ldp-svm", "gabor-svm", "landmark-svm", "fusion-svm",
)  # fmt: skip
_LIST: Final = (
    _own(
        "proposed",
        "the thesis's network; added: batch normalization, dropout, a dense layer of 256",
        _load_own(plain.build_proposed),
    ),
    _own(
        "proposed-plain",
        "the thesis's network as published: five convolutions with max-pooling, flatten, dense",
        _load_own(plain.build_proposed_plain),
    ),
    _own("compact", "a small network, two convolutions a scale", _load_own(plain.build_compact)),
    _own("baseline", "the plain CNN that overfits", _load_own(plain.build_baseline)),
    _torchvision("efficientnet_b0", "EfficientNet B0, ImageNet"),
    _torchvision("efficientnet_b3", "EfficientNet B3, ImageNet"),
    _torchvision("efficientnet_b5", "EfficientNet B5, ImageNet"),
    _torchvision("efficientnet_b7", "EfficientNet B7, ImageNet"),
    _timm("efficientnet_lite0", pretrained.LITE0, "EfficientNet-Lite0, ImageNet", pretrained.lite0_weights),
    _published("inception_v3", "inception_v3", "Inception V3, ImageNet", min_size_px=75),
    _published("inception_resnet_v2", "inception_resnet_v2", "Inception-ResNet V2, ImageNet", min_size_px=75),
    _torchvision("vgg16", "VGG16 with global average pooling, ImageNet"),
    _torchvision("vgg19", "VGG19 with global average pooling, ImageNet"),
    _published("resnet50v2", "resnetv2_50", "ResNet50 V2, ImageNet"),
    _published("resnet101v2", "resnetv2_101", "ResNet101 V2, ImageNet"),
    _timm("resnet152v2", "resnetv2_152", "ResNet152 V2, no published weights"),
    ModelEntry(
        "inception_resnet_v1",
        "pretrained",
        "Inception-ResNet V1 of facenet-pytorch, a face network, VGGFace2",
        pretrained.build_facenet,
        lambda size_px: pretrained.facenet_input(size_px or _FACENET_SIZE_PX),
        pretrained.facenet_weights,
        75,
    ),
    *(entry for name in _CLASSICAL if (entry := _classical(name))),
)
_ENTRIES: Final = {_normal(entry.name): entry for entry in _LIST}
