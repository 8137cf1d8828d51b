import json

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from models.checkpoint import Checkpoint, CheckpointInfo
from models.core.heads import TASKS
from models.core.inputs import InputSpec
from models.inference.export import AFFECT_OUTPUT, CLASSES_OUTPUT, INPUT_NAME, export_onnx
from models.registry import find_model
from pipeline.core.emotions import CLASSES
from pipeline.core.errors import ModelError, OutputError

CONTRACT = {"align": {"template": "t", "size_px": 112}, "classes": list(CLASSES)}


def make_checkpoint(name="proposed", *, size_px=48, task="emotion", tta_flip=False, zoom=1.0, temperature=1.0):
    entry = find_model(name)
    torch.manual_seed(0)
    given = entry.input(size_px)
    spec = InputSpec(size_px, given.mean, given.std, zoom)
    outputs = TASKS[task]
    info = CheckpointInfo(entry.name, outputs, spec, CONTRACT, "id", task, tta_flip, {}, temperature)
    network = entry.build(len(outputs), size_px, None)
    # Untrained, the own networks answer one class with certainty, and every comparison would hold.
    if entry.kind == "own":
        dense = [module for module in network.modules() if isinstance(module, torch.nn.Linear)]
        with torch.no_grad():
            dense[-1].weight.mul_(0.05)
    # So that the answers are not all alike: the statistics of an untrained network flatten what deep layers see.
    norms = [module for module in network.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 1.0
    with torch.no_grad():
        network.train()(spec.prepare(faces(32)))
    return Checkpoint(info, network)


def faces(count, size_px=112):
    """Return smooth pictures, as faces are, so that scaling and colour matter."""
    coarse = np.random.default_rng(4).integers(0, 255, (count, 3, 14, 14)).astype(np.float32)
    wide = torch.nn.functional.interpolate(torch.from_numpy(coarse), size=(size_px, size_px), mode="bicubic")
    return wide.clamp(0, 255).to(torch.uint8)


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("proposed", {}),
        ("proposed", {"size_px": 112, "tta_flip": True}),
        ("baseline", {"zoom": 0.8, "tta_flip": True}),
        ("compact", {}),
        ("compact", {"size_px": 28}),  # the faces are shrunk by two first
        ("compact", {"temperature": 0.4, "tta_flip": True}),
        ("resnet10t", {"size_px": 64}),
        pytest.param("efficientnet_b0", {}, marks=pytest.mark.slow),
        pytest.param("vgg16", {}, marks=pytest.mark.slow),
        pytest.param("inception_v3", {"size_px": 112}, marks=pytest.mark.slow),
        pytest.param("resnet50v2", {}, marks=pytest.mark.slow),
        pytest.param("inception_resnet_v1", {"size_px": 75}, marks=pytest.mark.slow),
    ],
)
def test_onnx_runtime_answers_the_same(tmp_path, name, changes):
    checkpoint = make_checkpoint(name, **changes)
    export_onnx(checkpoint, tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    images = faces(8)
    expected = checkpoint.predict(images)
    (found,) = session.run([CLASSES_OUTPUT], {INPUT_NAME: images.numpy()})
    assert np.ptp(expected, axis=0).max() > 1e-3
    np.testing.assert_allclose(found, expected, atol=1e-4)
    (one,) = session.run([CLASSES_OUTPUT], {INPUT_NAME: images[:1].numpy()})
    np.testing.assert_allclose(one, expected[:1], atol=1e-4)


def test_the_contract_is_in_the_metadata(tmp_path):
    checkpoint = make_checkpoint(temperature=1.7)
    export_onnx(checkpoint, tmp_path / "model.onnx")
    onnx.checker.check_model(str(tmp_path / "model.onnx"), full_check=True)
    metadata = onnxruntime.InferenceSession(tmp_path / "model.onnx").get_modelmeta().custom_metadata_map
    info = CheckpointInfo.from_plain(json.loads(metadata["prep"]))
    assert info == checkpoint.info
    assert info.contract == CONTRACT


def test_again_it_is_the_same_bytes(tmp_path):
    for name in ("a.onnx", "b.onnx"):
        export_onnx(make_checkpoint(), tmp_path / name)
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.onnx", "b.onnx"]


def test_both_heads_are_answered_the_same(tmp_path):
    checkpoint = make_checkpoint("compact", task="all", tta_flip=True, temperature=1.7)
    export_onnx(checkpoint, tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    images = faces(5)
    shares, values = session.run([CLASSES_OUTPUT, AFFECT_OUTPUT], {INPUT_NAME: images.numpy()})
    np.testing.assert_allclose(shares, checkpoint.predict(images), atol=1e-4)
    np.testing.assert_allclose(values, checkpoint.predict_affect(images), atol=1e-4)
    np.testing.assert_allclose(shares.sum(1), 1, atol=1e-5)


@pytest.mark.parametrize("task", ["valence", "arousal", "dominance", "affect"])
def test_valence_and_arousal_are_answered_the_same(tmp_path, task):
    checkpoint = make_checkpoint("compact", task=task, tta_flip=True)
    export_onnx(checkpoint, tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    images = faces(8)
    (found,) = session.run([AFFECT_OUTPUT], {INPUT_NAME: images.numpy()})
    both = checkpoint.predict_affect(images)
    expected = both[:, ~np.isnan(both).all(0)]
    assert found.shape == expected.shape
    assert np.ptp(expected, axis=0).min() > 1e-3
    np.testing.assert_allclose(found, expected, atol=1e-4)
    info = json.loads(session.get_modelmeta().custom_metadata_map["prep"])
    assert tuple(info["classes"]) == TASKS[task]


def test_a_classical_baseline_is_not_exported(tmp_path):
    entry = find_model("hog-svm")
    info = CheckpointInfo("hog-svm", CLASSES, entry.input(48), CONTRACT, "id", "emotion", False, {})
    with pytest.raises(ModelError, match="hog-svm: a classical baseline cannot be exported to ONNX"):
        export_onnx(Checkpoint(info, entry.build(8, 48, None)), tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


def test_a_place_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="cannot be written"):
        export_onnx(make_checkpoint(), tmp_path / "file" / "model.onnx")
