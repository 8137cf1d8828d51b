"""Reports during a training: the progress bar, DVCLive's logs, and those of other loggers."""

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import lightning
from lightning.pytorch.callbacks import Callback

from models.training.history import History
from models.training.loggers import Opened
from pipeline.core.environment import environment
from pipeline.core.errors import OutputError
from pipeline.core.parallel.pool import Progress

_LOSS_SECONDS: Final = 1.0


class ProgressReport(Callback):
    """Reports the number of batches done, over all epochs of all phases, to a progress bar.

    The loss is read only once per second, because reading it waits until the GPU has finished all queued work.
    """

    def __init__(self, progress: Progress, before: int, epochs: int) -> None:
        self._progress = progress
        self._before = before
        self._epochs = epochs
        self._loss, self._read_at = math.nan, -math.inf

    def on_train_epoch_start(self, trainer: lightning.Trainer, _module: lightning.LightningModule) -> None:
        """Say how much there is in all before the first batch is done."""
        an_epoch, epoch = int(trainer.num_training_batches), self._before + trainer.current_epoch
        self._progress(epoch * an_epoch, self._epochs * an_epoch, f"epoch {epoch + 1}")

    def on_train_batch_end(
        self, trainer: lightning.Trainer, _module: lightning.LightningModule, outputs: Any, _batch: Any, batch_idx: int
    ) -> None:
        """Report one more batch."""
        an_epoch = int(trainer.num_training_batches)
        epoch = self._before + trainer.current_epoch
        done = epoch * an_epoch + batch_idx + 1
        if time.monotonic() - self._read_at > _LOSS_SECONDS:
            self._loss, self._read_at = float(outputs["loss"]), time.monotonic()
        self._progress(done, self._epochs * an_epoch, f"epoch {epoch + 1} loss {self._loss:.3f}")


class LiveLog(Callback):
    """Logs each epoch with DVCLive for DVC and its extensions, and with the other loggers that `train.loggers` names.

    After a resume, earlier epochs are logged again.
    """

    def __init__(self, folder: Path, history: History, others: Sequence[Opened] = ()) -> None:
        self._history = history
        self._others = others
        self._logged = 0
        with quiet_dvclive():
            from dvclive.live import Live
            from scmrepo.exceptions import SCMError

            try:
                self.live = Live(str(folder), save_dvc_exp=False, dvcyaml=None, report=None, monitor_system=False)
            except SCMError:
                raise OutputError("git: no commit yet, and DVCLive needs one; commit first") from None

    def on_train_epoch_start(self, trainer: lightning.Trainer, _module: lightning.LightningModule) -> None:
        """Log new epochs here, because the module records an epoch only after the callbacks for its end."""
        if trainer.is_global_zero:
            self.write()

    def write(self) -> None:
        """Log every epoch that has not been logged."""
        for row, scores in list(zip(self._history.rows, self._history.scores, strict=True))[self._logged :]:
            values = {**row, **{f"val_{name}": value for name, value in scores.items()}}
            known = {
                name: value
                for name, value in values.items()
                if name not in {"epoch", "phase"} and not math.isnan(value)
            }
            for name, value in known.items():
                self.live.log_metric(name, value)
            for other in self._others:
                other.logger.log_metrics(known, self._logged)
            self.live.next_step()  # type: ignore[no-untyped-call]  # dvclive's own
            self._logged += 1

    def close(self) -> None:
        """Log the rest and close the files."""
        self.write()
        with quiet_dvclive():
            self.live.end()  # type: ignore[no-untyped-call]


@contextmanager
def quiet_dvclive() -> Iterator[None]:
    """Restrict DVCLive to writing its files: no messages and no connection to a server."""
    with environment({"DVCLIVE_LOGLEVEL": "ERROR", "DVC_STUDIO_OFFLINE": "true"}):
        yield
