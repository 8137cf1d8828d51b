"""Every registered network: built, trained on one batch, saved, loaded, the same answers."""

import pytest
import torch
from torch.nn import functional

import models
from models.checkpoint import CheckpointInfo, load_checkpoint, save_checkpoint
from models.networks.layers import count_trainable, feature_layers, layer_groups, open_last, rest_frozen
from models.registry import create_model, find_model, list_models
from pipeline.core.emotions import CLASSES
from pipeline.core.errors import ModelError, UsageError

QUICK = {"proposed", "compact", "baseline", "efficientnet_b0"}
NETWORKS = [entry.name for entry in list_models() if entry.kind != "classical"]
# The larger ones of a family have the layers of a smaller one, and take most of a minute.
LARGER = {"efficientnet_b3", "efficientnet_b5", "efficientnet_b7", "vgg19", "resnet101v2", "resnet152v2",
          "inception_resnet_v2"}  # fmt: skip
MARKS = {
    name: [pytest.mark.long] if name in LARGER else [] if name in QUICK else [pytest.mark.slow] for name in NETWORKS
}
MARKED = [pytest.param(name, marks=MARKS.get(name, [])) for name in (*NETWORKS, "resnet18")]


def small_batch(name, rows=4):
    entry = find_model(name)
    side = max(32, entry.min_size_px)
    generator = torch.Generator().manual_seed(1)
    images = torch.randint(0, 256, (rows, 3, side, side), dtype=torch.uint8, generator=generator)
    return entry.input(side), images, torch.arange(rows) * 2 % 8


def switch_chance_off(network):
    """A dropped neuron or path would hide a small gain."""
    for module in network.modules():
        if isinstance(module, torch.nn.Dropout) or type(module).__name__ == "StochasticDepth":
            module.p = 0.0


@pytest.mark.parametrize("name", MARKED)
def test_learns_one_batch_and_answers_the_same_after_saving(name, tmp_path):
    own = find_model(name).kind == "own"
    spec, images, labels = small_batch(name)
    torch.manual_seed(0)
    network = create_model(name, size_px=spec.size_px)
    switch_chance_off(network)
    rate = 0.0001 if name.startswith("vgg") else 0.001
    optimizer = torch.optim.Adam(network.parameters(), rate, fused=True)
    losses = []
    for _ in range(30 if own else 3):
        loss = functional.cross_entropy(network(spec.prepare(images)), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in network.parameters())
    assert losses[-1] < losses[0] * (0.2 if own else 1.0)

    info = CheckpointInfo(find_model(name).name, CLASSES, spec, {}, "0" * 64, "emotion", False, {})
    save_checkpoint(tmp_path / "model.safetensors", network, info)
    loaded = load_checkpoint(tmp_path)
    network.eval()
    with torch.no_grad():
        expected = network(spec.prepare(images)).softmax(1)
    torch.testing.assert_close(torch.from_numpy(loaded.predict(images)), expected)
    assert loaded.info == info


@pytest.mark.parametrize("name", sorted(LARGER))
def test_a_large_network_takes_a_batch_and_answers_each_face(name):
    """On torch's device without memory, which computes shapes alone."""
    spec, images, _ = small_batch(name)
    with torch.device("meta"):
        network = create_model(name, size_px=spec.size_px)
    assert network(images.to("meta", torch.float32)).shape == (4, 8)
    assert [group for group in layer_groups(network) if not group] == []


def test_vgg19_has_the_parameters_of_the_thesis():
    network = models.create_model("vgg19", num_classes=8, pretrained=False)
    assert sum(parameter.numel() for parameter in network.parameters()) == 20_028_488
    open_last(network, 2)
    assert count_trainable(network) == 17_702_920
    open_last(network, 0)
    assert count_trainable(network) == 512 * 8 + 8


@pytest.mark.parametrize("name", ["proposed", "efficientnet_b0", "resnet18", "resnetv2_50", "vit_tiny_patch16_224"])
def test_groups_hold_every_parameter_once_and_the_head_last(name):
    network = create_model(name)
    groups = layer_groups(network)
    members = [id(parameter) for group in groups for parameter in group]
    assert sorted(members) == sorted(id(parameter) for parameter in network.parameters())
    assert groups[-1][-1].shape[0] == 8


def test_a_frozen_block_keeps_its_batch_statistics():
    network = create_model("proposed", size_px=32)
    open_last(network, 1)
    network.train()
    rest_frozen(network)
    norms = [module for module in network.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    before = [norm.running_mean.clone() for norm in norms]
    network(torch.randn(8, 3, 32, 32))
    changed = [not torch.equal(norm.running_mean, mean) for norm, mean in zip(norms, before, strict=True)]
    assert changed == [False, False, False, False, True]


def test_proposed_is_five_convolutions_with_pooling_then_dense_layers():
    network = create_model("proposed")
    kinds = [type(layer).__name__ for block in network.blocks for layer in block]
    assert kinds.count("Conv2d") == kinds.count("MaxPool2d") == 5
    assert kinds[-1] == "MaxPool2d"
    assert isinstance(network.pool, torch.nn.Flatten)
    assert sum(isinstance(layer, torch.nn.Linear) for layer in network.head) == 2


def test_proposed_plain_has_five_convolutions_and_one_dense_layer():
    network = create_model("proposed-plain")
    kinds = [type(module).__name__ for module in network.modules() if not list(module.children())]
    assert kinds == ["Conv2d", "ReLU", "MaxPool2d"] * 5 + ["Flatten", "Linear"]
    by_hand = sum(9 * before * after + after for before, after in [(3, 16), (16, 32), (32, 64), (64, 96), (96, 128)])
    assert sum(parameter.numel() for parameter in network.parameters()) == by_hand + 128 * 7 * 7 * 8 + 8


@pytest.mark.parametrize("spelling", ["EfficientNetB0", "efficientnet-b0", "efficientnet_b0"])
def test_spelling_is_forgiving(spelling):
    assert find_model(spelling).name == "efficientnet_b0"


def test_an_unknown_name_says_what_there_is():
    with pytest.raises(UsageError, match=r"no network 'resnet-9000'; there are proposed, .*hog-svm"):
        create_model("resnet-9000")


def test_a_side_that_is_too_small_says_what_would_do():
    with pytest.raises(UsageError, match="inception_v3 takes faces of at least 75 px, not 32"):
        create_model("inception_v3", size_px=32)


def test_weights_nobody_publishes_are_an_error_of_one_line():
    with pytest.raises(ModelError, match=r"^resnet152v2: nobody publishes weights of it; give a file"):
        create_model("resnet152v2", pretrained=True)


@pytest.mark.parametrize("name", ["proposed", "resnet18", "efficientnet_b0"])
def test_the_feature_layers_give_maps(name):
    network = create_model(name, size_px=64).eval()
    maps = []
    for layer in feature_layers(network):
        layer.register_forward_hook(lambda module, given, made: maps.append(made))
    network(torch.zeros(1, find_model(name).input(64).channels, 64, 64))
    assert len(maps) == len(feature_layers(network)) > 2
    for found in maps:
        assert found.ndim == 4
        assert found.shape[0] == 1
        assert found.shape[2] == found.shape[3]


def test_a_transformer_has_no_feature_map():
    assert feature_layers(create_model("vit_tiny_patch16_224")) == []
