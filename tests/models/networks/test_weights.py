"""Weights from files: checked, fitted to the base, and never unpickled as code."""

import hashlib
import pickle

import pytest
import torch
from safetensors.torch import save_file

from models.networks.weights import HuggingFace, TorchHub, load_base, read_weights
from models.registry import create_model
from pipeline.core.errors import ModelError


class Hostile:
    """Writes a file when it is unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return (open, (self.path, "w"))


def test_a_pickle_that_runs_code_is_refused_and_does_not_run(tmp_path):
    mark = tmp_path / "mark"
    path = tmp_path / "weights.pth"
    torch.save({"weight": Hostile(mark)}, path)
    with pytest.raises(ModelError, match=r"weights.pth: holds more than tensors, or damaged; expected a state dict"):
        read_weights(path)
    path.write_bytes(pickle.dumps({"weight": Hostile(mark)}))
    with pytest.raises(ModelError, match="expected a state dict"):
        read_weights(path)
    assert not mark.exists()


def test_the_sha256_is_checked_given_or_in_the_name(tmp_path):
    path = tmp_path / "base-00000000.pth"
    torch.save({"weight": torch.zeros(2)}, path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    with pytest.raises(ModelError, match=f"its SHA-256 is {digest}, expected 00000000"):
        read_weights(path)
    right = path.rename(tmp_path / f"base-{digest[:8]}.pth")
    assert torch.equal(read_weights(right)["weight"], torch.zeros(2))
    assert torch.equal(read_weights(right, digest)["weight"], torch.zeros(2))
    with pytest.raises(ModelError, match=f"expected {'f' * 64}"):
        read_weights(right, "f" * 64)


def test_a_missing_or_damaged_file_is_named(tmp_path):
    with pytest.raises(ModelError, match=r"none.pth: no such file; train.weights names"):
        read_weights(tmp_path / "none.pth")
    (tmp_path / "torn.safetensors").write_bytes(b"\x00" * 20)
    with pytest.raises(ModelError, match=r"torn.safetensors: damaged"):
        read_weights(tmp_path / "torn.safetensors")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("vgg19.h5", b"\x89HDF\r\n\x1a\n" + bytes(8)),
        ("vgg19.weights", b"\x89HDF\r\n\x1a\n"),
        ("vgg19.keras", b"PK\x03\x04"),
    ],
)
def test_an_export_of_keras_is_refused_with_the_way_to_convert(tmp_path, name, content):
    """By its first bytes, which the HDF5 file format fixes, or by its name."""
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(
        ModelError, match=r"weights of Keras, .*copy each kernel .*\(out, in, H, W\).*save_file"
    ) as said:
        create_model("vgg19", weights=path)
    assert "\n" not in str(said.value)


def test_offline_says_which_file_to_put_where(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    hub = TorchHub((tmp_path / "hub-is-away" / "vgg19-dcbb9e9d.pth").as_uri())
    with pytest.raises(ModelError) as failure:
        hub.fetch()
    message = str(failure.value)
    assert message.startswith("vgg19-dcbb9e9d.pth: not here and its hub cannot be reached")
    assert f"put the file into {tmp_path}/hub/checkpoints" in message
    assert "\n" not in message


def test_a_network_of_torchvision_takes_its_own_weights_without_the_head(tmp_path):
    import torchvision

    torch.manual_seed(5)
    donor = torchvision.models.efficientnet_b0(weights=None)
    save_file(donor.state_dict(), tmp_path / "donor.safetensors")
    network = create_model("efficientnet_b0", weights=tmp_path / "donor.safetensors").eval()
    images = torch.randn(2, 3, 32, 32)
    torch.testing.assert_close(network.features(images), donor.eval().features(images))


def test_our_own_checkpoint_is_a_start_too(tmp_path):
    donor = create_model("proposed", num_classes=6, size_px=32)
    save_file(donor.state_dict(), tmp_path / "donor.safetensors")
    network = create_model("proposed", size_px=32, weights=tmp_path / "donor.safetensors")
    assert torch.equal(network.blocks[0][0].weight, donor.blocks[0][0].weight)
    assert network.head[-1].out_features == 8


def test_weights_of_another_network_are_refused():
    network = create_model("proposed", size_px=32)
    with pytest.raises(ModelError, match=r"weights for another network: \d+ tensors do not fit, the first is"):
        load_base(network, create_model("baseline").state_dict(), "head")


def test_weights_of_another_network_name_their_file(tmp_path):
    save_file(create_model("baseline", size_px=32).state_dict(), tmp_path / "donor.safetensors")
    with pytest.raises(ModelError, match=r"^/.*donor.safetensors: weights for another network: \d+ tensors do not fit"):
        create_model("proposed", size_px=32, weights=tmp_path / "donor.safetensors")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("vgg19-dcbb9e9d.pth", "its SHA-256 is .*, expected dcbb9e9d"),
        ("vggface2.pt", "holds more than tensors, or dam"),
    ],
)
def test_a_damaged_file_in_the_cache_is_named(tmp_path, monkeypatch, name, said):
    """An interrupted copy; the hub's own client checks only what it has just downloaded."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    cached = tmp_path / "hub/checkpoints" / name
    cached.parent.mkdir(parents=True)
    cached.write_bytes(b"PK\x03\x04 torn")
    with pytest.raises(ModelError, match=f"^{cached}: {said}"):
        TorchHub(f"file:///nowhere/{name}").fetch()


def test_a_damaged_file_of_the_other_hub_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    folder = tmp_path / "models--timm--one"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs/main").write_text("0")
    (folder / "snapshots/0").mkdir(parents=True)
    (folder / "snapshots/0/model.safetensors").write_bytes(b"torn")
    with pytest.raises(ModelError, match=r"snapshots/0/model.safetensors: damaged"):
        HuggingFace("timm/one").fetch()
