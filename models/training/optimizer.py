"""The optimizer and its learning rate at each step."""

import math

import torch
from torch import nn

from pipeline.core.params import TrainParams


def scale_rate(rate: float, rule: str, processes: int) -> float:
    """Return the learning rate for several processes, each with its own batch: rule none, linear or sqrt."""
    return rate * {"none": 1.0, "linear": float(processes), "sqrt": math.sqrt(processes)}[rule]


def build_optimizer(
    network: nn.Module, params: TrainParams, learning_rate: float, *, fused: bool = False
) -> torch.optim.Optimizer:
    """Return the optimizer of the trainable parameters; weight decay does not apply to biases and norms."""
    open_ = [parameter for parameter in network.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in open_ if p.ndim > 1], "weight_decay": params.weight_decay},
        {"params": [p for p in open_ if p.ndim <= 1], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    match params.optimizer:
        case "adam":
            return torch.optim.Adam(groups, lr=learning_rate, fused=fused)
        case "adamw":
            return torch.optim.AdamW(groups, lr=learning_rate, fused=fused)
        case "sgd":
            return torch.optim.SGD(groups, lr=learning_rate, momentum=0.9, nesterov=True, fused=fused)


def rate_share(params: TrainParams, epochs: int, step: int, steps: int) -> float:
    """Return the learning rate at a step as a share of the highest one, 0..1.

    Args:
        params: schedule, decay and warm-up.
        epochs: number of epochs in the phase.
        step: number of steps done in the phase.
        steps: number of steps in an epoch.
    """
    epoch, warm = step / max(1, steps), params.warmup_epochs
    if epoch < warm:
        return (step + 1) / (warm * steps + 1)  # + 1, so that the first step already learns
    match params.schedule:
        case "constant":
            return 1.0
        case "exponential":
            return float(params.decay ** int(epoch - warm))  # once per epoch, not per step
        case "cosine":
            share = min(1.0, (epoch - warm) / max(1e-9, epochs - warm))
            return 0.5 * (1 + math.cos(math.pi * share))
