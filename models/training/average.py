"""The exponential moving average of a network's weights, which is evaluated and saved instead of the network."""

import copy
from typing import Any

import torch
from torch import Tensor, nn


class Average(nn.Module):
    """A copy of a network whose weights follow it: at step n they move by 1 - min(decay, (1 + n) / (10 + n)).

    So the decay grows to its final value, and the random first weights soon fade. All tensors move in one operation.
    The number of steps is kept on the CPU, because torch's AveragedModel asks the GPU for it at every step.

    Args:
        network: the network to follow; its present weights are the first.
        decay: per step, in (0, 1].
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        super().__init__()
        self.network = copy.deepcopy(network).requires_grad_(False)
        self._decay = decay
        self._steps = 0

    @torch.no_grad()
    def follow(self, network: nn.Module) -> None:
        """Move towards the network's weights and batch statistics; the first time, copy them."""
        share = 1 - min(self._decay, (1 + self._steps) / (10 + self._steps)) if self._steps else 1.0
        pairs = list(zip(_tensors(self.network), _tensors(network), strict=True))
        moving = [pair for pair in pairs if pair[0].is_floating_point()]
        counts = [pair for pair in pairs if not pair[0].is_floating_point()]
        torch._foreach_lerp_([mean for mean, _ in moving], [value for _, value in moving], share)
        if counts:
            torch._foreach_copy_([mean for mean, _ in counts], [value for _, value in counts])
        self._steps += 1

    def get_extra_state(self) -> dict[str, Any]:
        """Return the number of steps, for a saved state."""
        return {"steps": self._steps}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Restore the number of steps."""
        self._steps = int(state["steps"])


def _tensors(network: nn.Module) -> list[Tensor]:
    return [*network.parameters(), *network.buffers()]
