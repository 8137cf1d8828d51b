"""Lightning's Trainer set up for this project: device and strategy from the environment."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import lightning
import torch
from lightning.pytorch.callbacks import Callback

from models.runtime import accelerator
from pipeline.errors import ParamsError
from pipeline.params import TrainParams

# Where a machine has several GPUs, or several machines train together: Lightning's own names for all of these.
_DEVICES: Final = "PREP_DEVICES"
_NODES: Final = "PREP_NODES"
_STRATEGY: Final = "PREP_STRATEGY"


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
