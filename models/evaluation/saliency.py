"""Which parts of a face a network uses: gradient maps, HiResCAM, and occlusion maps.

Gradient maps are those of Simonyan et al. 2014 (arXiv:1312.6034), HiResCAM is that of Draelos and Carin 2020
(arXiv:2011.08891); both are computed by captum. Grad-CAM averages gradients over places, which is wrong for heads that
flatten the map, as the heads here do: it peaked in corners outside the face, where there was light but no evidence. A
model without gradients (an SVM) gets occlusion maps: how much the probability falls when a patch of the face is hidden
(Zeiler and Fergus 2014, arXiv:1311.2901).
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

_SHARPNESS: Final = 99.0  # this percentile of a map is drawn at full strength, so that one outlier cannot dim the rest
_OCCLUSION_STEPS: Final = 6  # positions of the hidden patch along a side
# A patch is hidden by mid-grey, because black or white would be a feature of its own.
_GREY: Final = 127
# Smallest side of a feature map. In a smaller map, each place sees most of the face and cannot say where something is.
_FINE_PLACES: Final = 10


def gradient_maps(network: nn.Module, spec: InputSpec, images: Tensor, targets: Tensor) -> Maps:
    """Return how strongly each pixel changes the target's logit.

    Args:
        network: in evaluation mode; maps normalized images to logits.
        spec: the network's input.
        images: (N, 3, H, W) uint8.
        targets: (N,) classes.

    Returns:
        (N, S, S) maps at the size of the network's input, each scaled to 0..1.
    """
    from captum.attr import Saliency

    inputs = spec.prepare(images).requires_grad_()
    found: Tensor = Saliency(network).attribute(inputs, target=targets)
    return _scale(found.amax(dim=1))


def cam_maps(network: nn.Module, layer: nn.Module, spec: InputSpec, images: Tensor, targets: Tensor) -> Maps:
    """Return which places of the layer's feature map support the target; see `gradient_maps`.

    If the head is linear in the map, a value is what its place adds to the logit, or 0 if that is negative.
    """
    from captum.attr import LayerGradientXActivation

    inputs = spec.prepare(images).requires_grad_()
    by_channel: Tensor = LayerGradientXActivation(network, layer).attribute(inputs, target=targets)
    found = by_channel.sum(dim=1, keepdim=True).relu()
    side = inputs.shape[-1]
    wide = functional.interpolate(found, size=(side, side), mode="bilinear", align_corners=False)
    return _scale(wide[:, 0])


def choose_layer(network: nn.Module, layers: Sequence[nn.Module], spec: InputSpec, images: Tensor) -> nn.Module:
    """Return the deepest layer whose map still distinguishes parts of a face, otherwise the one with the finest map.

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
        (N, 6, 6) maps, 0..1; the side of the patch is a quarter of the picture's.
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
    # The floor keeps an empty map (no evidence anywhere) empty instead of dividing by zero.
    strong = torch.quantile(maps.flatten(1), _SHARPNESS / 100, dim=1).clamp_min(1e-12)
    scaled: Maps = (maps / strong[:, None, None]).clamp(0, 1).detach().cpu().numpy().astype(np.float32)
    return scaled


def place(maps: Maps, side_px: int, zoom: float = 1.0) -> Maps:
    """Place maps (N, S, S), which show the central `zoom` of a face, into maps (N, side_px, side_px) of all of it."""
    inner = side_px - 2 * round(side_px * (1 - zoom) / 2)
    wide = functional.interpolate(
        torch.from_numpy(maps)[:, None], size=(inner, inner), mode="bilinear", align_corners=False
    )
    margin = (side_px - inner) // 2
    placed: Maps = functional.pad(wide[:, 0], [margin] * 4).numpy()
    return placed
