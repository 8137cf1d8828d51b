"""Networks of torchvision, timm and facenet-pytorch, with our head and the normalization that their weights expect.

Each library is imported by the functions that need it, because timm and torchvision take seconds to import and the
project's own networks need neither.
"""

from collections.abc import Callable, Iterator
from typing import Any

from torch import nn

from models.core.inputs import IMAGENET_MEAN, IMAGENET_STD, InputSpec
from models.networks.classifier import Classifier, global_average
from models.networks.weights import HuggingFace, State, TorchHub, load_base
from pipeline.core.errors import ModelError, UsageError

# The face network of facenet-pytorch, trained on VGGFace2.
FACENET_FILE = "20180402-114759-vggface2.pt"
_FACENET_URL = f"https://github.com/timesler/facenet-pytorch/releases/download/v2.2.9/{FACENET_FILE}"
# The length of the descriptor that facenet-pytorch's last linear layer gives.
_FACENET_FEATURES = 512


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


def torchvision_hub(name: str) -> TorchHub:
    """Return the source of torchvision's weights for a network."""
    from torchvision.models import get_model_weights

    return TorchHub(get_model_weights(name).DEFAULT.url)


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


def facenet_hub() -> TorchHub:
    """Return the source of facenet-pytorch's VGGFace2 weights."""
    return TorchHub(_FACENET_URL)


def timm_builder(name: str) -> Callable[[int, int, State | None], nn.Module]:
    """Return a function that builds a network of timm."""

    def build(classes: int, size_px: int, state: State | None) -> nn.Module:
        import timm

        options: dict[str, Any] = {"img_size": size_px} if _config(name).fixed_input_size else {}
        network: nn.Module = timm.create_model(name, pretrained=False, num_classes=classes, **options)
        if state is not None:
            load_base(network, state, _config(name).classifier or "head")
        return network

    return build


def timm_hub(name: str) -> HuggingFace:
    """Return the source of timm's weights for a network.

    Raises:
        ModelError: nobody published weights of this network.
    """
    repository = _config(name).hf_hub_id
    if not repository:
        raise ModelError(
            f"{name}: timm publishes no weights of it; give a file as train.weights, or train from scratch"
        )
    return HuggingFace(repository)


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
