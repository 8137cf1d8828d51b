"""What the progress bar hears and what DVCLive is told, without a training around it."""

import json
import os
from types import SimpleNamespace

import pytest
import torch

from models.training import reporting as module
from models.training.history import History
from models.training.reporting import LiveLog, ProgressReport, quiet_dvclive


def trainer(batches=7, first=True, epoch=0):
    return SimpleNamespace(num_training_batches=batches, is_global_zero=first, current_epoch=epoch)


def test_progress_counts_batches_of_all_epochs_and_reads_the_loss_once_a_second(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    heard = []
    report = ProgressReport(lambda *said: heard.append(said), before=2, epochs=9)
    for seconds, epoch, batch, loss in [(0, 0, 0, 1.5), (1.0, 0, 1, 2.5), (1.01, 0, 2, 3.5), (1.5, 3, 0, 4.5)]:
        now[0] = 100 + seconds
        report.on_train_batch_end(trainer(5, epoch=epoch), None, {"loss": torch.tensor(loss)}, None, batch)
    assert heard == [
        (11, 45, "epoch 3 loss 1.500"), (12, 45, "epoch 3 loss 1.500"), (13, 45, "epoch 3 loss 3.500"),
        (26, 45, "epoch 6 loss 3.500"),
    ]  # fmt: skip


@pytest.fixture
def history():
    history = History("loss")
    for number in (1, 2, 3):
        sums = ((number * 2.0, 4.0, 1.0, 4.0), (number * 3.0, 4.0, 2.0, 4.0))
        history.record("train", sums, {"balanced_accuracy": number / 10})
    return history


def read_live(folder):
    return {path.stem: path.read_text().splitlines() for path in (folder / "plots/metrics").glob("*.tsv")}


def test_every_epoch_is_logged_once_under_its_number(tmp_path, monkeypatch, history):
    monkeypatch.chdir(tmp_path)
    rows, scores = history.rows[:], history.scores[:]
    history.rows, history.scores = rows[:1], scores[:1]
    live = LiveLog(tmp_path / "live", history)
    for count in (1, 1, 2):
        history.rows, history.scores = rows[:count], scores[:count]
        live.on_train_epoch_start(trainer(), None)
    history.rows, history.scores = rows, scores
    live.on_train_epoch_start(trainer(first=False), None)
    assert len(read_live(tmp_path / "live")["val_loss"]) == 3  # of the first process alone
    live.close()
    found = read_live(tmp_path / "live")
    names = {"train_loss", "val_loss", "train_accuracy", "val_accuracy", "val_balanced_accuracy"}
    assert found.keys() == names
    assert found["val_loss"] == ["step\tval_loss", "0\t0.75", "1\t1.5", "2\t2.25"]
    assert found["val_balanced_accuracy"][1:] == ["0\t0.1", "1\t0.2", "2\t0.3"]
    assert sorted(path.name for path in (tmp_path / "live").iterdir()) == ["metrics.json", "plots"]
    assert json.loads((tmp_path / "live/metrics.json").read_text())["train_loss"] == 1.5


def test_what_was_not_measured_is_not_logged(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    history = History("last")
    history.record("fit", ((1.0, 4.0, 1.0, 4.0), (0.0, 0.0, 0.0, 0.0)), {})
    LiveLog(tmp_path / "live", history).close()
    assert read_live(tmp_path / "live").keys() == {"train_loss", "train_accuracy"}


def test_the_environment_is_as_it_was_afterwards(monkeypatch):
    monkeypatch.setenv("DVCLIVE_LOGLEVEL", "INFO")
    monkeypatch.delenv("DVC_STUDIO_OFFLINE", raising=False)
    with pytest.raises(ZeroDivisionError), quiet_dvclive():
        assert (os.environ["DVCLIVE_LOGLEVEL"], os.environ["DVC_STUDIO_OFFLINE"]) == ("ERROR", "true")
        raise ZeroDivisionError
    assert os.environ["DVCLIVE_LOGLEVEL"] == "INFO"
    assert "DVC_STUDIO_OFFLINE" not in os.environ
