"""Random changes of faces during training: drawn for each face, but computed for a whole batch at once.

The distributions are those of torchvision's transforms v2 (RandomHorizontalFlip, RandomVerticalFlip, RandomAffine,
RandomCrop, RandomResizedCrop, ColorJitter, GaussianBlur, GaussianNoise, RandomErasing), which change one picture at a
time. Every operation has a strength in params.yaml (`train.augmentations`); 0 switches it off. All draws come from
torch's generator, which training seeds again at each step, so that a resumed run repeats them.

Augmentation runs in float32, whatever autocast says. A face that is sampled on a grid in bf16, or rounded to bf16, is
destroyed.
"""

import math
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional

from models.core.inputs import per_channel
from models.core.runtime import send
from pipeline.core.params import AugmentParams

_GREY: Final = 0.5  # fills what is beyond the edge, and what is erased
_ERASED_SHARE: Final = (0.02, 0.15)  # of the face's area
_ERASED_RATIO: Final = (0.3, 3.3)  # of the erased rectangle's sides; torchvision's default
_BLUR_REACH_PX: Final = 2  # to each side, which makes a kernel of five
_LEAST_BLUR_PX: Final = 0.05  # a sigma of 0 would divide by zero
_NOISY_SHARE: Final = 0.5  # of the faces get noise
_LUMA: Final = (0.2989, 0.587, 0.114)  # as torchvision weighs red, green and blue


class Augmentation:
    """Changes a batch of faces; built from the strengths of params.yaml.

    Args:
        params: the strengths.
        size_px: side of the faces.
    """

    def __init__(self, params: AugmentParams, size_px: int) -> None:
        self._params = params
        self._size_px = size_px
        self._warps = any((params.rotation_deg, params.shift, params.zoom, params.shear_deg, params.pad, params.crop))

    def __call__(self, pixels: Tensor) -> Tensor:
        """Return changed faces.

        Args:
            pixels: (N, C, S, S) uint8, or float in [0, 1].

        Returns:
            (N, C, S, S) float32 in [0, 1].
        """
        params, count = self._params, len(pixels)
        with torch.autocast(pixels.device.type, enabled=False):
            faces = pixels.float() / 255 if pixels.dtype == torch.uint8 else pixels.float()
            if params.flip_vertical:
                faces = torch.where(_sent(_chance(count, params.flip_vertical), faces), faces.flip(-2), faces)
            if params.quarter_turn:
                faces = _turned(faces, params.quarter_turn)
            if self._warps:
                faces = warp(faces, self.draw_warps(count))
            elif params.flip:
                faces = torch.where(_sent(_chance(count, params.flip), faces), faces.flip(-1), faces)
            if params.brightness or params.contrast:
                faces = _jittered(faces, params.brightness, params.contrast)
            if params.blur_px:
                faces = blur(faces, _uniform(count, _LEAST_BLUR_PX, max(_LEAST_BLUR_PX, params.blur_px)))
            if params.noise:
                faces = _noisy(faces, params.noise)
            if params.erase:
                faces = _erased(faces, params.erase)
            return faces

    def draw_warps(self, count: int) -> "Warps":
        """Draw the warps of `count` faces."""
        params, side = self._params, self._size_px
        angle, shear, shift = params.rotation_deg, params.shear_deg, params.shift * side
        pad = max(1, round(params.pad * side)) if params.pad else 0
        kept = (_uniform(count, (1 - params.crop) ** 2, 1).sqrt() * side).round()
        return Warps(
            mirrored=_chance(count, params.flip),
            angle_deg=_uniform(count, -angle, angle),
            shift_px=torch.cat([_uniform(count, -shift, shift) for _ in "xy"], 1).round(),
            scale=_uniform(count, 1 - params.zoom, 1 + params.zoom),
            shear_deg=torch.cat([_uniform(count, -shear, shear) for _ in "xy"], 1),
            pad_px=torch.cat([_whole(count, 2 * pad + 1) for _ in "xy"], 1) - pad,
            crop_px=kept,
            crop_at_px=torch.cat([_whole(count, side - kept + 1) for _ in "xy"], 1),
        )


