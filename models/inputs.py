"""How a face becomes the input of a network: side, colour and normalization, which travel with the weights."""

from dataclasses import asdict, dataclass
from typing import Annotated, Any, Final

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

# Luma of ITU-R BT.601, as OpenCV and libjpeg weigh red, green and blue. In thousandths, whose sums float32 holds
# exactly: one pixel in a thousand would else be rounded up here and down on another device or runtime.
_LUMA: Final = (299.0, 587.0, 114.0)
_LUMA_UNIT: Final = 1000
_FINE: Final = 1024
_LARGEST_PX: Final = 4096  # no network here reads as much; a damaged file may ask for more than there is memory

IMAGENET_MEAN: Final = (0.485, 0.456, 0.406)
IMAGENET_STD: Final = (0.229, 0.224, 0.225)


@dataclass(frozen=True, slots=True)
class InputSpec:
    """What a network reads.

    Attributes:
        size_px: side of the square input.
        mean: of each channel, for pixels in [0, 1]; one value makes the input grey, three RGB.
        std: of each channel, likewise.
        zoom: share of the face crop's side that is kept around its centre, in (0, 1].
    """

    size_px: Annotated[int, Field(ge=1, le=_LARGEST_PX)]
    mean: Annotated[tuple[float, ...], Field(min_length=1, max_length=3)]
    std: Annotated[tuple[Annotated[float, Field(gt=0)], ...], Field(min_length=1, max_length=3)]
    zoom: Annotated[float, Field(gt=0, le=1)] = 1.0

    def plain(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {**asdict(self), "mean": list(self.mean), "std": list(self.std)}

    @property
    def channels(self) -> int:
        """1 for grey, 3 for RGB."""
        return len(self.mean)

    def resize(self, images: Tensor) -> Tensor:
        """Cut and scale faces to the input's side.

        Args:
            images: (N, 3, H, W) RGB, or (N, 1, H, W) grey, uint8.

        Returns:
            (N, channels, size_px, size_px) uint8.
        """
        pixels = _to_channels(_cut(images, self.zoom), self.channels)
        if pixels.shape[-2:] == (self.size_px, self.size_px):
            return pixels
        scaled = functional.interpolate(
            pixels.float(), size=(self.size_px, self.size_px), mode="bilinear", antialias=True, align_corners=False
        )
        return round_exactly(scaled).clamp_(0, 255).to(torch.uint8)

    def normalize(self, pixels: Tensor) -> Tensor:
        """Turn (N, channels, S, S) uint8, or float in [0, 1], into the float32 that the network reads."""
        scaled = pixels.float() / 255 if pixels.dtype == torch.uint8 else pixels
        return (scaled - per_channel(self.mean, pixels.device)) / per_channel(self.std, pixels.device)

    def prepare(self, images: Tensor) -> Tensor:
        """Turn uint8 faces (N, 3, H, W) into the network's float32 input (N, channels, size_px, size_px)."""
        return self.normalize(self.resize(images))


def round_exactly(scaled: Tensor) -> Tensor:
    """Round in place, so that a value meant to be halfway goes the same way on every device and runtime.

    Scaling gives many exact halves (as many as one in a hundred at a factor of two), and the last bits of a sum would
    decide them. They are brought to the half first.
    """
    return scaled.mul_(_FINE).round_().div_(_FINE).round_()


def per_channel(values: tuple[float, ...], device: torch.device) -> Tensor:
    """Return (1, C, 1, 1) float32, made on the device: for a copy to a GPU the processor would wait at each step."""
    return torch.cat([torch.full((1, 1, 1, 1), value, device=device) for value in values], 1)


def _cut(images: Tensor, zoom: float) -> Tensor:
    if zoom == 1:
        return images
    height, width = images.shape[-2:]
    top, left = round(height * (1 - zoom) / 2), round(width * (1 - zoom) / 2)
    return images[..., top : height - top, left : width - left]


def _to_channels(images: Tensor, channels: int) -> Tensor:
    if images.shape[1] == channels:
        return images
    if channels == 3:
        return images.expand(-1, 3, -1, -1)
    weighted = images.float() * per_channel(_LUMA, images.device)
    return weighted.sum(1, keepdim=True).div_(_LUMA_UNIT).round_().to(torch.uint8)
