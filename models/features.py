"""What a network makes of a face before its last layer answers."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.checkpoint import Checkpoint
from pipeline.core.errors import ModelError


def frozen_features(general: Checkpoint, images: Tensor) -> tuple[NDArray[np.float64], Tensor]:
    """Return what the last linear layer reads, (N, F), and the answers (N, outputs) as `Checkpoint.outputs` has them.

    With the test-time flip, the features are the mean over the face and its mirror image.

    Args:
        general: the network.
        images: uint8 (N, 3, H, W).

    Raises:
        ModelError: the network has no linear layer as its last one.
    """
    head = last_linear(general)
    if head is None:
        raise ModelError(f"{general.info.model} has no linear head that a person's faces could train; use another")
    seen: list[Tensor] = []
    handle = head.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].flatten(1).detach().float().cpu()))
    try:
        answers = general.outputs(images)
    finally:
        handle.remove()
    views = 2 if general.info.tta_flip else 1
    chunks = [torch.stack(seen[first : first + views]).mean(0) for first in range(0, len(seen), views)]
    return torch.cat(chunks).double().numpy(), answers


def last_linear(general: Checkpoint) -> nn.Module | None:
    """Return the layer that gives the answers; timm's ResNet V2 has a convolution of one pixel in its place.

    None for a classical baseline, or a network that ends in anything else.
    """
    width = len(general.classes)
    layers = [
        one
        for one in general.module.modules()
        if (isinstance(one, nn.Linear) and one.out_features == width)
        or (isinstance(one, nn.Conv2d) and one.out_channels == width and one.kernel_size == (1, 1))
    ]
    return None if general.network is None or not layers else layers[-1]
