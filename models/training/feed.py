"""Moving batches to the training device: some are copied and scaled while the device works on earlier ones.

The CPU decodes and sends bytes; faces are scaled to the network's input on the network's device. On a GPU, this happens
on a CUDA stream of its own, which copies from pinned memory.
"""

from collections import deque
from collections.abc import Iterator
from typing import Any, Final, Protocol

import torch

from models.core.inputs import InputSpec
from models.data.faces import FaceBatch

_AHEAD: Final = 2  # batches on a GPU besides the one in use


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
    """The same batches on a device. Its state is that of the last yielded batch, however many are ahead.

    Args:
        epochs: the source of the batches.
        spec: the input that faces are scaled to; None if they are scaled already.
        device: the target.
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
        """Return the position of the iteration, after the last batch that was yielded."""
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
    """The copy to a device. `torch.cpu` has streams of the same interface that do nothing; all but CUDA use these."""

    def __init__(self, device: torch.device, spec: InputSpec | None) -> None:
        self._device, self._spec = device, spec
        self._streams: Any = torch.cuda if device.type == "cuda" else torch.cpu
        self._own = self._streams.Stream(device)

    def send(self, faces: FaceBatch) -> tuple[FaceBatch, Any]:
        """Start copying faces; return them as they will be on the device, and the event to wait for.

        The stream first waits for the work that the device has been given so far, because that may still read memory of
        earlier batches, which torch has already freed for reuse. As two batches are ahead, the copy still overlaps with
        the next steps.
        """
        if self._device.type == "cuda" and faces.pixels.device.type == "cpu":
            faces = faces.pinned()
        self._own.wait_stream(self._streams.current_stream(self._device))
        with self._streams.stream(self._own):
            there = faces.to(self._device)
            there = there if self._spec is None else there.scaled(self._spec)
            return there, self._own.record_event()

    def await_(self, event: Any) -> None:
        """Make later work of the device wait for an event; the program itself does not wait."""
        self._streams.current_stream(self._device).wait_event(event)
