"""The state from which a killed training resumes, saved every few minutes, and its best weights when they change."""

import time
from pathlib import Path
from typing import Any, Final

import lightning
import torch
from lightning.pytorch.callbacks.checkpoint import Checkpoint

from models.training.history import History
from pipeline.core.place import sync

_SECONDS: Final = 60
_ASK_BATCHES: Final = 16  # several processes agree on the time only once in so many batches, because it costs a message


class StateKeeper(Checkpoint):
    """Saves the complete state of a training, so that a killed run resumes where it was.

    A kill loses at most the given time, plus the batch or validation in progress. No state is saved between the last
    batch of an epoch and its validation, because it could not be resumed exactly. The best weights have a file of their
    own, because they change only once in many epochs.

    Args:
        path: file of the state, replaced completely each time.
        history: the training's history, which has the best weights.
        minutes: from one state to the next; 0 saves after every step and every epoch.
        accumulate: batches per step of the optimizer; a state never contains half-accumulated gradients.
    """

    def __init__(self, path: Path, history: History, minutes: float, accumulate: int = 1) -> None:
        self._path, self._history = path, history
        self._seconds = minutes * _SECONDS
        self._accumulate = accumulate
        self._kept = -1  # the epoch whose weights lie in the file
        self._saved_at = time.monotonic()

    def on_train_start(self, _trainer: lightning.Trainer, _module: lightning.LightningModule) -> None:
        """Load the best weights if the training was resumed, and start counting the time."""
        if self._history.best >= 0 and not self._history.best_state:
            self._kept = self._history.best
            self._history.best_state = torch.load(self._best_path(), map_location="cpu", weights_only=True)
        self._saved_at = time.monotonic()

    def on_train_batch_end(
        self, trainer: lightning.Trainer, _module: lightning.LightningModule, _outputs: Any, _batch: Any, batch_idx: int
    ) -> None:
        """Save between two steps of the optimizer if it is time."""
        done = batch_idx + 1
        if done % self._accumulate or done >= trainer.num_training_batches:
            return
        asked = trainer.world_size == 1 or not self._seconds or done // self._accumulate % _ASK_BATCHES == 0
        if asked and self._is_time(trainer):
            self._save(trainer)

    def on_train_epoch_end(self, trainer: lightning.Trainer, _module: lightning.LightningModule) -> None:
        """Save between two epochs if it is time; the history then has the epoch's validation."""
        if self._is_time(trainer):
            self._save(trainer)

    def _is_time(self, trainer: lightning.Trainer) -> bool:
        passed = time.monotonic() - self._saved_at >= self._seconds
        # All processes save together, so the clock of the first decides for all.
        return bool(trainer.strategy.broadcast(passed)) if trainer.world_size > 1 else passed

    def _save(self, trainer: lightning.Trainer) -> None:
        best = self._history.best
        if trainer.is_global_zero and best not in (-1, self._kept):
            partial = self._path.with_suffix(".best-writing")
            torch.save(self._history.best_state, partial)
            sync(partial)
            partial.replace(self._best_path())
        partial = self._path.with_suffix(".writing")
        trainer.save_checkpoint(partial)
        if trainer.is_global_zero:
            sync(partial)
            partial.replace(self._path)
            self._remove_others()
        self._kept = best
        self._saved_at = time.monotonic()

    def _remove_others(self) -> None:
        """Remove files of best weights that no state refers to any more."""
        for other in self._path.parent.glob(f"{self._path.stem}.best-[0-9]*"):
            if other != self._best_path():
                other.unlink()

    def _best_path(self) -> Path:
        return self._path.with_suffix(f".best-{self._history.best}")
