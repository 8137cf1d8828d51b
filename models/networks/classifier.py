"""The common structure of networks that are built from parts: blocks in order, pooling, head."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Classifier(nn.Module):
    """A network of blocks, a pooling and a head, so that freezing, fine-tuning and HiResCAM know its parts.

    Args:
        blocks: the base, from the input to the last feature map.
        pool: feature map (N, C, H, W) to features (N, F).
        head: features to logits (N, classes).
    """

    def __init__(self, blocks: Sequence[nn.Module], pool: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.pool = pool
        self.head = head

    def features(self, images: Tensor) -> Tensor:
        """Return the last feature map (N, C, H, W) of normalized images (N, channels, S, S)."""
        for block in self.blocks:
            images = block(images)
        return images

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (N, classes) of normalized images (N, channels, S, S)."""
        logits: Tensor = self.head(self.pool(self.features(images)))
        return logits


def global_average(width: int, classes: int) -> tuple[nn.Module, nn.Module]:
    """Return global average pooling and one dense layer."""
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()), nn.Linear(width, classes)


def initialize(network: nn.Module) -> None:
    """Initialize ReLU networks after He et al. 2015 (arXiv:1502.01852), biases at zero."""
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                if module.bias is not None:
                    module.bias.zero_()
