"""What a network answers: the columns of its output, classes first, then values of affect."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from torch import Tensor

from models.core.affect import AFFECTS
from pipeline.core.emotions import CLASSES

# What the network of each task answers; under `all`, of the values those that its training rows have.
TASKS: Final = {
    "emotion": CLASSES,
    **{name: (name,) for name in AFFECTS},
    "affect": ("valence", "arousal"),
    "all": (*CLASSES, *AFFECTS),
}


@dataclass(frozen=True, slots=True)
class Heads:
    """The names of a network's outputs, in order."""

    outputs: tuple[str, ...]

    @property
    def values(self) -> tuple[str, ...]:
        """The values of affect among the outputs."""
        return tuple(name for name in self.outputs if name in AFFECTS)

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes among the outputs, which come first."""
        return self.outputs[: len(self.outputs) - len(self.values)]

    def of_classes(self, outputs: Tensor) -> Tensor:
        """Return the logits (..., C) of the classes, given outputs (..., C + K)."""
        return outputs[..., : len(self.classes)]

    def of_values(self, outputs: Tensor) -> Tensor:
        """Return the raw values (..., K), before tanh, given outputs (..., C + K)."""
        return outputs[..., len(self.classes) :]

    @property
    def columns(self) -> tuple[int, ...]:
        """The places of the values among AFFECTS."""
        return tuple(AFFECTS.index(name) for name in self.values)


def heads_of(task: str, given: Collection[str] = AFFECTS, classes: Collection[str] = CLASSES) -> Heads:
    """Return what a network of a task answers, if its training rows have the values `given`, and these classes."""
    wanted = [name for name in TASKS[task] if name not in CLASSES or name in classes]
    return Heads(tuple(name for name in wanted if task != "all" or name not in AFFECTS or name in given))