@dataclass(frozen=True, slots=True)
class Warps:
    """The geometric changes of N faces, in this order.

    A face is mirrored; rotated, scaled, sheared and shifted about its centre; padded and cropped to its size; and a
    crop of it is enlarged to its size. They are combined into one warp, so that pixels are interpolated only once.

    Attributes:
        mirrored: (N, 1) bool.
        angle_deg: (N, 1), clockwise.
        shift_px: (N, 2), right and down.
        scale: (N, 1).
        shear_deg: (N, 2), along x and y.
        pad_px: (N, 2), where the crop of the padded face begins, right of and below the face's corner.
        crop_px: (N, 1), side of the crop that is enlarged.
        crop_at_px: (N, 2), corner of that crop.
    """

    mirrored: Tensor
    angle_deg: Tensor
    shift_px: Tensor
    scale: Tensor
    shear_deg: Tensor
    pad_px: Tensor
    crop_px: Tensor
    crop_at_px: Tensor


def warp(faces: Tensor, warps: Warps) -> Tensor:
    """Return warped faces, interpolated once, bilinearly; what is beyond a face becomes grey.

    Args:
        faces: (N, C, S, S) float32.
        warps: one for each face, on the CPU.
    """
    count, _, side, _ = faces.shape
    x, y = torch.split(_sent(_places(warps, side), faces), 1, 1)  # (N, 1, S) each
    matrix = _sent(_inverse(warps), faces).view(count, 4, 1, 1)
    grid = torch.empty(count, side, side, 2, device=faces.device)
    for axis in range(2):
        across, down = matrix[:, 2 * axis], matrix[:, 2 * axis + 1]
        torch.add(x * across, (y * down).transpose(1, 2), out=grid[..., axis])
    return functional.grid_sample(faces - _GREY, grid, align_corners=False).add_(_GREY)


def _places(warps: Warps, side: int) -> Tensor:
    """Return (N, 2, S): the positions of the output's columns and rows in the rotated face.

    They are relative to its centre, in units of half a side, as `grid_sample` expects.
    """
    places = (torch.arange(side) + 0.5) * (warps.crop_px / side) - 0.5
    # A crop ends at the centre of its last pixel. Half a pixel further, grey would be mixed in.
    cropped = (warps.crop_at_px.unsqueeze(-1) + places.unsqueeze(1)).clamp(0, side - 1)
    return (cropped + (warps.pad_px - warps.shift_px).unsqueeze(-1) - (side - 1) / 2) * (2 / side)


def _inverse(warps: Warps) -> Tensor:
    """Return (N, 4), row by row the matrix from a rotated, sheared and scaled face back to the original.

    The forward order is torchvision's: mirror, scale, shear along x, shear along y, rotation.
    """
    angle = warps.angle_deg * (math.pi / 180)
    across, down = torch.split(warps.shear_deg * (math.pi / 180), 1, 1)
    cosine, sine = (angle - down).cos() / down.cos(), (angle - down).sin() / down.cos()
    a, b = cosine, -cosine * across.tan() - angle.sin()
    c, d = sine, -sine * across.tan() + angle.cos()
    side = 1 - 2 * warps.mirrored.float()
    return torch.cat([side * d, side * -b, -c, a], 1) / warps.scale


def _turned(faces: Tensor, share: float) -> Tensor:
    """Turn randomly picked faces by 90, 180 or 270 degrees; pixels keep their values."""
    quarters = _chance(len(faces), share) * (_whole(len(faces), 3.0) + 1)
    for quarter in (1, 2, 3):
        faces = torch.where(_sent(quarters == quarter, faces), faces.rot90(quarter, (-2, -1)), faces)
    return faces


