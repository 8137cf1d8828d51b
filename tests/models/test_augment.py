"""Each operation on its own: it changes faces, as strongly as it was told, and the same again from the same seed."""

import pytest
import torch

from models.augment import Augmentation
from pipeline.params import AugmentParams

NOTHING = {
    "shift": 0, "shear_deg": 0, "zoom": 0, "flip": 0, "rotation_deg": 0, "crop": 0, "pad": 0, "noise": 0, "blur_px": 0,
    "brightness": 0, "contrast": 0, "erase": 0,
}  # fmt: skip
STRENGTHS = {
    "shift": (0.05, 0.2), "shear_deg": (3, 20), "zoom": (0.05, 0.3), "rotation_deg": (3, 40), "crop": (0.05, 0.4),
    "pad": (0.05, 0.3), "noise": (0.02, 0.2), "blur_px": (0.7, 4), "brightness": (0.1, 0.6), "contrast": (0.1, 0.6),
}  # fmt: skip


@pytest.fixture
def faces():
    """Smooth blobs: every operation shows, and by how much."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(24, 3, 5, 5, generator=generator)
    return (torch.nn.functional.interpolate(coarse, size=(40, 40), mode="bicubic").clamp(0, 1) * 255).to(torch.uint8)


def changed(faces, seed=1, **strengths):
    torch.manual_seed(seed)
    return Augmentation(AugmentParams(**{**NOTHING, **strengths}), 40)(faces)


def test_no_strength_is_no_change(faces):
    assert torch.equal(changed(faces), faces.float() / 255)


@pytest.mark.parametrize("name", STRENGTHS)
def test_each_operation_changes_more_when_it_is_stronger(faces, name):
    weak, strong = (changed(faces, **{name: value}) for value in STRENGTHS[name])
    assert weak.shape == strong.shape == faces.shape
    assert weak.dtype == torch.float32
    original = faces.float() / 255
    far = [(found - original).abs().mean().item() for found in (weak, strong)]
    assert 0 < far[0] < far[1]
    assert strong.min() >= -1e-6
    assert strong.max() <= 1 + 1e-6


def test_a_certain_flip_is_the_mirror_image(faces):
    assert torch.equal(changed(faces, flip=1.0), faces.flip(-1).float() / 255)


def test_erasing_leaves_a_grey_rectangle(faces):
    found = changed(faces, erase=1.0)
    touched = (found != faces.float() / 255).any(1)
    assert (found[touched.unsqueeze(1).expand_as(found)] == 0.5).float().mean() > 0.99
    assert (touched.float().mean((1, 2)) < 0.2).all()


def test_each_face_has_its_own_draw_and_a_seed_repeats_it(faces):
    same = faces[:1].expand(6, -1, -1, -1)
    found = changed(same, rotation_deg=20, noise=0.1)
    assert len({face.numpy().tobytes() for face in found}) == 6
    assert torch.equal(found, changed(same, rotation_deg=20, noise=0.1))
    assert not torch.equal(found, changed(same, seed=2, rotation_deg=20, noise=0.1))
