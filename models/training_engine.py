"""Lightning's Trainer set up for this project: device and strategy from the environment, the same result on a rerun."""

import logging
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import lightning
import torch
from lightning.pytorch.callbacks import Callback

from pipeline.errors import ParamsError
from pipeline.params import TrainParams

# Where a machine has several GPUs, or several machines train together: Lightning's own names for all of these.
_DEVICE: Final = "PREP_DEVICE"
_DEVICES: Final = "PREP_DEVICES"
_NODES: Final = "PREP_NODES"
_STRATEGY: Final = "PREP_STRATEGY"


@contextmanager
def reproducible(threads: int) -> Iterator[None]:
    """Fix what the last bits of a sum depend on: the number of threads and the algorithms.

    Args:
        threads: of one operation on the CPU.
    """
    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    torch.set_num_threads(threads)
    # A few backward passes have no deterministic CUDA kernel; there a rerun may differ in the last bits.
    torch.use_deterministic_algorithms(mode=True, warn_only=torch.cuda.is_available())
    try:
        with torch.random.fork_rng(), _quiet():
            yield
    finally:
        torch.set_num_threads(before[0])
        torch.use_deterministic_algorithms(mode=before[1], warn_only=warn_only)


def accelerator() -> str:
    """Return the kind of device that trains: PREP_DEVICE (cpu, cuda, mps), else a GPU where there is one."""
    name = os.environ.get(_DEVICE, "auto") or "auto"
    if name == "auto":
        return "gpu" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and not torch.cuda.is_available():
        raise ParamsError(f"{_DEVICE}: cuda, but torch finds no GPU here; use cpu or auto")
    return "gpu" if name.startswith("cuda") else name


def build_trainer(params: TrainParams, epochs: int, callbacks: Sequence[Callback], folder: Path) -> Any:
    """Return a Trainer for one phase.

    Args:
        params: precision, clipping.
        epochs: of the phase.
        callbacks: what goes on around the steps.
        folder: Lightning's own working folder.
    """
    kind = accelerator()
    return lightning.Trainer(
        accelerator=kind,
        devices=_devices(),
        num_nodes=_whole(_NODES, 1),
        strategy=os.environ.get(_STRATEGY, "auto") or "auto",
        precision=_precision(params.precision, kind),
        max_epochs=epochs,
        gradient_clip_val=params.clip_norm or None,
        callbacks=list(callbacks),
        default_root_dir=folder,
        deterministic="warn" if kind == "gpu" else True,
        benchmark=False,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
    )


def _precision(asked: str, kind: str) -> Any:
    if asked == "auto":
        asked = "bf16" if kind == "gpu" and torch.cuda.is_bf16_supported() else "fp32"
    return {"bf16": "bf16-mixed", "fp32": "32-true"}[asked]


def _devices() -> Any:
    text = os.environ.get(_DEVICES, "") or "1"
    return text if text in {"auto", "-1"} else _whole(_DEVICES, 1)


def _whole(name: str, default: int) -> int:
    text = os.environ.get(name, "") or str(default)
    if not text.isdecimal() or int(text) < 1:
        raise ParamsError(f"{name}: expected a whole number of at least 1, not {text!r}")
    return int(text)


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
