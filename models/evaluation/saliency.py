"""Where a network looks at a face: gradient maps, HiResCAM, and occlusion maps.

Gradient maps are those of Simonyan et al. 2014 (arXiv:1312.6034), HiResCAM of Draelos and Carin 2020
(arXiv:2011.08891), both by captum. Grad-CAM averages gradients over places, which is wrong for a head that flattens
the map, as those here do: it peaked in corners off the face, where there was light but no evidence.
A model without gradients (an SVM) gets occlusion maps instead: how much the probability falls when a patch of the face
is hidden (Zeiler and Fergus 2014, arXiv:1311.2901).
"""

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from models.core.inputs import InputSpec

Maps = NDArray[np.float32]
Pixels = NDArray[np.uint8]

_SHARPNESS: Final = 99.0  # percentile of a map that is drawn at full strength
_OCCLUSION_STEPS: Final = 6  # positions of the hidden patch along a side
_GREY: Final = 127
# Of a map along a side. With fewer, each place sees most of the face, and no longer says where something is.
_FINE_PLACES: Final = 10


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


def cam_maps(network: nn.Module, layer: nn.Module, spec: InputSpec, images: Tensor, targets: Tensor) -> Maps:
    """Return which places of the layer's feature map speak for the target; see `gradient_maps`.

    Of a head that is linear in the map, the values are what each place adds to the logit, where that is positive.
    """
    from captum.attr import LayerGradientXActivation

    inputs = spec.prepare(images).requires_grad_()
    by_channel: Tensor = LayerGradientXActivation(network, layer).attribute(inputs, target=targets)
    found = by_channel.sum(dim=1, keepdim=True).relu()
    side = inputs.shape[-1]
    wide = functional.interpolate(found, size=(side, side), mode="bilinear", align_corners=False)
    return _scale(wide[:, 0])


def choose_layer(network: nn.Module, layers: Sequence[nn.Module], spec: InputSpec, images: Tensor) -> nn.Module:
    """Return the deepest layer whose map still tells parts of a face apart, else the one with the finest map.

    Args:
        network: in evaluation mode.
        layers: from the input to the output, at least one.
        spec: how faces become its input.
        images: (N, 3, H, W) uint8, at least one.
    """
    sides: dict[int, int] = {}

    def note(number: int) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
        return lambda _module, _inputs, output: sides.__setitem__(number, min(output.shape[2:]))

    hooks = [layer.register_forward_hook(note(number)) for number, layer in enumerate(layers)]
    try:
        with torch.inference_mode():
            network(spec.prepare(images[:1]))
    finally:
        for hook in hooks:
            hook.remove()
    fine = [number for number, side in sides.items() if side >= _FINE_PLACES]
    return layers[max(fine) if fine else max(sides, key=lambda number: sides[number])]


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
