"""Where a network looks at a face: gradient maps, Grad-CAM, and occlusion maps.

Gradient maps are those of Simonyan et al. 2014 (arXiv:1312.6034), Grad-CAM of Selvaraju et al. 2017
(arXiv:1610.02391), both by captum. A model without gradients (an SVM) gets occlusion maps instead: how much the
probability falls when a patch of the face is hidden (Zeiler and Fergus 2014, arXiv:1311.2901).
"""

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from models.inputs import InputSpec

Maps = NDArray[np.float32]
Pixels = NDArray[np.uint8]

_SHARPNESS: Final = 99.0  # percentile of a map that is drawn at full strength
_OCCLUSION_STEPS: Final = 6  # positions of the hidden patch along a side
_GREY: Final = 127


def gradient_maps(network: nn.Module, spec: InputSpec, images: Tensor, targets: Tensor) -> Maps:
    """Return how strongly each pixel moves the target's logit.

    Args:
        network: in evaluation mode; logits of normalized images.
        spec: how faces become its input.
        images: (N, 3, H, W) uint8.
        targets: (N,) classes.

    Returns:
        (N, S, S) maps of the network's input, from 0 to 1 each.
    """
    from captum.attr import Saliency

    inputs = spec.prepare(images).requires_grad_()
    found: Tensor = Saliency(network).attribute(inputs, target=targets)
    return _scale(found.amax(dim=1))


def gradcam_maps(network: nn.Module, layer: nn.Module, spec: InputSpec, images: Tensor, targets: Tensor) -> Maps:
    """Return which places of the layer's feature map speak for the target; see `gradient_maps`."""
    from captum.attr import LayerGradCam

    inputs = spec.prepare(images).requires_grad_()
    found: Tensor = LayerGradCam(network, layer).attribute(inputs, target=targets, relu_attributions=True)
    side = inputs.shape[-1]
    wide = functional.interpolate(found, size=(side, side), mode="bilinear", align_corners=False)
    return _scale(wide[:, 0])


def occlusion_maps(predict: Callable[[Pixels], Maps], images: Pixels, targets: Sequence[int]) -> Maps:
    """Return by how much the target's probability falls when a grey patch hides a place.

    Args:
        predict: (N, H, W, 3) uint8 to probabilities (N, 8).
        images: (N, H, W, 3) uint8.
        targets: N classes.

    Returns:
        (N, 6, 6) maps from 0 to 1; the patch is a quarter of the side wide.
    """
    rows = np.arange(len(images))
    before = predict(images)[rows, list(targets)]
    height, width = images.shape[1:3]
    found = np.zeros((len(images), _OCCLUSION_STEPS, _OCCLUSION_STEPS), np.float32)
    for y, x in np.ndindex(_OCCLUSION_STEPS, _OCCLUSION_STEPS):
        hidden = images.copy()
        hidden[:, _patch(y, height), _patch(x, width)] = _GREY
        found[:, y, x] = np.maximum(before - predict(hidden)[rows, list(targets)], 0)
    return _scale(torch.from_numpy(found))


def _patch(step: int, side: int) -> slice:
    middle = (step + 0.5) * side / _OCCLUSION_STEPS
    return slice(max(0, round(middle - side / 8)), round(middle + side / 8))


def _scale(maps: Tensor) -> Maps:
    strong = torch.quantile(maps.flatten(1), _SHARPNESS / 100, dim=1).clamp_min(1e-12)
    scaled: Maps = (maps / strong[:, None, None]).clamp(0, 1).detach().cpu().numpy().astype(np.float32)
    return scaled


def place(maps: Maps, side_px: int, zoom: float = 1.0) -> Maps:
    """Return maps (N, S, S) of the middle `zoom` of a face as maps (N, side_px, side_px) of the whole face."""
    inner = side_px - 2 * round(side_px * (1 - zoom) / 2)
    wide = functional.interpolate(
        torch.from_numpy(maps)[:, None], size=(inner, inner), mode="bilinear", align_corners=False
    )
    margin = (side_px - inner) // 2
    placed: Maps = functional.pad(wide[:, 0], [margin] * 4).numpy()
    return placed
