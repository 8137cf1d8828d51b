"""Weights and networks against facenet-pytorch's own modules in torch."""

import importlib.util
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save

from pipeline.align.mtcnn import networks, weights
from pipeline.align.mtcnn.networks import cpu_networks, load_networks
from pipeline.align.mtcnn.networks_torch import torch_networks
from pipeline.core.errors import ModelError, ParamsError


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


def test_the_file_is_what_facenet_pytorchs_package_makes():
    """Byte for byte: what is shipped can be made again, from the package's own pickles."""
    folder = Path(str(importlib.util.find_spec("facenet_pytorch").origin)).parent / "data"
    states = {name: torch.load(folder / f"{name}.pt", weights_only=True) for name in ("pnet", "rnet", "onet")}
    every = [(f"{name}.{key}", value) for name, state in states.items() for key, value in state.items()]
    # The dense layers are stored transposed, and `save` would write them as they lie.
    assert weights._FILE.read_bytes() == save({name: np.ascontiguousarray(value) for name, value in every})


@pytest.mark.parametrize("content", [b"cos\nsystem\n(S'true'\ntR.", b"", None])
def test_other_files_are_refused(tmp_path, monkeypatch, content):
    path = tmp_path / "mtcnn.safetensors"
    if content is not None:
        path.write_bytes(content)
    monkeypatch.setattr(weights, "_FILE", path)
    with pytest.raises(ModelError, match=r"mtcnn\.safetensors: not the weights of MTCNN"):
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
    from pipeline.align.detectors.detector import View
    from pipeline.align.mtcnn.fast import COARSE, MtcnnFast
    from tests.pipeline.align.inputs import portrait

    views = [View(portrait()), View(portrait()[:400, :360])] * 20
    for one, other in zip(
        MtcnnFast(cpu_networks(), COARSE).detect(views), MtcnnFast(load_networks(), COARSE).detect(views), strict=True
    ):
        assert np.abs(one.boxes - other.boxes).max() < 1
        assert np.abs(one.landmarks - other.landmarks).max() < 1
