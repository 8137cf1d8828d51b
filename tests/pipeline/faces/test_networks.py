"""Weights and networks against facenet-pytorch's own modules in torch."""

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.errors import ModelError, ParamsError
from pipeline.faces import networks, weights
from pipeline.faces.networks import cpu_networks, load_networks
from pipeline.faces.networks_torch import torch_networks


def _facenet(name: str):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from facenet_pytorch.models import mtcnn

        return getattr(mtcnn, name)().eval().requires_grad_(requires_grad=False)


@pytest.fixture(scope="module")
def pixels():
    return np.random.default_rng(0).integers(0, 256, (20, 3, 48, 48)).astype(np.float32)


@pytest.mark.parametrize(("name", "module"), [("pnet", "PNet"), ("rnet", "RNet"), ("onet", "ONet")])
def test_weights_are_facenet_pytorchs(name, module):
    wanted = {key: value.numpy() for key, value in _facenet(module).state_dict().items()}
    found = weights.read_weights(name)
    assert found.keys() == wanted.keys()
    assert all(np.array_equal(found[key], wanted[key]) for key in wanted)


def test_other_pickles_are_refused(tmp_path, monkeypatch):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "pnet.pt").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    monkeypatch.setattr(weights, "_package", lambda: Path(tmp_path))
    with pytest.raises(ModelError, match=r"pnet\.pt: not the weights of facenet-pytorch"):
        weights.read_weights("pnet")


@pytest.mark.parametrize("size", [(12, 12), (48, 118), (61, 75), (131, 300)])
def test_first_network(size):
    picture = np.random.default_rng(1).integers(0, 256, (1, 3, *size)).astype(np.float32)
    corrections, scores = _facenet("PNet")((torch.from_numpy(picture) - 127.5) / 128)
    found_scores, found_corrections = cpu_networks().propose([picture])[0]
    assert np.allclose(found_scores, scores[0, 1], atol=1e-4)
    assert np.allclose(found_corrections, corrections[0], atol=1e-4)


def test_strips_change_nothing(monkeypatch):
    picture = np.random.default_rng(2).integers(0, 256, (1, 3, 133, 301)).astype(np.float32)
    whole = cpu_networks().propose([picture])[0]
    monkeypatch.setattr(networks, "_STRIP_PX", 301 * 20)
    for one, other in zip(whole, cpu_networks().propose([picture])[0], strict=True):
        assert np.array_equal(one, other)


def test_second_and_third_network(pixels):
    small = np.ascontiguousarray(pixels[:, :, :24, :24])
    corrections, scores = _facenet("RNet")((torch.from_numpy(small) - 127.5) / 128)
    found = cpu_networks().refine(small)
    assert np.allclose(found[0], scores[:, 1], atol=1e-4)
    assert np.allclose(found[1], corrections, atol=1e-4)
    corrections, points, scores = _facenet("ONet")((torch.from_numpy(pixels) - 127.5) / 128)
    found = cpu_networks().output(pixels)
    assert np.allclose(found[0], scores[:, 1], atol=1e-4)
    assert np.allclose(found[1], corrections, atol=1e-4)
    assert np.allclose(found[2][:, :, 0], points[:, :5], atol=1e-4)
    assert np.allclose(found[2][:, :, 1], points[:, 5:], atol=1e-4)


def test_a_crop_scores_the_same_in_any_company(pixels):
    alone = np.concatenate([cpu_networks().output(pixels[index : index + 1])[0] for index in range(len(pixels))])
    assert np.array_equal(alone, cpu_networks().output(pixels)[0])
    small = np.ascontiguousarray(pixels[:, :, :24, :24])
    alone = np.concatenate([cpu_networks().refine(small[index : index + 1])[0] for index in range(len(small))])
    assert np.array_equal(alone, cpu_networks().refine(small)[0])


def test_unknown_device(monkeypatch):
    monkeypatch.setenv("PREP_DEVICE", "tpu")
    with pytest.raises(ParamsError, match=r"PREP_DEVICE: expected cpu, cuda, .*, not 'tpu'"):
        load_networks()


def test_cuda_that_is_not_there(monkeypatch):
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    monkeypatch.setenv("PREP_DEVICE", "cuda")
    with pytest.raises(ParamsError, match="torch finds no GPU"):
        load_networks()


def test_networks_in_torch_agree(pixels):
    """What a GPU runs, on the CPU: sizes that share a padded run, and both kinds of crops."""
    other = torch_networks("cpu")
    pictures = [pixels[:1], pixels[1:2, :, :40, :36], pixels[2:3, :, :13, :48]]
    for one, two in zip(cpu_networks().propose(pictures[:2]), other.propose(pictures[:2]), strict=True):
        assert np.allclose(one[0], two[0], atol=1e-4)
        assert np.allclose(one[1], two[1], atol=1e-4)
    alone = other.propose(pictures[2:])[0]
    assert np.allclose(alone[0], cpu_networks().propose(pictures[2:])[0][0], atol=1e-4)
    for one, two in zip(cpu_networks().output(pixels), other.output(pixels), strict=True):
        assert np.allclose(one, two, atol=1e-4)
    small = np.ascontiguousarray(pixels[:, :, :24, :24])
    for one, two in zip(cpu_networks().refine(small), other.refine(small), strict=True):
        assert np.allclose(one, two, atol=1e-4)


def test_cuda_gives_the_same_faces(gpu):
    from pipeline.faces.detector import View
    from pipeline.faces.mtcnn_fast import COARSE, MtcnnFast
    from tests.pipeline.faces.inputs import portrait

    views = [View(portrait()), View(portrait()[:400, :360])] * 20
    for one, other in zip(
        MtcnnFast(cpu_networks(), COARSE).detect(views), MtcnnFast(load_networks(), COARSE).detect(views), strict=True
    ):
        assert np.abs(one.boxes - other.boxes).max() < 1
        assert np.abs(one.landmarks - other.landmarks).max() < 1
