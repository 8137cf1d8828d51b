"""The project's own networks, trained from scratch."""

from torch import nn

from models.networks.classifier import Classifier, initialize

# Five poolings halve the side five times.
_STRIDE = 32
_PROPOSED_WIDTHS = (16, 32, 64, 96, 128)


def build_proposed(classes: int, size_px: int) -> Classifier:
    """Build the thesis's network: five convolutions, each followed by max-pooling, then flatten and dense layers.

    There is batch normalization between each convolution and its ReLU, and dropout before the dense layers.

    Args:
        classes: width of the output.
        size_px: side of the input; at least 32.
    """
    widths = _PROPOSED_WIDTHS
    blocks = [_block(before, after) for before, after in zip((3, *widths), widths, strict=False)]
    side = size_px // _STRIDE
    head = nn.Sequential(
        nn.Dropout(0.4), nn.Linear(widths[-1] * side * side, 256), nn.ReLU(), nn.Dropout(0.4), nn.Linear(256, classes)
    )
    network = Classifier(blocks, nn.Flatten(), head)
    initialize(network)
    return network


def build_proposed_plain(classes: int, size_px: int) -> Classifier:
    """Build the thesis's network with nothing added: five convolutions with max-pooling, one dense layer.

    Args:
        classes: width of the output.
        size_px: side of the input; at least 32.
    """
    pairs = zip((3, *_PROPOSED_WIDTHS), _PROPOSED_WIDTHS, strict=False)
    blocks = [_plain_block(before, after) for before, after in pairs]
    side = size_px // _STRIDE
    network = Classifier(blocks, nn.Flatten(), nn.Linear(_PROPOSED_WIDTHS[-1] * side * side, classes))
    initialize(network)
    return network


def build_baseline(classes: int, size_px: int) -> Classifier:
    """Build the plain CNN that overfits: three convolutions with max-pooling and a wide dense layer, nothing more."""
    widths = (32, 64, 64)
    blocks = [_plain_block(before, after) for before, after in zip((3, *widths), widths, strict=False)]
    side = size_px // 8
    head = nn.Sequential(nn.Linear(widths[-1] * side * side, 128), nn.ReLU(), nn.Linear(128, classes))
    network = Classifier(blocks, nn.Flatten(), head)
    initialize(network)
    return network


def build_compact(classes: int, size_px: int) -> Classifier:
    """Build the small network that was best on real faces: two convolutions per scale, four scales, one dense layer.

    The pairs of 3 x 3 convolutions are those of Simonyan and Zisserman 2015 (arXiv:1409.1556), a tenth as wide, with
    batch normalization. The dense layer sees where on the face a feature is; global average pooling, which does not,
    was worse.

    Args:
        classes: width of the output.
        size_px: side of the input; at least 16.
    """
    widths = (16, 32, 64, 96)
    pairs = zip((3, *widths), widths, strict=False)
    blocks = [nn.Sequential(*_convolution(before, after), *_block(after, after)) for before, after in pairs]
    side = size_px // 2 ** len(widths)
    head = nn.Sequential(nn.Dropout(0.4), nn.Linear(widths[-1] * side * side, classes))
    network = Classifier(blocks, nn.Flatten(), head)
    initialize(network)
    return network


def _plain_block(before: int, after: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(before, after, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2))


def _block(before: int, after: int) -> nn.Sequential:
    return nn.Sequential(*_convolution(before, after), nn.MaxPool2d(2))


def _convolution(before: int, after: int) -> tuple[nn.Module, ...]:
    return nn.Conv2d(before, after, 3, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU()
