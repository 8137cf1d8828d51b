"""What one phase does around its steps, on a network whose answers are worked out by hand."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.nn import functional

from models.core.inputs import InputSpec
from models.core.streams import Purpose, stream_seed
from models.data.faces import FaceBatch
from models.networks.layers import open_last
from models.registry import create_model
from models.training import module
from models.training.augment import Augmentation
from models.training.history import History, Phase
from models.training.loss import Objective, mix
from models.training.module import Amounts, Learner
from pipeline.core.errors import ModelError
from tests.models.training_inputs import train_params

SPEC = InputSpec(4, (0.5, 0.25, 0.125), (0.5, 0.25, 0.75))
WEIGHTS = torch.linspace(0.25, 2, 8)


class Rows(nn.Module):
    """Answers with a weight for each class times the mean of a face, and keeps what it read."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.linspace(-1, 2, 8))
        self.read = []

    def forward(self, pixels):
        self.read.append(pixels.detach().clone(memory_format=torch.preserve_format))
        return pixels.mean((1, 2, 3))[:, None] * self.weight


def some_faces(count=6, seed=1):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, 8, (count,), generator=generator)
    probs = torch.rand(count, 8, generator=generator)
    return FaceBatch(
        torch.randint(0, 256, (count, 3, 4, 4), dtype=torch.uint8, generator=generator), labels,
        probs / probs.sum(1, keepdim=True), torch.rand(count, generator=generator) + 0.5,
        torch.rand(count, 2, generator=generator) * 2 - 1, torch.rand(count, 2, generator=generator) < 0.7,
    )  # fmt: skip


def learner(network=None, *, history=None, steps=5, rows=0, first_epoch=0, at=0, trainer=None, seed=3, **changes):
    params = train_params(channels_last=False, **changes)
    phase = Phase("train", first_epoch, 4, None, 0.125)
    made = Learner(
        network or Rows(), SPEC, params, phase, Objective(params, WEIGHTS), history or History("loss"),
        Amounts(steps, rows), seed,
    )  # fmt: skip
    given = {"world_size": 1, "current_epoch": at, "global_rank": 0, "should_stop": False, "precision": "32-true"}
    made.trainer = SimpleNamespace(**given, **(trainer or {}))
    return made


def expected_loss(network, faces):
    pixels = (faces.pixels.float() / 255 - torch.tensor(SPEC.mean).view(3, 1, 1)) / torch.tensor(SPEC.std).view(3, 1, 1)
    outputs = pixels.mean((1, 2, 3))[:, None] * network.weight
    each = functional.cross_entropy(outputs, faces.labels, reduction="none")
    counted = WEIGHTS[faces.labels] * faces.weights
    return outputs, (each * counted).sum(), counted.sum()


def test_the_sums_of_an_epoch_are_those_of_its_batches_and_begin_anew():
    network = Rows()
    made = learner(network)
    batches = [some_faces(6, 1), some_faces(3, 2)]
    for _ in range(2):
        made.on_train_epoch_start()
        assert made.sums.tolist() == [0] * 4
        wanted = torch.zeros(4, dtype=torch.float64)
        for number, faces in enumerate(batches):
            loss = made.training_step(faces, number)
            outputs, total, weight = expected_loss(network, faces)
            torch.testing.assert_close(loss, total / weight)
            right = (outputs.argmax(1) == faces.labels).sum()
            wanted += torch.stack([total.detach(), weight, right, torch.tensor(len(faces))]).double()
        torch.testing.assert_close(made.sums, wanted, rtol=1e-6, atol=0)
        assert made.sums.dtype == torch.float64


def test_draws_of_a_step_depend_on_seed_epoch_batch_and_process_alone():
    def read(batch=0, rank=0, **changes):
        network = Rows()
        made = learner(network, augment="strong", mixup=0.4, **changes)
        made.trainer.global_rank = rank
        torch.manual_seed(rank + 99)
        made.training_step(some_faces(), batch)
        return tuple(network.read[0].flatten().tolist())

    one = read()
    assert read() == one
    different = [read(batch=1), read(rank=1), read(seed=4), read(at=1), read(first_epoch=2)]
    assert len({one, *different}) == 6
    assert read(first_epoch=2) == read(at=2)  # epochs count over the phases


@pytest.mark.parametrize("augment", ["none", "thesis", "strong"])
@pytest.mark.parametrize("mixup", [0.0, 0.4])
def test_what_is_learned_from_is_augmented_then_normalized_then_mixed(augment, mixup):
    network, faces = Rows(), some_faces()
    params = train_params(augment=augment, mixup=mixup)
    made = learner(network, augment=augment, mixup=mixup)
    made.training_step(faces, 2)
    torch.manual_seed(stream_seed(Purpose.step, 3, 0, 2, 0))
    pixels = faces.pixels
    if augment != "none":
        pixels = Augmentation(params.augmentations[augment], 4)(pixels)
    pixels = SPEC.normalize(pixels)
    if mixup:
        pixels, _ = mix(pixels, torch.eye(6), mixup)
    torch.testing.assert_close(network.read[0], pixels, rtol=0, atol=0)


