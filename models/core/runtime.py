"""The device that networks run on, and what makes their results reproducible: threads, algorithms, memory."""

import ctypes
import logging
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, Final

import torch
from torch import Tensor

from pipeline.core.device import CPU, Device, asked_device, describe_device, find_device, tell_device, use_full_float32
from pipeline.core.errors import ParamsError

_FP16_CAPABILITY: Final = (7, 0)  # the first cards with tensor cores
# Of glibc's malloc.h.
_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3
_LARGE_BYTES: Final = 1 << 30


@contextmanager
def reproducible(threads: int) -> Iterator[None]:
    """Fix what the last bits of sums depend on, the number of threads and the algorithms, and restore it afterwards.

    Args:
        threads: per operation on the CPU.
    """
    use_full_float32()
    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    torch.set_num_threads(threads)
    # cuBLAS adds in a fixed order only if its workspace has a fixed size. It reads this variable when it is first used.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    # A few backward passes have no deterministic CUDA kernel. They only cause a warning, and a rerun may then differ in
    # the last bits.
    device = find_device()
    torch.use_deterministic_algorithms(mode=True, warn_only=device.kind != CPU)
    # In deterministic mode, torch fills new memory, in case an operation reads memory that was never written. None here
    # does, and filling takes a third of a step on the CPU.
    filled = torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    keep_freed_memory()
    try:
        # Only the generator of the GPU in use is saved: to save those of all GPUs would take memory on each.
        with torch.random.fork_rng([] if device.index is None else [device.index]), _quiet():
            yield
    finally:
        torch.set_num_threads(before[0])
        torch.use_deterministic_algorithms(mode=before[1], warn_only=warn_only)
        torch.utils.deterministic.fill_uninitialized_memory = filled  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True)
class Compute:
    """The device that networks ran on and how, as snapshots, metrics and the report record it.

    Attributes:
        device: cpu, cuda or mps.
        card: a GPU's product name, empty for the CPU.
        precision: fp32, bf16 or fp16, never auto.
        tf32: whether float32 products may be rounded to TF32.
        processes: how many train together.
    """

    device: str
    card: str
    precision: str
    tf32: bool
    processes: int

    def plain(self) -> dict[str, Any]:
        """Return the values as plain JSON."""
        return {name: value for name, value in asdict(self).items() if name != "card" or value}

    def __str__(self) -> str:
        """Return one phrase for a person."""
        return tell_device(self.plain())


def describe_compute(device: Device, precision: str = "fp32", processes: int = 1) -> Compute:
    """Return what is recorded about networks that run on a device."""
    known = describe_device(device)
    tf32 = device.kind == "cuda" and (torch.backends.cuda.matmul.allow_tf32 or torch.backends.cudnn.allow_tf32)
    return Compute(known["device"], known.get("card", ""), precision, tf32, processes)


def network_device(*, classical: bool = False) -> Device:
    """Return the device of a network, as PREP_DEVICE says, and switch off TF32; always the CPU for classical baselines.

    Raises:
        ParamsError: see `device.find_device`.
    """
    if classical:
        asked_device()
        return Device(CPU)
    device = find_device()
    use_full_float32()
    return device


def accelerator() -> str:
    """Return Lightning's name of the training device: gpu, cpu or mps."""
    kind = find_device().kind
    return "gpu" if kind == "cuda" else kind


def resolve_precision(asked: str, device: Device) -> str:
    """Return the precision in which a device trains: fp32, bf16 or fp16.

    `auto` is the fastest that trains safely: bf16 where the card computes in it and does not only emulate it (Ampere
    and later), fp16 with scaled losses where it has tensor cores for that alone (Volta, Turing), fp32 on all else.

    Raises:
        ParamsError: the device cannot do what is asked.
    """
    if device.kind != "cuda":
        if asked == "fp16":
            raise ParamsError(f"train.precision: fp16 needs an NVIDIA GPU, and this trains on {device.name}; use auto")
        return "fp32" if asked == "auto" else asked
    with torch.cuda.device(device.index):
        has_bf16 = torch.cuda.is_bf16_supported(including_emulation=False)
    if asked == "bf16" and not has_bf16:
        card = torch.cuda.get_device_name(device.index)
        raise ParamsError(f"train.precision: {card} has no bf16; use auto, fp16 or fp32")
    if asked != "auto":
        return asked
    if has_bf16:
        return "bf16"
    return "fp16" if torch.cuda.get_device_capability(device.index) >= _FP16_CAPABILITY else "fp32"


def send(made: Tensor, device: torch.device) -> Tensor:
    """Return a copy of a CPU tensor on another device.

    It goes to a GPU from pinned memory. From any other memory, the driver may first wait for all queued work of the
    GPU.
    """
    return (made.pin_memory() if device.type == "cuda" else made).to(device, non_blocking=True)


def keep_freed_memory() -> None:
    """Let malloc keep freed blocks of up to 1 GiB for the next batch, if the C library is glibc.

    By default, memory for each large activation is mapped again for every batch, and its pages are faulted in one by
    one. In a step of the default network this took longer than the convolutions.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:  # musl has none
        mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)
        mallopt(_M_TRIM_THRESHOLD, _LARGE_BYTES)


@contextmanager
def _quiet() -> Iterator[None]:
    """Hide Lightning's advice, which is about code and not about the command; its errors still come through."""
    logger = logging.getLogger("lightning.pytorch")
    before = logger.level
    logger.setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="lightning")
        warnings.filterwarnings(
            "ignore", category=UserWarning, message=".*does not have a deterministic implementation.*"
        )
        try:
            yield
        finally:
            logger.setLevel(before)
