"""The losses against torch's own, and what mixes and balances."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode

from models.core.affect import affect_loss
from models.core.heads import heads_of
from models.core.inputs import InputSpec
from models.data.faces import FaceBatch
from models.training.epochs import Reading, read_faces
from models.training.loss import Objective, balance_classes, mix, soft_cross_entropy
from pipeline.shards.stage import run as write_shards
from tests.models.training_inputs import train_params
from tests.shard_inputs import make_inputs, shard_params


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(3)
    logits = torch.randn(12, 8, generator=generator, dtype=torch.float64)
    return logits, torch.randint(0, 8, (12,), generator=generator)


def one_hot(labels):
    return functional.one_hot(labels, 8).double()


def test_hard_targets_with_class_weights_are_torchs_cross_entropy(batch):
    logits, labels = batch
    weights = torch.linspace(0.5, 2, 8, dtype=torch.float64)
    found = soft_cross_entropy(logits, one_hot(labels), weights, torch.ones(12), 0.0)
    torch.testing.assert_close(found, functional.cross_entropy(logits, labels, weight=weights))


def test_smoothing_and_soft_targets_are_torchs(batch):
    logits, labels = batch
    even = torch.ones(8, dtype=torch.float64), torch.ones(12)
    found = soft_cross_entropy(logits, one_hot(labels), *even, 0.1)
    torch.testing.assert_close(found, functional.cross_entropy(logits, labels, label_smoothing=0.1))
    soft = torch.softmax(logits.flip(0), 1)
    torch.testing.assert_close(soft_cross_entropy(logits, soft, *even, 0.0), functional.cross_entropy(logits, soft))


def test_a_sample_of_weight_two_counts_like_two_samples(batch):
    logits, labels = batch
    even = torch.ones(8, dtype=torch.float64)
    weights = torch.ones(12)
    weights[4] = 2
    twice = torch.cat([torch.arange(12), torch.tensor([4])])
    torch.testing.assert_close(
        soft_cross_entropy(logits, one_hot(labels), even, weights, 0.0),
        functional.cross_entropy(logits[twice], labels[twice]),
    )


def test_balance_is_scikit_learns_and_averages_one():
    from sklearn.utils.class_weight import compute_class_weight

    labels = torch.tensor([0] * 10 + [3] * 40 + [7] * 50)
    expected = compute_class_weight("balanced", classes=np.array([0, 3, 7]), y=labels.numpy())
    found = balance_classes(labels, 8, 1.0)
    np.testing.assert_allclose(found[[0, 3, 7]], expected, rtol=1e-6)
    half = balance_classes(labels, 8, 0.5)
    assert half[labels].mean().item() == pytest.approx(1)
    assert (half[0] / half[7]).item() == pytest.approx(5**0.5)
    assert torch.equal(balance_classes(labels, 8, 0.0), torch.ones(8))


def test_mixup_blends_faces_and_targets_by_the_same_share():
    torch.manual_seed(1)
    pixels = torch.arange(6.0).view(6, 1, 1, 1).expand(6, 1, 2, 2)
    targets = torch.eye(6)
    mixed, soft = mix(pixels, targets, 0.4)
    torch.testing.assert_close(soft.sum(1), torch.ones(6))
    # Each face is its number times its share, so the targets say what the pixels must be.
    torch.testing.assert_close(mixed[:, 0, 0, 0], soft @ torch.arange(6.0))


def test_the_weight_column_of_the_shards_is_in_the_loss(tmp_path):
    """Balance by weights, written, read as training reads it; the loss is what a calculator says."""
    inputs = make_inputs(tmp_path, rows=48, hostile=False)
    params = shard_params(balance="weights")
    write_shards(*inputs.tables, tmp_path / "shards", params, seed=1, workers=1)
    faces = read_faces(Reading(tmp_path / "shards", "train", InputSpec(32, (0.5,), (0.25,)), 16, 0, 64))
    counts = torch.bincount(faces.labels, minlength=8)
    assert len(counts[counts > 0].unique()) > 1
    inverse = 1 / counts[faces.labels]
    torch.testing.assert_close(faces.weights, (inverse / inverse.mean()).float())
    # Every face is answered with ln 2 for its own class and 0 for the others, but those of one class with nothing.
    logits = functional.one_hot(faces.labels, 8) * math.log(2)
    blank = int(faces.labels[0])
    logits[faces.labels == blank] = 0
    classes = int((counts > 0).sum())
    # Each class weighs the same: its loss is ln 8 where nothing was answered, else ln 9 - ln 2.
    expected = (math.log(8) + (classes - 1) * math.log(4.5)) / classes
    objective = Objective(train_params(), torch.ones(8))
    found = objective.loss(logits, objective.targets(faces), faces)
    assert found.item() == pytest.approx(expected, rel=1e-5)


def test_affect_is_weighted_too():
    answers, true = torch.tensor([[0.5], [0.0], [1.0]]), torch.tensor([[0.0], [1.0], [0.0]])
    given, weights = torch.tensor([[True], [True], [False]]), torch.tensor([3.0, 1.0, 9.0])
    # (3 * 0.25 + 1 * 1) / (3 + 1)
    assert affect_loss(answers, true, given, "mse", weights).item() == pytest.approx(0.4375)
    twice = torch.tensor([0, 0, 0, 1])
    ccc = affect_loss(answers[twice], true[twice], given[twice], "ccc", torch.ones(4))
    assert affect_loss(answers, true, given, "ccc", weights).item() == pytest.approx(ccc.item(), abs=1e-6)


def test_smoothing_with_class_weights_weighs_each_face_by_its_own_class(batch):
    """Unlike CrossEntropyLoss(weight, label_smoothing), which pulls every answer towards the rare classes."""
    logits, labels = batch
    weights = torch.linspace(0.5, 2, 8, dtype=torch.float64)
    each = functional.cross_entropy(logits, labels, label_smoothing=0.1, reduction="none")
    expected = (each * weights[labels]).sum() / weights[labels].sum()
    torch.testing.assert_close(soft_cross_entropy(logits, one_hot(labels), weights, torch.ones(12), 0.1), expected)


def test_two_heads_add_their_losses_and_each_leaves_out_what_is_missing():
    generator = torch.Generator().manual_seed(3)
    labels = torch.tensor([2, -1, 5, -1, 0, 7])
    given = torch.tensor([[1, 1, 0], [1, 0, 0], [0, 0, 0], [1, 1, 0], [0, 1, 0], [0, 0, 0]]).bool()
    affect = (torch.rand(6, 3, generator=generator) * 2 - 1) * given
    affect[3, 1] = 0.0
    weights = torch.rand(6, generator=generator) + 0.5
    probs = one_hot(labels.clamp(min=0)) * (labels >= 0)[:, None]
    faces = FaceBatch(torch.zeros(6, 0), labels, probs, weights, affect, given)
    heads = heads_of("all", ("valence", "arousal"))
    objective = Objective(train_params(task="all", label_smoothing=0.0), torch.linspace(0.5, 2, 8), heads)
    outputs = torch.randn(6, 10, generator=generator)
    classed = labels >= 0
    expected = functional.cross_entropy(
        outputs[classed, :8], labels[classed], objective.class_weights, reduction="none"
    )
    by_class = objective.class_weights[labels[classed]] * weights[classed]
    cross = (expected * weights[classed]).sum() / by_class.sum()
    errors = [(outputs[at, 8 + k].tanh() - affect[at, k]) ** 2 * weights[at] for at, k in given.nonzero().tolist()]
    squared = sum(errors) / sum(weights[at] for at, _ in given.nonzero().tolist())
    torch.testing.assert_close(objective.loss(outputs, objective.targets(faces), faces), cross + squared)
    right, counted = objective.right(outputs, faces)
    assert counted.tolist() == classed.tolist()
    assert right[classed].tolist() == (outputs[classed, :8].argmax(1) == labels[classed]).float().tolist()
    values = Objective(train_params(task="affect"), torch.ones(8))
    signs, counted = values.right(outputs[:, 8:], faces)
    assert counted.tolist() == [True, True, False, True, True, False]
    agree = (outputs[3, 8] > 0) == (affect[3, 0] > 0)  # its arousal is 0 and has no sign
    assert signs[3].item() == float(agree)


@pytest.mark.parametrize("changes", [{}, {"task": "affect"}, {"task": "affect", "affect_loss": "ccc"}])
def test_what_selects_the_epoch_depends_on_no_order(changes):
    generator = torch.Generator().manual_seed(1)
    labels = torch.arange(8).repeat_interleave(12)  # as validation lies there: sorted, a batch holds one class
    faces = FaceBatch(
        torch.empty(96, 0), labels, functional.one_hot(labels, 8).float(), torch.rand(96, generator=generator) + 0.5,
        torch.rand(96, 2, generator=generator) * 2 - 1, torch.rand(96, 2, generator=generator) < 0.8,
    )  # fmt: skip
    objective = Objective(train_params(label_smoothing=0.1, **changes), torch.linspace(0.1, 5, 8))
    outputs = torch.randn(96, 8 if not changes else 2, generator=generator)
    whole = objective.sums(outputs, faces)
    for seed in (1, 2):
        order = torch.randperm(96, generator=torch.Generator().manual_seed(seed))
        assert objective.sums(outputs[order], faces.take(order)) == pytest.approx(whole, rel=1e-12)
    if changes.get("affect_loss") == "ccc":
        return
    for size in (1, 7, 96):
        parts = [objective.sums(outputs[at : at + size], faces.take(torch.arange(96)[at : at + size]))
                 for at in range(0, 96, size)]  # fmt: skip
        assert [sum(column) for column in zip(*parts, strict=True)] == pytest.approx(whole, rel=1e-9)


@pytest.mark.parametrize(("task", "columns"), [("valence", [0]), ("arousal", [1]), ("affect", [0, 1])])
def test_columns_of_affect_are_cut_out_and_not_looked_up(task, columns):
    """An index that is made for each step is copied to the GPU, and the processor waits for it there."""
    called = []

    class Listening(TorchDispatchMode):
        def __torch_dispatch__(self, function, _types, args=(), kwargs=None):
            called.append(function)
            return function(*args, **(kwargs or {}))

    affect = torch.tensor([[0.5, -0.25], [-1.0, 0.75]])
    given = torch.tensor([[True, False], [True, True]])
    labels = torch.zeros(2, dtype=torch.int64)
    faces = FaceBatch(torch.zeros(2, 0), labels, torch.zeros(2, 8), torch.ones(2), affect, given)
    objective = Objective(train_params(task=task), torch.ones(8))
    outputs = torch.zeros(2, len(columns))
    with Listening():
        targets = objective.targets(faces)
        total, weight = objective.totals(outputs, targets, faces)
        objective.right(outputs, faces)
    assert targets.tolist() == affect[:, columns].tolist()
    kept = affect[:, columns][given[:, columns]]
    assert (total.item(), weight.item()) == ((kept**2).sum().item(), len(kept))
    assert torch.ops.aten.mul.Tensor in called
    assert torch.ops.aten.index.Tensor not in called
