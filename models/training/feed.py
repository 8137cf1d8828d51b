"""Batches on their way to the device that trains: some are copied and scaled while it works on those before.

The processor decodes, and sends bytes: a face is scaled to the network's side where the network is. On a GPU this has a
stream of its own, which fetches from pinned memory.
"""

from collections import deque
from collections.abc import Iterator
from typing import Any, Final, Protocol

import torch

from models.core.inputs import InputSpec
from models.data.faces import FaceBatch

_AHEAD: Final = 2  # batches on a GPU beside the one that it learns from


class Epochs(Protocol):
    """Batches, epoch by epoch."""

    def __iter__(self) -> Iterator[FaceBatch]:
        """Yield the batches of the epoch that begins."""

    def __len__(self) -> int:
        """Return how many there are."""

    def state_dict(self) -> dict[str, Any]:
        """Return where the iteration is."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where `state_dict` was taken."""


class Feed:
    """The same batches, on a device. Its state is that of the last batch it has yielded, whatever is ahead.

    Args:
        epochs: where the batches come from.
        spec: what faces are scaled to; None where they are already.
        device: where they go.
    """

    def __init__(self, epochs: Epochs, spec: InputSpec | None, device: torch.device) -> None:
        self._epochs = epochs
        self._spec = spec
        self._device = device
        self._state: dict[str, Any] | None = None

    def __len__(self) -> int:
        """Return how many batches an epoch has."""
        return len(self._epochs)

    def __iter__(self) -> Iterator[FaceBatch]:
        """Yield the batches of the epoch that begins, or what is left of the one that was interrupted."""
        ahead = _AHEAD if self._device.type == "cuda" else 0
        road = _Road(self._device, self._spec)
        waiting: deque[tuple[FaceBatch, Any, dict[str, Any]]] = deque()
        for faces in self._epochs:
            waiting.append((*road.send(faces), self._epochs.state_dict()))
            if len(waiting) > ahead:
                yield self._arrived(road, *waiting.popleft())
        while waiting:
            yield self._arrived(road, *waiting.popleft())

    def state_dict(self) -> dict[str, Any]:
        """Return where the iteration is: after the last batch that was yielded."""
        return self._epochs.state_dict() if self._state is None else self._state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where `state_dict` was taken."""
        self._epochs.load_state_dict(state)
        self._state = None

    def _arrived(self, road: "_Road", faces: FaceBatch, event: Any, state: dict[str, Any]) -> FaceBatch:
        road.await_(event)
        self._state = state
        return faces


class _Road:
    """What leads to a device. On all but CUDA it is torch's own empty road: `torch.cpu` has streams that do nothing."""

    def __init__(self, device: torch.device, spec: InputSpec | None) -> None:
        self._device, self._spec = device, spec
        self._streams: Any = torch.cuda if device.type == "cuda" else torch.cpu
        self._own = self._streams.Stream(device)

    def send(self, faces: FaceBatch) -> tuple[FaceBatch, Any]:
        """Return faces as they will lie on the device, and what to wait for before they do.

        The stream first waits for what the device was given so far: the memory of its earlier batches, which nobody
        holds any more, may still be read by it. As two batches are ahead, the copy overlaps with the next steps.
        """
        if self._device.type == "cuda" and faces.pixels.device.type == "cpu":
            faces = faces.pinned()
        self._own.wait_stream(self._streams.current_stream(self._device))
        with self._streams.stream(self._own):
            there = faces.to(self._device)
            there = there if self._spec is None else there.scaled(self._spec)
            return there, self._own.record_event()

    def await_(self, event: Any) -> None:
        """Let what the device is given from now on wait for an event; nobody here waits."""
        self._streams.current_stream(self._device).wait_event(event)
