"""The networks of this project, trained from scratch."""

from itertools import pairwise

import torch
from torch import Tensor, nn

from models.networks.classifier import Classifier, initialize

# Five poolings halve the side five times.
_STRIDE = 32


def build_proposed(classes: int, size_px: int) -> Classifier:
    """Build the thesis's network: five convolutions, each followed by max-pooling, then flatten and dense layers.

    Batch normalization stands between each convolution and its ReLU, and dropout before the dense layers.

    Args:
        classes: width of the output.
        size_px: side of the input; at least 32.
    """
    widths = (16, 32, 64, 96, 128)
    blocks = [_block(before, after) for before, after in zip((3, *widths), widths, strict=False)]
    side = size_px // _STRIDE
    head = nn.Sequential(
        nn.Dropout(0.4), nn.Linear(widths[-1] * side * side, 256), nn.ReLU(), nn.Dropout(0.4), nn.Linear(256, classes)
    )
    network = Classifier(blocks, nn.Flatten(), head)
    initialize(network)
    return network


def build_baseline(classes: int, size_px: int) -> Classifier:
    """Build the plain CNN that overfits: three convolutions with max-pooling and a wide dense layer, nothing more."""
    widths = (32, 64, 64)
    blocks = [
        nn.Sequential(nn.Conv2d(before, after, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2))
        for before, after in zip((3, *widths), widths, strict=False)
    ]
    side = size_px // 8
    head = nn.Sequential(nn.Linear(widths[-1] * side * side, 128), nn.ReLU(), nn.Linear(128, classes))
    network = Classifier(blocks, nn.Flatten(), head)
    initialize(network)
    return network


def build_compact(classes: int, size_px: int) -> Classifier:
    """Build the small residual network that was best on real faces: four residual blocks with channel attention.

    Residual blocks are those of He et al. 2016 (arXiv:1512.03385), the shortcut of a halving block averages before its
    1 x 1 convolution (He et al. 2019, arXiv:1812.01187), attention is squeeze-and-excitation (arXiv:1709.01507).

    Args:
        classes: width of the output.
        size_px: side of the input; any from 32.
    """
    del size_px  # global average pooling takes any
    widths = (32, 64, 128, 256)
    stem = nn.Sequential(nn.Conv2d(3, widths[0], 3, 2, 1, bias=False), nn.BatchNorm2d(widths[0]), nn.ReLU())
    first = ResidualBlock(widths[0], widths[0], 1)
    rest = [ResidualBlock(before, after, 2) for before, after in pairwise(widths)]
    pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    head = nn.Sequential(nn.Dropout(0.2), nn.Linear(widths[-1], classes))
    network = Classifier([stem, first, *rest], pool, head)
    initialize(network)
    return network


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions with channel attention beside a shortcut.

    Args:
        before: channels that come in.
        after: channels that go out.
        stride: 1, or 2 to halve the side.
    """

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(before, after, 3, stride, 1, bias=False),
            nn.BatchNorm2d(after),
            nn.ReLU(),
            nn.Conv2d(after, after, 3, 1, 1, bias=False),
            nn.BatchNorm2d(after),
        )
        self.attention = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(after, after // 8, 1),
            nn.ReLU(),
            nn.Conv2d(after // 8, after, 1),
            nn.Sigmoid(),
        )
        self.shortcut: nn.Module = nn.Identity()
        if before != after or stride != 1:
            # The last pixel of an odd side has a window of its own, as the convolution beside it has.
            smaller = nn.AvgPool2d(stride, ceil_mode=True, count_include_pad=False) if stride > 1 else nn.Identity()
            self.shortcut = nn.Sequential(smaller, nn.Conv2d(before, after, 1, bias=False), nn.BatchNorm2d(after))

    def forward(self, images: Tensor) -> Tensor:
        """Return the feature map (N, after, H / stride, W / stride)."""
        body = self.body(images)
        return torch.relu(body * self.attention(body) + self.shortcut(images))


def _block(before: int, after: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, 3, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU(), nn.MaxPool2d(2)
    )