def test_affect_is_not_mixed():
    network = Rows()
    network.weight = nn.Parameter(torch.tensor([0.5, -1.0]))
    learner(network, task="affect", mixup=0.4).training_step(some_faces(), 0)
    torch.testing.assert_close(network.read[0], SPEC.normalize(some_faces().pixels))


def test_each_step_of_the_optimizer_moves_the_average_and_the_average_answers(monkeypatch):
    import lightning

    network = Rows()
    made = learner(network, ema=0.25)
    with torch.no_grad():
        network.weight.fill_(1.0)
    given = []
    monkeypatch.setattr(
        lightning.LightningModule, "optimizer_step", lambda _, *args, **named: given.append((args, named))
    )
    made.optimizer_step(7, 8, "optimizer", optimizer_closure="closure")
    assert given == [((7, 8, "optimizer"), {"optimizer_closure": "closure"})]
    assert made.average.network.weight.tolist() == [1.0] * 8
    with torch.no_grad():
        network.weight.fill_(5.0)
    made.optimizer_step()
    # After one step the decay is (1 + 1) / (10 + 1), under 0.25.
    torch.testing.assert_close(made.average.network.weight, torch.full((8,), 1 + 4 * (1 - 2 / 11)))
    assert made.answering is made.average.network
    plain = learner(network)
    assert plain.average is None
    assert plain.answering is network
    plain.optimizer_step()


def validated(made, batches):
    for faces in batches:
        made.validation_step(faces, 0)
    made.on_train_epoch_end()


def test_validation_is_answered_by_the_average_over_all_its_rows_at_once():
    made = learner(ema=0.5, rows=11)
    made.average.network.weight.copy_(torch.linspace(2, -1, 8))
    batches = [some_faces(6, 1), some_faces(5, 2)]
    with torch.no_grad():
        validated(made, batches)
    parts = [expected_loss(made.average.network, faces) for faces in batches]
    row = made.history.rows[0]
    assert row["val_loss"] == pytest.approx(sum(p[1] for p in parts).item() / sum(p[2] for p in parts).item(), rel=1e-6)
    labels = torch.cat([faces.labels for faces in batches])
    right = torch.cat([outputs.argmax(1) for outputs, _, _ in parts]) == labels
    assert row["val_accuracy"] == pytest.approx(right.float().mean().item())
    recalls = [right[labels == label].float().mean().item() for label in labels.unique()]
    assert made.history.scores == [{"balanced_accuracy": pytest.approx(sum(recalls) / len(recalls))}]
    # The next epoch's answers are its own.
    with torch.no_grad():
        validated(made, [some_faces(4, 3)])
    _, total, weight = expected_loss(made.average.network, some_faces(4, 3))
    assert made.history.rows[1]["val_loss"] == pytest.approx((total / weight).item(), rel=1e-6)


def test_validation_of_affect_scores_what_is_given():
    network = Rows()
    network.weight = nn.Parameter(torch.tensor([0.5, -1.0]))
    made = learner(network, task="affect", rows=6)
    faces = some_faces()
    with torch.no_grad():
        validated(made, [faces])
    assert made.history.scores[0]["valence_rows"] == faces.affect_given[:, 0].sum()
    assert made.history.scores[0]["arousal_rows"] == faces.affect_given[:, 1].sum()


def test_the_weights_of_the_best_epoch_are_kept_as_they_were():
    network = Rows()
    made = learner(network, history=History("loss"), rows=6)
    faces = some_faces()
    losses, kept = [], []
    for value in (0.5, 0.0, 3.0):
        with torch.no_grad():
            network.weight.copy_(torch.linspace(-value, value, 8))
            validated(made, [faces])
        losses.append(made.history.rows[-1]["val_loss"])
        kept.append(made.history.best_state["weight"].clone())
    assert made.history.best == losses.index(min(losses)) < 2
    torch.testing.assert_close(kept[-1], torch.linspace(-1, 1, 8) * (0.5, 0.0)[made.history.best])
    assert not made.history.best_state["weight"].requires_grad
    assert made.history.rows[0]["phase"] == "train"


@pytest.mark.parametrize(("patience", "stops"), [(2, [0, 0, 0, 1]), (1, [0, 0, 1, 1]), (0, [0, 0, 0, 0])])
def test_patience_counts_the_epochs_since_the_best(patience, stops):
    network, found = Rows(), []
    made = learner(network, patience=patience, rows=6)
    faces = some_faces()
    with torch.no_grad():
        labelled = functional.one_hot(faces.labels, 8).float().mean(0)
        mean = SPEC.normalize(faces.pixels).mean((1, 2, 3)).mean()
        for strength in (0.0, 0.01, -3.0, -3.0):  # a little towards the labels, then far away from them
            network.weight.copy_(labelled * mean.sign() * strength)
            validated(made, [faces])
            found.append(made.trainer.should_stop)
    assert made.history.best == 1
    assert found == [bool(stop) for stop in stops]


