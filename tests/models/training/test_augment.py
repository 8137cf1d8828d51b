"""Each operation on its own: it changes faces, as strongly as it was told, and the same again from the same seed."""

import pytest
import torch
from torchvision.transforms import v2

from models.training.augment import Augmentation, Warps, blur, warp
from pipeline.core.params import AugmentParams, read_params
from tests.imports import ROOT

PRESETS = read_params(ROOT / "params.yaml").train.augmentations

NOTHING = {
    "shift": 0, "shear_deg": 0, "zoom": 0, "flip": 0, "flip_vertical": 0, "quarter_turn": 0, "rotation_deg": 0,
    "crop": 0, "pad": 0, "noise": 0, "blur_px": 0, "brightness": 0, "contrast": 0, "erase": 0,
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


def test_a_certain_vertical_flip_is_upside_down(faces):
    assert torch.equal(changed(faces, flip_vertical=1.0), faces.flip(-2).float() / 255)


def test_quarter_turns_keep_every_pixel_and_are_of_three_kinds(faces):
    original, found = faces.float() / 255, changed(faces, quarter_turn=1.0)
    kinds = [
        [quarter for quarter in range(4) if torch.equal(new, v2.functional.rotate(old, 90.0 * quarter))]
        for old, new in zip(original, found, strict=True)
    ]
    assert {quarter for kind in kinds for quarter in kind} == {1, 2, 3}
    assert all(len(kind) == 1 for kind in kinds)
    half = (changed(faces, quarter_turn=0.5) == original).all((1, 2, 3))
    assert 4 < half.sum() < 20  # of 24; further off once in 1,000 seeds


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


def augmentation(size_px=40, **strengths):
    return Augmentation(AugmentParams(**{**NOTHING, **strengths}), size_px)


@pytest.mark.parametrize("name", PRESETS)
def test_under_autocast_every_preset_gives_what_it_gives_in_float32(faces, name):
    """In bf16, the warp made every pixel 0 or 1: each default training on a GPU was at chance."""
    plain = torch.manual_seed(7) and Augmentation(PRESETS[name], 40)(faces)
    torch.manual_seed(7)
    with torch.autocast("cpu", torch.bfloat16):
        cast = Augmentation(PRESETS[name], 40)(faces)
    assert cast.dtype == torch.float32
    assert torch.equal(cast, plain)
    assert plain.unique().numel() > 1000


def test_a_warp_is_torchvisions_of_the_same_numbers(faces):
    original = faces[:4].float() / 255
    angles, scales = (10.0, -25.0, 0.0, 40.0), (1.1, 0.8, 1.0, 0.9)
    shears, shifts = ((5.0, 0.0), (0.0, -12.0), (8.0, 3.0), (0.0, 0.0)), ((3, 0), (0, -4), (-2, 5), (0, 0))
    column = torch.tensor([[0.0]] * 4)
    warps = Warps(
        column > 1, torch.tensor(angles)[:, None], torch.tensor(shifts).float(), torch.tensor(scales)[:, None],
        torch.tensor(shears), column.expand(-1, 2), column + 40, column.expand(-1, 2),
    )  # fmt: skip
    found = warp(original, warps)
    for face, result, *numbers in zip(original, found, angles, shifts, scales, shears, strict=True):
        angle, shift, scale, shear = numbers
        expected = v2.functional.affine(
            face, angle, list(shift), scale, list(shear), v2.InterpolationMode.BILINEAR, fill=0.5
        )
        # torchvision darkens the last half pixel at the border; the inside is the same.
        close = (result - expected).abs() < 1e-4
        assert close.float().mean() > 0.9
        assert close[:, 15:25, 15:25].all()


def test_draws_are_uniform_two_sided_and_end_where_they_were_told_to():
    torch.manual_seed(3)
    params = {"rotation_deg": 15, "shear_deg": 6, "shift": 0.1, "zoom": 0.2, "pad": 0.1, "crop": 0.3, "flip": 0.25}
    drawn = augmentation(**params).draw_warps(20_000)
    for values, low, high in (
        (drawn.angle_deg, -15, 15), (drawn.shear_deg[:, 0], -6, 6), (drawn.shear_deg[:, 1], -6, 6),
        (drawn.scale, 0.8, 1.2), (drawn.shift_px[:, 0], -4, 4), (drawn.shift_px[:, 1], -4, 4),
        (drawn.pad_px[:, 0], -4, 4), (drawn.pad_px[:, 1], -4, 4),
    ):  # fmt: skip
        width = high - low
        assert low <= values.min() < low + width / 50
        assert high - width / 50 < values.max() <= high
        assert values.mean().item() == pytest.approx((low + high) / 2, abs=width / 100)
        assert values.std().item() == pytest.approx(width / 12**0.5, rel=0.13)  # whole numbers spread a little more
    assert drawn.mirrored.float().mean().item() == pytest.approx(0.25, abs=0.015)
    assert (drawn.crop_px / 40).square().mean().item() == pytest.approx((0.49 + 1) / 2, abs=0.01)
    assert (drawn.crop_at_px + drawn.crop_px).max() == 40
    assert drawn.crop_at_px.min() == 0


def test_brightness_moves_the_mean_and_contrast_the_spread(faces):
    dim = (faces.float() / 255 * 0.4 + 0.2).repeat(20, 1, 1, 1)  # so that nothing is cut off at 0 or 1
    luma = torch.tensor([0.2989, 0.587, 0.114]).view(3, 1, 1)
    means = (dim * luma).sum(1).mean((1, 2))
    bright, spread = changed(dim, brightness=0.2), changed(dim, contrast=0.2)
    factors = bright.mean((1, 2, 3)) / dim.mean((1, 2, 3))
    torch.testing.assert_close(bright, dim * factors.view(-1, 1, 1, 1))
    torch.testing.assert_close((spread * luma).sum(1).mean((1, 2)), means, atol=1e-4, rtol=0)
    shares = spread.std((2, 3)).mean(1) / dim.std((2, 3)).mean(1)
    for values in (factors, shares):
        assert 0.8 <= values.min() < 0.82
        assert 1.18 < values.max() <= 1.2001
        assert values.mean().item() == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("sigma", [0.3, 1.0, 4.0])
def test_the_blur_is_torchvisions(faces, sigma):
    original = faces.float() / 255
    expected = v2.functional.gaussian_blur(original, [5, 5], [sigma, sigma])
    torch.testing.assert_close(blur(original, torch.full((24, 1), sigma)), expected, atol=1e-5, rtol=0)


def test_noise_is_of_half_the_faces_and_as_wide_as_it_says():
    grey = torch.full((400, 3, 40, 40), 0.5)
    spread = (changed(grey, noise=0.05) - 0.5).std((1, 2, 3))
    noisy = spread > 0
    assert noisy.float().mean().item() == pytest.approx(0.5, abs=0.08)
    assert spread[noisy].mean().item() == pytest.approx(0.05, rel=0.01)


def test_erasing_is_as_often_and_as_large_as_it_says():
    white = torch.ones(2000, 1, 40, 40)
    covered = (changed(white, erase=0.3) != 1).float().mean((1, 2, 3))
    assert (covered > 0).float().mean().item() == pytest.approx(0.3, abs=0.04)
    areas = covered[covered > 0]
    assert 0.015 < areas.min() < 0.03
    assert 0.14 < areas.max() < 0.16
    assert areas.mean().item() == pytest.approx(0.085, abs=0.01)


@pytest.mark.parametrize("name", [*PRESETS, "all"])
def test_means_and_spreads_are_those_of_torchvision_face_by_face(faces, name):
    """The same two moments at every place, over a thousand draws of one face each way."""
    params = PRESETS.get(name) or AugmentParams(
        **{**PRESETS["strong"].plain(), "crop": 0.2, "blur_px": 2, "erase": 0.3}
    )
    face = faces[:1].float() / 255
    angle, shear = params.rotation_deg, params.shear_deg
    one_by_one = v2.Compose([
        v2.RandomHorizontalFlip(params.flip),
        v2.RandomAffine(
            angle, (params.shift,) * 2, (1 - params.zoom, 1 + params.zoom), (-shear, shear, -shear, shear),
            v2.InterpolationMode.BILINEAR, 0.5,
        ),
        v2.RandomResizedCrop(40, scale=((1 - params.crop) ** 2, 1), ratio=(1, 1), antialias=True),
        v2.ColorJitter(brightness=params.brightness, contrast=params.contrast),
        v2.GaussianBlur(5, sigma=(0.05, max(0.06, params.blur_px))) if params.blur_px else v2.Identity(),
        v2.RandomApply([v2.GaussianNoise(sigma=params.noise)], p=0.5),
        v2.RandomErasing(params.erase, scale=(0.02, 0.15), value=0.5),
    ])  # fmt: skip
    torch.manual_seed(0)
    expected = torch.stack([one_by_one(face[0]) for _ in range(1000)])
    found = Augmentation(params, 40)(face.expand(1000, -1, -1, -1))
    for moment in (torch.Tensor.mean, torch.Tensor.std):
        apart = (moment(found, 0) - moment(expected, 0))[:, 1:-1, 1:-1].abs()
        # Of a thousand draws with a spread of 0.2 each, a mean is off by 0.006 and the worst of 4,000 by four times it.
        assert apart.mean() < 0.012
        assert apart.max() < 0.06
