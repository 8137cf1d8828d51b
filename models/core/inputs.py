"""How a face becomes the input of a network: side, colour and normalization, which are saved with the weights."""

from dataclasses import asdict, dataclass
from typing import Annotated, Any, Final

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

# Luma of ITU-R BT.601, the weights of red, green and blue in OpenCV and libjpeg. They are in thousandths, because
# float32 represents their sums exactly. Otherwise one pixel in a thousand would be rounded differently on another
# device or runtime.
_LUMA: Final = (299.0, 587.0, 114.0)
_LUMA_UNIT: Final = 1000
# Values are rounded to 1/1024 before they are rounded to whole numbers, see `round_exactly`.
_FINE: Final = 1024
_FACTORS: Final = (8, 4, 2)  # factors by which a JPEG decoder can shrink
_LEAST_OVER: Final = 2  # a shrunk face still has at least this many times the input's side
_LARGEST_PX: Final = 4096  # more than any network reads; a damaged checkpoint could ask for more than fits into memory

# Means and standard deviations of ImageNet's channels, with which pretrained networks were trained.
IMAGENET_MEAN: Final = (0.485, 0.456, 0.406)
IMAGENET_STD: Final = (0.229, 0.224, 0.225)


@dataclass(frozen=True, slots=True)
class InputSpec:
    """What a network reads.

    Attributes:
        size_px: side of the square input.
        mean: of each channel, for pixels in [0, 1]; one value means grey input, three mean RGB.
        std: of each channel, for pixels in [0, 1].
        zoom: share of the crop's side that the network sees, around the centre, in (0, 1].
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

    def factor(self, side_px: int) -> int:
        """Return by how much a face may be shrunk before it is cropped and scaled: 1, 2, 4 or 8.

        A JPEG decoder shrinks almost for free, and fewer pixels must then be sent and scaled. The shrunk face has at
        least twice the input's side, so that the scaling still determines what the network sees: from 224 px to 48,
        shrinking by two first changes pixels by half a grey level, by four it would be two and a half. The crop must
        also fall on whole pixels of the shrunk face.

        Args:
            side_px: the side of the face in pixels.
        """
        edge = _edge(side_px, self.zoom)
        for factor in _FACTORS:
            small, rest = divmod(side_px, factor)
            cut = _edge(small, self.zoom)
            if not rest and factor * cut == edge and small - 2 * cut >= _LEAST_OVER * self.size_px:
                return factor
        return 1

    def resize(self, images: Tensor) -> Tensor:
        """Crop and scale faces to the input's side.

        Args:
            images: (N, 3, H, W) RGB or (N, 1, H, W) grey, uint8, at full size or as decoded for this input.

        Returns:
            (N, channels, size_px, size_px) uint8.
        """
        height, width = images.shape[-2:]
        if height == width:
            images = shrink(images, self.factor(height))
        return self.scale(_cut(images, self.zoom))

    def scale(self, images: Tensor) -> Tensor:
        """Return shrunk and cropped faces with the channels and the side of the input; the last step of `resize`."""
        pixels = _to_channels(images, self.channels)
        if pixels.shape[-2:] == (self.size_px, self.size_px):
            return pixels
        scaled = functional.interpolate(
            pixels.float(), size=(self.size_px, self.size_px), mode="bilinear", antialias=True, align_corners=False
        )
        return round_exactly(scaled).clamp_(0, 255).to(torch.uint8)

    def normalize(self, pixels: Tensor) -> Tensor:
        """Convert (N, channels, S, S), uint8 or float in [0, 1], to the float32 that the network reads."""
        scaled = pixels.float() / 255 if pixels.dtype == torch.uint8 else pixels
        return (scaled - per_channel(self.mean, pixels.device)) / per_channel(self.std, pixels.device)

    def prepare(self, images: Tensor) -> Tensor:
        """Convert uint8 faces (N, 3, H, W) to the network's float32 input (N, channels, size_px, size_px)."""
        return self.normalize(self.resize(images))


def shrink(images: Tensor, factor: int) -> Tensor:
    """Return the means of squares of `factor` pixels, (N, C, H / factor, W / factor) uint8.

    Within a grey level, this equals what libjpeg-turbo gives when it decodes at this scale (jidctred.c). So a face that
    arrives decoded at full size gets almost the same input as one from the shards.

    Args:
        images: (N, C, H, W) uint8; the factor divides both sides.
        factor: 1, 2, 4 or 8.
    """
    if factor == 1:
        return images
    return functional.avg_pool2d(images.float(), factor).round_().to(torch.uint8)


def round_exactly(scaled: Tensor) -> Tensor:
    """Round in place, so that values halfway between two integers are rounded alike on every device and runtime.

    Scaling gives many exact halves (up to one in a hundred at a factor of two), and otherwise the last bits of a sum
    would decide. Rounding to 1/1024 first removes these bits.
    """
    return scaled.mul_(_FINE).round_().div_(_FINE).round_()


def per_channel(values: tuple[float, ...], device: torch.device) -> Tensor:
    """Return (1, C, 1, 1) float32, made on the device, because copying it to a GPU would make each step wait."""
    return torch.cat([torch.full((1, 1, 1, 1), value, device=device) for value in values], 1)


def _cut(images: Tensor, zoom: float) -> Tensor:
    if zoom == 1:
        return images
    height, width = images.shape[-2:]
    top, left = _edge(height, zoom), _edge(width, zoom)
    return images[..., top : height - top, left : width - left]


def _edge(side_px: int, zoom: float) -> int:
    """Return how many pixels are cropped at each end of a side."""
    return round(side_px * (1 - zoom) / 2)


def _to_channels(images: Tensor, channels: int) -> Tensor:
    if images.shape[1] == channels:
        return images
    if channels == 3:
        return images.expand(-1, 3, -1, -1)
    weighted = images.float() * per_channel(_LUMA, images.device)
    return weighted.sum(1, keepdim=True).div_(_LUMA_UNIT).round_().to(torch.uint8)
