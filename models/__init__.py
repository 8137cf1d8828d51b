"""Networks, their data, training, metrics and saliency. Code only: weights go to runs/.

`import models` is light: torch is imported by the first `create_model`.
"""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn

__all__ = ["create_model"]


def create_model(
    name: str,
    num_classes: int = 8,
    pretrained: bool = False,
    *,
    size_px: int | None = None,
    weights: Path | None = None,
) -> "nn.Module":
    """Build a network by name; see `models.registry.create_model`."""
    from models import registry

    return registry.create_model(name, num_classes, pretrained, size_px=size_px, weights=weights)
