"""MTCNN's networks in torch: facenet-pytorch's own modules, run on large batches on a GPU."""

from collections import defaultdict
from collections.abc import Sequence
from functools import cache
from typing import Any, Final

import numpy as np
import torch
from facenet_pytorch.models.mtcnn import ONet, PNet, RNet

from pipeline.align.mtcnn.networks import CELL_PX, STRIDE_PX, Floats32
from pipeline.core.device import Device, use_full_float32
from pipeline.core.errors import DataError

# Pictures for the first network are padded to multiples of this, so that many of them have the same size and can be one
# batch.
_ROUND_PX: Final = 32
_SWEEP_PX: Final = 1 << 24  # pixels per run of the first network
_CROPS: Final = 4096  # crops per run of the other networks
# The GPU memory of one process: CUDA's context, the first network's widest layer before and after its activation (10
# float32 values per pixel of a run each), and as much again for cuDNN.
PROCESS_BYTES: Final = 3 << 30
# The networks expect pixels (x - 127.5) / 128.
_MEAN: Final = 127.5
_SPREAD: Final = 128.0


class TorchNetworks:
    """The networks on one device.

    A GPU's answers differ from those of the CPU in their last bits, and the boxes by much less than a pixel.
    """

    def __init__(self, device: str) -> None:
        # With TF32, the answers would differ in more than their last bits.
        use_full_float32()
        self._device = torch.device(device)
        self._pnet, self._rnet, self._onet = (
            network().eval().requires_grad_(requires_grad=False).to(self._device) for network in (PNet, RNet, ONet)
        )

    def propose(self, pictures: Sequence[Floats32]) -> list[tuple[Floats32, Floats32]]:
        """See `Networks`."""
        nothing = np.zeros(0, np.float32)
        answers: list[tuple[Floats32, Floats32]] = [(nothing, nothing) for _ in pictures]
        # A single picture is not padded, so that an odd side ends in the same way as in facenet-pytorch.
        for size, indices in _by_size(pictures, _ROUND_PX if len(pictures) > 1 else 1).items():
            step = max(1, _SWEEP_PX // (size[0] * size[1]))
            for at in range(0, len(indices), step):
                some = indices[at : at + step]
                corrections, scores = self._run(self._pnet, _padded([pictures[index] for index in some], size))
                for row, index in enumerate(some):
                    # The cells that lie in the padding are cut off.
                    high, wide = (_cells(extent) for extent in pictures[index].shape[2:])
                    answers[index] = scores[row, 1, :high, :wide], corrections[row, :, :high, :wide]
        return answers

    def refine(self, pixels: Floats32) -> tuple[Floats32, Floats32]:
        """See `Networks`."""
        corrections, scores = self._in_runs(self._rnet, pixels)
        return scores[:, 1], corrections

    def output(self, pixels: Floats32) -> tuple[Floats32, Floats32, Floats32]:
        """See `Networks`."""
        corrections, points, scores = self._in_runs(self._onet, pixels)
        return scores[:, 1], corrections, points.reshape(-1, 2, 5).transpose(0, 2, 1)

    def _in_runs(self, network: Any, pixels: Floats32) -> list[Floats32]:
        runs = [self._run(network, pixels[at : at + _CROPS]) for at in range(0, len(pixels), _CROPS)]
        return [np.concatenate(parts) for parts in zip(*runs, strict=True)]

    def _run(self, network: Any, pixels: Floats32) -> list[Floats32]:
        try:
            with torch.inference_mode():
                given = torch.from_numpy(pixels).to(self._device)
                return [answer.cpu().numpy() for answer in network((given - _MEAN).div_(_SPREAD))]
        except torch.OutOfMemoryError:
            raise DataError(f"{self._device}: the card's memory is full; try a smaller PREP_WORKERS") from None


def _by_size(pictures: Sequence[Floats32], round_px: int) -> dict[tuple[int, int], list[int]]:
    groups: dict[tuple[int, int], list[int]] = defaultdict(list)
    for index, picture in enumerate(pictures):
        height, width = (-(-extent // round_px) * round_px for extent in picture.shape[2:])
        groups[height, width].append(index)
    return groups


def _padded(pictures: Sequence[Floats32], size: tuple[int, int]) -> Floats32:
    batch = np.zeros((len(pictures), 3, *size), np.float32)
    for row, picture in enumerate(pictures):
        batch[row, :, : picture.shape[2], : picture.shape[3]] = picture[0]
    return batch


def _cells(extent_px: int) -> int:
    """Return how many cells the network has along an extent; its pooling rounds up."""
    return (extent_px - CELL_PX + 1) // STRIDE_PX + 1


@cache
def torch_networks(device: str) -> TorchNetworks:
    """Return the networks of this process on a device, given by torch's name for it, such as `cuda:0`."""
    return TorchNetworks(device)


def free_bytes(device: Device) -> int:
    """Return the free memory of a GPU, in bytes."""
    return int(torch.cuda.mem_get_info(device.index)[0])
