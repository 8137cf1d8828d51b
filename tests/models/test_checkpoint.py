"""Checkpoints: the same bytes, the same answers, and a clear word about any other file."""

import json
import os

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save, save_file

from models.checkpoint import METADATA_KEY, Checkpoint, CheckpointInfo, load_checkpoint, read_info, save_checkpoint
from models.core.inputs import InputSpec
from models.data.faces import FaceBatch
from models.registry import create_model, find_model
from pipeline.core.emotions import CLASSES
from pipeline.core.errors import ModelError


def make_info(**changes):
    spec = find_model("proposed").input(32)
    values = {
        "model": "proposed", "classes": CLASSES, "input": spec, "contract": {"align": {"size_px": 48}},
        "shards": "ab" * 32, "task": "emotion", "tta_flip": False, "params": {"epochs": 1},
    }  # fmt: skip
    return CheckpointInfo(**{**values, **changes})


@pytest.fixture
def network():
    torch.manual_seed(0)
    return create_model("proposed", size_px=32)


@pytest.fixture
def faces():
    return np.random.default_rng(0).integers(0, 256, (70, 48, 48, 3), dtype=np.uint8)


def test_the_same_weights_are_the_same_bytes(network, tmp_path):
    for name in "ab":
        save_checkpoint(tmp_path / name, network.to(memory_format=torch.channels_last), make_info())
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert read_info(tmp_path / "a") == make_info()


def test_the_file_may_be_read_by_whom_the_umask_lets(network, tmp_path):
    before = os.umask(0o022)
    save_checkpoint(tmp_path / "open", network, make_info())
    os.umask(0o077)
    save_checkpoint(tmp_path / "closed", network, make_info())
    os.umask(before)
    assert [(tmp_path / name).stat().st_mode & 0o777 for name in ("open", "closed")] == [0o644, 0o600]


def test_memory_of_a_gpu_that_runs_out_names_what_to_lower(network, faces, monkeypatch):
    def full(pixels):
        raise torch.OutOfMemoryError

    monkeypatch.setattr(network, "forward", full)
    with pytest.raises(ModelError, match=r"^the GPU's memory ran out with 64 faces at once; lower evaluate.batch_size"):
        Checkpoint(make_info(), network).predict(faces)


def test_all_layouts_of_faces_give_the_same_probabilities(network, faces, tmp_path):
    save_checkpoint(tmp_path / "model.safetensors", network, make_info())
    checkpoint = load_checkpoint(tmp_path)
    answers = checkpoint.predict(faces)
    assert answers.shape == (70, 8)
    assert answers.dtype == np.float32
    np.testing.assert_allclose(answers.sum(1), 1, atol=1e-6)
    np.testing.assert_array_equal(answers, checkpoint.predict(torch.from_numpy(faces).permute(0, 3, 1, 2)))
    grey = faces[..., :1].repeat(3, axis=3)
    # The two arrive in other memory layouts, whose convolutions sum in another order.
    np.testing.assert_allclose(checkpoint.predict(grey), checkpoint.predict(grey[..., 0]), atol=1e-5)
    assert checkpoint.predict(faces[:0]).shape == (0, 8)


def test_a_grey_network_reads_the_luma_of_a_colour_face(faces):
    spec = InputSpec(48, (0.0,), (1.0,))
    luma = np.stack([cv2.cvtColor(face, cv2.COLOR_RGB2GRAY) for face in faces])
    model = create_model("hog-svm")
    rows = len(luma)
    rest = torch.zeros(rows, 8), torch.ones(rows), torch.zeros(rows, 2), torch.zeros(rows, 2, dtype=torch.bool)
    model.fit(FaceBatch(torch.from_numpy(luma)[:, None], torch.arange(rows) % 8, *rest), None)
    checkpoint = Checkpoint(make_info(model="hog-svm", input=spec), model)
    found = checkpoint.prepare(faces)
    assert found.shape == (rows, 1, 48, 48)
    # OpenCV weighs in whole numbers of another fraction: a value near a half may fall the other way.
    np.testing.assert_allclose(found[:, 0] * 255, luma, atol=1.001)
    assert (np.abs(found[:, 0].numpy() * 255 - luma) > 0.5).mean() < 0.01
    same = found[:, 0].mul(255).round().numpy().astype(np.uint8)
    np.testing.assert_array_equal(checkpoint.predict(faces), checkpoint.predict(same))
    assert checkpoint.predict(faces[:, ::-1]).tolist() != checkpoint.predict(faces).tolist()