def test_weights_that_are_no_numbers_end_the_training():
    made = learner(rows=6)
    with torch.no_grad():
        made.network.weight[3] = float("nan")
        with pytest.raises(ModelError, match=r"^training diverged: after epoch 1 its weights are not finite numbers; "):
            validated(made, [])


def test_the_rate_of_every_step_is_the_schedules_times_the_phases():
    network = nn.Sequential(nn.Flatten(), nn.Linear(48, 8))
    made = learner(
        network, steps=2, schedule="cosine", warmup_epochs=1, optimizer="sgd", scale_rate="linear", weight_decay=0.5
    )
    made.trainer.world_size = 3
    found = made.configure_optimizers()
    optimizer, plan = found["optimizer"], found["lr_scheduler"]
    assert plan["interval"] == "step"
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.5, 0.0]
    assert not optimizer.param_groups[0]["fused"]
    rates = []
    for _ in range(8):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        plan["scheduler"].step()
    # Four epochs of two steps: one of warm-up, then a cosine over six steps, of three times 0.125.
    shares = [1 / 3, 2 / 3, 1, 0.9330127, 0.75, 0.5, 0.25, 0.0669873]
    assert rates == pytest.approx([0.375 * share for share in shares], rel=1e-6)


def test_frozen_layers_and_the_average_stay_in_inference_mode():
    network = create_model("proposed", 8, False, size_px=32)
    open_last(network, 1)
    made = learner(network, ema=0.5)
    made.eval()
    made.on_train_start()
    norms = [module.training for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    assert norms == [False, False, False, False, True]
    assert not any(module.training for module in made.average.modules())
    assert made.training
    assert made.train(mode=False) is made
    assert not any(module.training for module in made.modules())


def test_how_training_went_goes_with_the_state_and_comes_back():
    made = learner(history=History("loss"))
    made.history.record("train", ((1.0, 2.0, 3.0, 4.0),) * 2, {"balanced_accuracy": 0.5})
    saved = {}
    made.on_save_checkpoint(saved)
    again = learner(history=History("loss"))
    again.on_load_checkpoint(saved)
    assert again.history.plain() == made.history.plain()


def test_of_several_processes_sums_are_added_and_rows_read_twice_left_out():
    reduced = []
    strategy = SimpleNamespace(reduce=lambda sums, reduce_op: reduced.append(reduce_op) or sums * 3)
    made = learner(rows=9, trainer={"strategy": strategy})
    made.trainer.world_size = 2
    made.all_gather = lambda rows: torch.stack([rows, rows.flip(0)])  # the other one read them from the end
    faces = some_faces(5)
    with torch.no_grad():
        made.training_step(faces, 0)
        alone = made.sums.clone()
        validated(made, [faces])
    row = made.history.rows[0]
    assert reduced == ["sum"]
    assert row["train_loss"] == pytest.approx((alone[0] / alone[1]).item())
    torch.testing.assert_close(made.sums, alone * 3)
    joined = faces.take(torch.tensor([0, 1, 2, 3, 4, 4, 3, 2, 1]))
    _, total, weight = expected_loss(made.network, joined)
    assert row["val_loss"] == pytest.approx((total / weight).item(), rel=1e-6)


@pytest.mark.parametrize("channels_last", [True, False])
def test_pixels_are_laid_out_as_asked(channels_last):
    network = Rows()
    made = learner(network)
    made.params = train_params(channels_last=channels_last)
    with torch.no_grad():
        made.training_step(some_faces(), 0)
        made.validation_step(some_faces(), 0)
    layouts = [pixels.is_contiguous(memory_format=torch.channels_last) for pixels in network.read]
    assert layouts == [channels_last] * 2


def test_a_batch_goes_to_the_device_that_is_named():
    moved = learner().transfer_batch_to_device(some_faces(), torch.device("meta"), 0)
    assert moved.pixels.device.type == moved.affect_given.device.type == "meta"


@pytest.mark.parametrize(
    ("device", "precision", "fused"),
    [
        ("cuda:0", "bf16-mixed", True),
        ("cuda:0", "32-true", True),
        ("cuda:0", "16-mixed", False),
        ("cpu", "32-true", False),
    ],
)
def test_weights_move_in_one_operation_on_a_gpu_but_in_fp16(monkeypatch, device, precision, fused):
    asked = []
    build = module.build_optimizer
    monkeypatch.setattr(
        module, "build_optimizer", lambda *given, fused: asked.append((given[2], fused)) or build(*given)
    )
    made = learner()
    made._device = torch.device(device)
    made.trainer.precision = precision
    made.configure_optimizers()
    assert asked == [(0.125, fused)]