def _jittered(faces: Tensor, brightness: float, contrast: float) -> Tensor:
    """Change the brightness of each face and its contrast to its mean luma, in random order."""
    count = len(faces)
    bright = _uniform(count, max(0.0, 1 - brightness), 1 + brightness)
    spread = _uniform(count, max(0.0, 1 - contrast), 1 + contrast)
    spread_first = _chance(count, 0.5)
    for spreads in (spread_first, ~spread_first):
        factor = torch.where(spreads, spread, bright)
        towards_mean = torch.where(spreads, 1 - spread, 0.0)
        added = _mean_luma(faces) * _sent(towards_mean, faces)
        faces = faces.mul(_sent(factor, faces)).add_(added).clamp_(0, 1)
    return faces


def _mean_luma(faces: Tensor) -> Tensor:
    means = faces.mean((2, 3), keepdim=True)
    return means if faces.shape[1] == 1 else (means * per_channel(_LUMA, faces.device)).sum(1, keepdim=True)


def _noisy(faces: Tensor, sigma: float) -> Tensor:
    """Add Gaussian noise to randomly picked faces, and draw it for these only: noise costs more than all the rest."""
    picked = _chance(len(faces), _NOISY_SHARE).flatten().nonzero().flatten()
    picked = send(picked, faces.device)
    noise = torch.randn((len(picked), *faces.shape[1:]), device=faces.device).mul_(sigma)
    return faces.index_copy(0, picked, faces[picked].add_(noise).clamp_(0, 1))


def blur(faces: Tensor, sigma_px: Tensor) -> Tensor:
    """Return faces (N, C, S, S) blurred by a Gaussian with five taps in each direction; `sigma_px` is (N, 1)."""
    reach = _BLUR_REACH_PX
    kernel = (-0.5 * (torch.arange(-reach, reach + 1) / sigma_px) ** 2).exp()
    weights = [_sent(tap, faces) for tap in torch.split(kernel / kernel.sum(1, keepdim=True), 1, 1)]
    for axis in (2, 3):
        border = (0, 0, reach, reach) if axis == 2 else (reach, reach, 0, 0)
        padded = functional.pad(faces, border, mode="reflect")
        taps = [padded.narrow(axis, place, faces.shape[axis]) for place in range(2 * reach + 1)]
        faces = taps[0] * weights[0]
        for tap, weight in zip(taps[1:], weights[1:], strict=True):
            faces.addcmul_(tap, weight)
    return faces


def _erased(faces: Tensor, share: float) -> Tensor:
    """Cover a random rectangle of randomly picked faces with grey."""
    count, side = len(faces), faces.shape[-1]
    area = _uniform(count, *_ERASED_SHARE) * side**2
    ratio = _uniform(count, *(math.log(bound) for bound in _ERASED_RATIO)).exp()
    picked = _chance(count, share)
    rows, columns = (_within(length.sqrt().round() * picked, side) for length in (area * ratio, area / ratio))
    covered = _sent(rows, faces).unsqueeze(-1) & _sent(columns, faces).unsqueeze(-2)
    return torch.where(covered.unsqueeze(1), _GREY, faces)


def _within(length: Tensor, side: int) -> Tensor:
    """Draw where an interval of `length` (N, 1) pixels begins; return (N, side), true inside it."""
    first = _whole(len(length), side - length + 1)
    places = torch.arange(side)
    return (places >= first) & (places < first + length)


def _uniform(count: int, low: float, high: float) -> Tensor:
    """Draw a number from [low, high) for each face, (N, 1).

    All draws are made on the CPU, so that they are the same with and without a GPU. Sending a few numbers costs
    nothing.
    """
    return torch.rand(count, 1) * (high - low) + low


def _whole(count: int, below: Tensor | float) -> Tensor:
    """Draw a whole number from [0, below) for each face, (N, 1)."""
    return torch.minimum((torch.rand(count, 1) * below).floor(), torch.as_tensor(below) - 1)


def _chance(count: int, share: float) -> Tensor:
    """Draw for each face, (N, 1), whether something happens, with this probability."""
    return torch.rand(count, 1) < share


def _sent(drawn: Tensor, faces: Tensor) -> Tensor:
    """Return a draw on the device of the faces; (N, 1) becomes (N, 1, 1, 1), to broadcast over their pixels."""
    sent = send(drawn, faces.device)
    return sent.view(-1, 1, 1, 1) if sent.shape[1:] == (1,) else sent
