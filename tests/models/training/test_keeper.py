"""A kill loses at most the time that was asked for, and the best weights are written when they change."""

from types import SimpleNamespace

import pytest
import torch

from models.training import keeper
from models.training.history import History
from models.training.keeper import StateKeeper
from models.training.stage import run as train
from tests.models.training_inputs import make_training_shards, train_params

MINUTES = 1.0
A_BATCH_S = 22.0


@pytest.fixture
def clock(monkeypatch):
    """A clock that the test moves."""
    now = SimpleNamespace(s=0.0)
    monkeypatch.setattr(keeper.time, "monotonic", lambda: now.s)
    return now


class Trainer:
    """What the keeper sees of Lightning's."""

    num_training_batches = 1000
    is_global_zero = True

    def __init__(self, world_size=1, first_says=None):
        self.world_size = world_size
        self.strategy = SimpleNamespace(broadcast=lambda passed: self.asked.append(passed) or first_says)
        self.saved, self.asked = [], []

    def save_checkpoint(self, path):
        path.write_bytes(b"state")
        self.saved.append(path.name)


def end_batches(kept, trainer, clock, count):
    """End so many batches; return after which of them a state was saved."""
    found = []
    for number in range(count):
        clock.s += A_BATCH_S
        before = len(trainer.saved)
        kept.on_train_batch_end(trainer, None, None, None, number)
        found += [number + 1] * (len(trainer.saved) - before)
    return found


@pytest.mark.parametrize(("accumulate", "expected"), [(1, [3, 6, 9, 12, 15]), (2, [4, 8, 12, 16]), (5, [5, 10, 15])])
def test_a_state_is_saved_when_the_minutes_are_over_and_no_step_is_half_done(tmp_path, clock, accumulate, expected):
    kept = StateKeeper(tmp_path / "a.ckpt", History("loss"), MINUTES, accumulate)
    assert end_batches(kept, Trainer(), clock, 16) == expected
    assert [path.name for path in tmp_path.iterdir()] == ["a.ckpt"]


def test_no_state_lies_between_training_and_validation_and_an_epochs_end_is_no_reason_for_one(tmp_path, clock):
    kept, trainer = StateKeeper(tmp_path / "a.ckpt", History("loss"), MINUTES), Trainer()
    trainer.num_training_batches = 3
    assert end_batches(kept, trainer, clock, 3) == []
    kept.on_train_epoch_end(trainer, None)
    assert len(trainer.saved) == 1
    assert end_batches(kept, trainer, clock, 2) == []
    kept.on_train_epoch_end(trainer, None)
    assert len(trainer.saved) == 1


def test_of_several_processes_the_clock_of_the_first_decides_and_is_seldom_asked(tmp_path, clock):
    for first_says in (True, False):
        kept, trainer = StateKeeper(tmp_path / "a.ckpt", History("loss"), MINUTES), Trainer(2, first_says)
        assert end_batches(kept, trainer, clock, 40) == ([16, 32] if first_says else [])
        assert len(trainer.asked) == 2


def test_a_state_is_replaced_whole_and_by_the_first_process_alone(tmp_path, clock):
    kept, trainer = StateKeeper(tmp_path / "a.ckpt", History("loss"), 0), Trainer()
    kept.on_train_epoch_end(trainer, None)
    assert trainer.saved == ["a.writing"]
    assert [path.name for path in tmp_path.iterdir()] == ["a.ckpt"]
    other, trainer = StateKeeper(tmp_path / "b.ckpt", History("loss"), 0), Trainer(2, first_says=True)
    trainer.is_global_zero = False
    other._history.best, other._history.best_state = 0, {"weight": torch.zeros(1)}
    other.on_train_epoch_end(trainer, None)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.ckpt", "b.writing"]


def test_the_best_weights_are_written_when_they_change_and_found_again(tmp_path, clock, monkeypatch):
    written = []
    save = torch.save
    monkeypatch.setattr(torch, "save", lambda state, path: written.append(path.name) or save(state, path))
    history = History("loss")
    kept, trainer = StateKeeper(tmp_path / "a.ckpt", history, 0), Trainer()
    for best in (-1, 0, 0, 2, 2, 2):
        history.best, history.best_state = best, {"weight": torch.full((2,), float(best))}
        kept.on_train_epoch_end(trainer, None)
    assert len(trainer.saved) == 6
    assert len(written) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.best-2", "a.ckpt"]

    again = History("last")
    again.restore(history.plain())
    assert not again.best_state
    kept = StateKeeper(tmp_path / "a.ckpt", again, 0)
    kept.on_train_start(trainer, None)
    assert again.best_state["weight"].tolist() == [2.0, 2.0]
    kept.on_train_epoch_end(trainer, None)
    assert len(written) == 2


def test_a_whole_training_writes_states_by_the_clock_alone(tmp_path, clock, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shards = make_training_shards(tmp_path, rows=60)
    times = []
    replaced = StateKeeper._save
    monkeypatch.setattr(StateKeeper, "_save", lambda kept, trainer: times.append(clock.s) or replaced(kept, trainer))

    def report(done, total, note):
        clock.s += A_BATCH_S

    params = train_params(epochs=5, batch_size=16, checkpoint_minutes=MINUTES)
    train(shards, tmp_path / "out", params, seed=5, progress=report)
    assert clock.s > 10 * A_BATCH_S
    gaps = [later - earlier for earlier, later in zip([0.0, *times], [*times, clock.s], strict=True)]
    assert max(gaps) <= MINUTES * 60 + A_BATCH_S
    assert min(gaps[:-1]) >= MINUTES * 60
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith(".")) == []
