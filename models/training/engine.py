"""Lightning's Trainer as this project uses it: devices, machines and strategy from the environment (docs/gpu.md)."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import lightning
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.strategies import StrategyRegistry

from models.core.runtime import Compute, accelerator, describe_compute, network_device, resolve_precision
from pipeline.core.device import AUTO, CPU, DEVICE, Device, asked_device, find_device
from pipeline.core.errors import ParamsError
from pipeline.core.params import TrainParams

# For several GPUs or several machines; the values are Lightning's own.
_DEVICES: Final = "PREP_DEVICES"
_NODES: Final = "PREP_NODES"
_STRATEGY: Final = "PREP_STRATEGY"
# Variables that torchrun and Slurm's srun set for each process they start; Lightning looks for the same ones.
_LAUNCHED: Final = ({"TORCHELASTIC_RUN_ID", "RANK"}, {"SLURM_NTASKS", "SLURM_STEP_ID"})
_LIGHTNING_NAMES: Final[Any] = {"fp32": "32-true", "bf16": "bf16-mixed", "fp16": "16-mixed"}


def build_trainer(params: TrainParams, epochs: int, callbacks: Sequence[Callback], folder: Path) -> Any:
    """Return a Trainer for one phase.

    Args:
        params: precision, clipping.
        epochs: of the phase.
        callbacks: Lightning callbacks for progress, logs and states.
        folder: Lightning's own working folder.

    Raises:
        ParamsError: the device or the environment cannot do what is asked.
    """
    device = find_device()
    if params.sync_batchnorm and device.kind != "cuda" and count_processes() > 1:
        raise ParamsError(f"train.sync_batchnorm: torch has it on GPUs alone; false on {device.name}")
    return lightning.Trainer(
        accelerator=accelerator(),
        devices=_devices(device),
        num_nodes=count_nodes(),
        strategy=_strategy(),
        precision=_LIGHTNING_NAMES[resolve_precision(params.precision, device)],
        max_epochs=epochs,
        accumulate_grad_batches=params.accumulate,
        sync_batchnorm=params.sync_batchnorm,
        gradient_clip_val=params.clip_norm or None,
        callbacks=list(callbacks),
        default_root_dir=folder,
        deterministic=True if device.kind == CPU else "warn",
        benchmark=False,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
    )


def plan_compute(params: TrainParams, *, classical: bool) -> Compute:
    """Return the device that a training will run on, and how.

    Args:
        params: precision.
        classical: whether it is one of the baselines, which one process fits on the CPU.

    Raises:
        ParamsError: the environment asks for something this machine cannot do; names the variable.
    """
    device = network_device(classical=classical)
    if classical:
        return describe_compute(device)
    return describe_compute(device, resolve_precision(params.precision, device), count_processes())


def count_processes() -> int:
    """Return the number of processes that train together, over all machines.

    Raises:
        ParamsError: see `count_devices`, `count_nodes`.
    """
    return count_devices(find_device()) * count_nodes()


def count_devices(device: Device) -> int:
    """Return the number of devices of this machine that train together, from PREP_DEVICES; -1 and auto mean all GPUs.

    Raises:
        ParamsError: not a whole number, more than there are, or several although PREP_DEVICE names one.
    """
    text = os.environ.get(_DEVICES, "") or "1"
    there = torch.cuda.device_count() if device.kind == "cuda" else 1
    count = there if text in {AUTO, "-1"} else _whole(_DEVICES)
    if device.kind == "cuda" and count > there:
        raise ParamsError(f"{_DEVICES}: expected at most {there}, the GPUs that torch finds here, not {count}")
    if count > 1 and asked_device().startswith("cuda:"):
        raise ParamsError(f"{_DEVICES}: {count}, but {DEVICE} names one GPU, {asked_device()}; set it to cuda")
    return count


def count_nodes() -> int:
    """Return the number of machines that train together, from PREP_NODES.

    Raises:
        ParamsError: there are several, but nothing tells this process which one it is on. Each process would take
            itself for the first and write the same folder.
    """
    nodes = _whole(_NODES)
    if nodes > 1 and not any(names <= os.environ.keys() for names in _LAUNCHED):
        raise ParamsError(
            f"{_NODES}: {nodes} machines, but no launcher says which one this is; type on each, with --node-rank 0 on "
            f"the first, 1 on the next: torchrun --nnodes {nodes} --node-rank 0 --nproc-per-node GPUS_OF_ONE "
            "--master-addr FIRST_MACHINE --no-python prep train, or start it by srun"
        )
    return nodes


def _devices(device: Device) -> int | list[int]:
    """Return Lightning's `devices`: their number, or the index of the one GPU that PREP_DEVICE names."""
    one = device.index if asked_device().startswith("cuda:") else None
    count = count_devices(device)
    return count if one is None else [one]


def _strategy() -> str:
    asked = os.environ.get(_STRATEGY, "") or AUTO
    known = [AUTO, *StrategyRegistry.available_strategies()]
    if asked not in known:
        raise ParamsError(f"{_STRATEGY}: expected a strategy of Lightning ({', '.join(known)}), not {asked!r}")
    return asked


def _whole(name: str) -> int:
    text = os.environ.get(name, "") or "1"
    if not text.isdecimal() or int(text) < 1:
        raise ParamsError(f"{name}: expected a whole number of at least 1, not {text!r}")
    return int(text)
