"""Where networks run and that they give the same bits again: device, threads, algorithms, memory."""

import ctypes
import logging
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import torch

from pipeline.errors import ParamsError

_DEVICE: Final = "PREP_DEVICE"
# Of glibc's malloc.h.
_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3
_LARGE_BYTES: Final = 1 << 30


@contextmanager
def reproducible(threads: int) -> Iterator[None]:
    """Fix what the last bits of a sum depend on: the number of threads and the algorithms.

    Args:
        threads: of one operation on the CPU.
    """
    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    torch.set_num_threads(threads)
    # cuBLAS sums in one order only with a workspace of fixed size; it reads this when it is first used.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    # A few backward passes have no deterministic CUDA kernel; there a rerun may differ in the last bits.
    torch.use_deterministic_algorithms(mode=True, warn_only=torch.cuda.is_available())
    # Filling fresh memory guards against operations that read what they never wrote; none here does, and it takes
    # a third of a step on the CPU.
    filled = torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    keep_freed_memory()
    try:
        with torch.random.fork_rng(), _quiet():
            yield
    finally:
        torch.set_num_threads(before[0])
        torch.use_deterministic_algorithms(mode=before[1], warn_only=warn_only)
        torch.utils.deterministic.fill_uninitialized_memory = filled  # type: ignore[attr-defined]


def accelerator() -> str:
    """Return the kind of device that trains: PREP_DEVICE (cpu, cuda, mps), else a GPU where there is one."""
    name = os.environ.get(_DEVICE, "auto") or "auto"
    if name == "auto":
        return "gpu" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and not torch.cuda.is_available():
        raise ParamsError(f"{_DEVICE}: cuda, but torch finds no GPU here; use cpu or auto")
    return "gpu" if name.startswith("cuda") else name


def keep_freed_memory() -> None:
    """Let malloc keep freed blocks of up to 1 GiB for the next batch, where the C library is glibc.

    By default each large activation is mapped anew for every batch and its pages are faulted in one by one: in a
    step of the default network that took longer than its convolutions.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:  # musl has none
        mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)
        mallopt(_M_TRIM_THRESHOLD, _LARGE_BYTES)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Lightning's advice from the person who typed the command; its errors still come through."""
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