def test_flips_answer_a_face_and_its_mirror_image_alike(network, faces, tmp_path):
    save_checkpoint(tmp_path / "model.safetensors", network, make_info(tta_flip=True))
    checkpoint = load_checkpoint(tmp_path)
    np.testing.assert_allclose(checkpoint.predict(faces), checkpoint.predict(faces[:, :, ::-1]), atol=2e-3)


def test_other_files_are_named_with_what_is_wrong(network, tmp_path):
    with pytest.raises(ModelError, match="run prep train first"):
        load_checkpoint(tmp_path)
    (tmp_path / "torn").write_bytes(b"\x10" * 40)
    save_file({"weight": torch.zeros(1)}, tmp_path / "foreign")
    for name in ("torn", "foreign"):
        with pytest.raises(ModelError, match=f"{name}: not a checkpoint of prep train"):
            load_checkpoint(tmp_path / name)
    save_checkpoint(tmp_path / "whole", network, make_info())
    (tmp_path / "cut").write_bytes((tmp_path / "whole").read_bytes()[:-100])
    with pytest.raises(ModelError, match="cut: not a checkpoint"):
        load_checkpoint(tmp_path / "cut")
    save_checkpoint(tmp_path / "other", network, make_info(model="baseline"))
    with pytest.raises(ModelError, match="other: its weights do not fit baseline"):
        load_checkpoint(tmp_path / "other")


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        ("model", "nosuch", "of network 'nosuch', which neither prep models nor timm has here"),
        ("model", None, "not a checkpoint of prep train: model: Input should be a valid string"),
        ("classes", [], "not a checkpoint of prep train: classes: "),
        ("task", "age", "not a checkpoint of prep train: task: "),
        ("contract", None, "not a checkpoint of prep train: contract: "),
        ("size_px", -3, "not a checkpoint of prep train: input.size_px: "),
        ("size_px", 10**9, "not a checkpoint of prep train: input.size_px: "),
        ("mean", ["a"] * 3, "not a checkpoint of prep train: input.mean.0: "),
        ("std", [0, 0, 0], "not a checkpoint of prep train: input.std.0: "),
        ("zoom", 0, "not a checkpoint of prep train: input.zoom: "),
    ],
)
def test_a_file_that_says_nonsense_of_itself_is_named(network, tmp_path, place, value, said):
    info = make_info().plain()
    (info if place in info else info["input"])[place] = value
    (tmp_path / "odd").write_bytes(save(network.state_dict(), metadata={METADATA_KEY: json.dumps(info)}))
    with pytest.raises(ModelError) as failure:
        load_checkpoint(tmp_path / "odd")
    assert str(failure.value).startswith(f"{tmp_path}/odd: {said}")
    assert "\n" not in str(failure.value)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_refused(network, tmp_path, value):
    """Their most probable class would be the first one, for every face, and would be measured as an answer."""
    with torch.no_grad():
        network.head[-1].bias[3] = value
    save_checkpoint(tmp_path / "odd", network, make_info())
    with pytest.raises(ModelError, match=rf"^{tmp_path}/odd: its weights 'head.\d.bias' are not finite numbers"):
        load_checkpoint(tmp_path / "odd")


def test_nothing_is_pickled(network, tmp_path):
    save_checkpoint(tmp_path / "a", network, make_info())
    state = load_file(tmp_path / "a")
    assert set(state) == set(network.state_dict())


def test_grey_is_opencvs_and_the_resize_is_torchvisions(faces):
    import cv2
    from torchvision.transforms import v2

    images = torch.from_numpy(faces).permute(0, 3, 1, 2)
    grey = InputSpec(48, (0.5,), (0.25,)).resize(images)[:, 0].numpy().astype(int)
    expected = np.stack([cv2.cvtColor(face, cv2.COLOR_RGB2GRAY) for face in faces]).astype(int)
    assert np.abs(grey - expected).max() <= 1
    small = InputSpec(32, (0.5,) * 3, (0.25,) * 3).resize(images)
    oracle = v2.functional.resize(images, [32, 32], antialias=True)
    assert (small.int() - oracle.int()).abs().max() <= 1
    half = InputSpec(24, (0.5,) * 3, (0.25,) * 3, zoom=0.5).resize(images)
    assert torch.equal(half, images[..., 12:36, 12:36])
    normal = InputSpec(48, (0.5,) * 3, (0.25,) * 3).normalize(images)
    torch.testing.assert_close(normal, (images.float() / 255 - 0.5) / 0.25)
