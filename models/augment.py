"""Faces changed at random while training, with torchvision's transforms v2: each face its own draw.

Every operation has a strength in params.yaml (`train.augmentations`); 0 leaves it out. All draws come from torch's
generator, which training seeds anew at each step, so that a run that was interrupted repeats them.
"""

from collections.abc import Iterator
from typing import Final

import torch
from torch import Tensor
from torchvision.transforms import v2

from pipeline.params import AugmentParams

_GREY: Final = 0.5  # what comes in from beyond the edge
_ERASED_SHARE: Final = (0.02, 0.15)  # of the area
_BLUR_KERNEL: Final = 5


class Augmentation:
    """Changes a batch of faces; built from the strengths of params.yaml.

    Args:
        params: the strengths.
        size_px: side of the faces.
    """

    def __init__(self, params: AugmentParams, size_px: int) -> None:
        operations = [*_geometric(params, size_px), *_photometric(params)]
        self._change = v2.Compose(operations) if operations else None

    def __call__(self, pixels: Tensor) -> Tensor:
        """Return changed faces.

        Args:
            pixels: (N, C, S, S) uint8, or float in [0, 1].

        Returns:
            (N, C, S, S) float32 in [0, 1].
        """
        scaled = pixels.float() / 255 if pixels.dtype == torch.uint8 else pixels
        if self._change is None:
            return scaled
        return torch.stack([self._change(face) for face in scaled])


def _geometric(params: AugmentParams, size_px: int) -> Iterator[v2.Transform]:
    if params.flip:
        yield v2.RandomHorizontalFlip(params.flip)
    if params.rotation_deg or params.shift or params.zoom or params.shear_deg:
        # One warp for all four, so that a face is interpolated once.
        yield v2.RandomAffine(
            degrees=params.rotation_deg,
            translate=(params.shift, params.shift),
            scale=(1 - params.zoom, 1 + params.zoom),
            shear=(-params.shear_deg, params.shear_deg, -params.shear_deg, params.shear_deg),
            interpolation=v2.InterpolationMode.BILINEAR,
            fill=_GREY,
        )
    if params.pad:
        yield v2.RandomCrop(size_px, padding=max(1, round(params.pad * size_px)), fill=_GREY)
    if params.crop:
        yield v2.RandomResizedCrop(size_px, scale=((1 - params.crop) ** 2, 1), ratio=(1, 1), antialias=True)


def _photometric(params: AugmentParams) -> Iterator[v2.Transform]:
    if params.brightness or params.contrast:
        yield v2.ColorJitter(brightness=params.brightness, contrast=params.contrast)
    if params.blur_px:
        yield v2.GaussianBlur(_BLUR_KERNEL, sigma=(0.05, max(0.05, params.blur_px)))
    if params.noise:
        yield v2.RandomApply([v2.GaussianNoise(sigma=params.noise)], p=0.5)
    if params.erase:
        yield v2.RandomErasing(params.erase, scale=_ERASED_SHARE, value=_GREY)
