"""Where each operation of the augmentation ends, that it has no favourite side, and what it brings in."""

import math

import numpy as np
import pytest
import torch

from models.training import augment
from models.training.augment import Augmentation, Warps, blur, warp
from pipeline.core.params import AugmentParams
from tests.models.training.test_augment import NOTHING

SIDE = 40


def augmentation(**strengths):
    return Augmentation(AugmentParams(**{**NOTHING, **strengths}), SIDE)


def changed(faces, seed=1, **strengths):
    torch.manual_seed(seed)
    return augmentation(**strengths)(faces)


def still(count=1, side=SIDE, **changes):
    """Warps that leave faces as they are, but for what is given."""
    zero = torch.zeros(count, 1)
    both = zero.expand(-1, 2)
    given = {
        "mirrored": zero > 1, "angle_deg": zero, "shift_px": both, "scale": zero + 1, "shear_deg": both,
        "pad_px": both, "crop_px": zero + side, "crop_at_px": both,
    }  # fmt: skip
    return Warps(**{**given, **changes})


def numbered(side=SIDE):
    """A face of which each pixel has a value of its own, none of them grey."""
    return (torch.arange(side * side, dtype=torch.float32).view(1, 1, side, side) + 1) / (4 * side * side)


def test_warps_that_do_nothing_change_nothing():
    torch.testing.assert_close(warp(numbered(), still()), numbered(), atol=1e-5, rtol=0)


@pytest.mark.parametrize(("right", "down"), [(3, 0), (-2, 0), (0, 4), (0, -5), (3, -5)])
def test_a_shift_goes_right_and_down_and_leaves_grey_behind(right, down):
    face = numbered()
    found = warp(face, still(shift_px=torch.tensor([[right, down]]).float()))
    expected = torch.full_like(face, 0.5)
    kept = face[..., max(0, -down) : SIDE - max(0, down), max(0, -right) : SIDE - max(0, right)]
    expected[..., max(0, down) : SIDE + min(0, down), max(0, right) : SIDE + min(0, right)] = kept
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    # A cut that begins to the right of the face's corner moves the face to the left.
    torch.testing.assert_close(
        warp(face, still(pad_px=-torch.tensor([[right, down]]).float())), expected, atol=1e-5, rtol=0
    )


@pytest.mark.parametrize(("across", "down"), [(0, 0), (20, 0), (0, 20), (20, 20), (7, 13)])
def test_a_crop_of_half_the_side_is_its_corner_enlarged_and_brings_in_no_grey(across, down):
    face = numbered()
    crop = still(crop_px=torch.tensor([[20.0]]), crop_at_px=torch.tensor([[float(across), float(down)]]))
    part = face[..., down : down + 20, across : across + 20]
    expected = torch.nn.functional.interpolate(part, scale_factor=2, mode="bilinear", align_corners=False)
    found = warp(face, crop)
    torch.testing.assert_close(found[..., 1:-1, 1:-1], expected[..., 1:-1, 1:-1], atol=1e-5, rtol=0)
    white = warp(torch.ones(1, 1, SIDE, SIDE), crop)
    torch.testing.assert_close(white, torch.ones_like(white), atol=1e-5, rtol=0)


def test_a_turn_by_a_quarter_is_clockwise_and_a_mirror_comes_first():
    face = numbered()
    turned = warp(face, still(angle_deg=torch.tensor([[90.0]])))
    torch.testing.assert_close(turned, face.rot90(-1, (2, 3)), atol=1e-4, rtol=0)
    mirrored = warp(face, still(mirrored=torch.tensor([[True]]), angle_deg=torch.tensor([[90.0]])))
    torch.testing.assert_close(mirrored, face.flip(-1).rot90(-1, (2, 3)), atol=1e-4, rtol=0)


def test_a_scale_of_two_doubles_about_the_centre():
    found = warp(numbered(), still(scale=torch.tensor([[2.0]])))
    expected = torch.nn.functional.interpolate(
        numbered()[..., 10:30, 10:30], scale_factor=2, mode="bilinear", align_corners=False
    )
    torch.testing.assert_close(found[..., 1:-1, 1:-1], expected[..., 1:-1, 1:-1], atol=1e-5, rtol=0)


def test_each_face_has_its_own_warp():
    faces = torch.cat([numbered(), numbered().flip(-1), numbered()])
    found = warp(faces, still(3, mirrored=torch.tensor([[False], [True], [False]]),
                              shift_px=torch.tensor([[0.0, 0], [0, 0], [1, 0]])))  # fmt: skip
    torch.testing.assert_close(found[0], found[1], atol=1e-5, rtol=0)
    torch.testing.assert_close(found[2, :, :, 1:], numbered()[0, :, :, :-1], atol=1e-5, rtol=0)


@pytest.mark.parametrize(("pad", "reach"), [(0.001, 1), (0.06, 2), (0.1, 4), (0.0, 0)])
def test_a_border_is_whole_pixels_and_at_least_one_where_there_is_any(pad, reach):
    torch.manual_seed(0)
    drawn = augmentation(pad=pad, flip=0.5).draw_warps(4000).pad_px
    for axis in (0, 1):
        values, counts = drawn[:, axis].unique(return_counts=True)
        assert values.tolist() == list(range(-reach, reach + 1))
        assert counts.min() > 4000 / (2 * reach + 1) * 0.8
    assert abs(np.corrcoef(drawn.T.numpy())[0, 1]) < 0.1 if reach else True


def test_crops_begin_anywhere_that_they_fit():
    torch.manual_seed(0)
    drawn = augmentation(crop=0.5).draw_warps(20_000)
    assert drawn.crop_px.min() == 20
    assert drawn.crop_px.max() == 40
    for axis in (0, 1):
        first, room = drawn.crop_at_px[:, axis], (SIDE - drawn.crop_px)[:, 0]
        assert (first >= 0).all()
        assert (first <= room).all()
        wide = room >= 10
        assert (first / room)[wide].mean().item() == pytest.approx(0.5, abs=0.02)
        assert (first == 0)[wide].any()
        assert (first == room)[wide].any()


@pytest.mark.parametrize("strengths", [{"flip": 1.0}, {"flip": 0.3}])
def test_a_flip_alone_is_exact_and_of_the_faces_own(strengths):
    faces = torch.rand(300, 1, SIDE, SIDE)
    found = changed(faces, **strengths)
    flipped = (found == faces.flip(-1)).all(-1).all(-1).flatten()
    assert (flipped | (found == faces).all(-1).all(-1).flatten()).all()
    assert flipped.float().mean().item() == pytest.approx(strengths["flip"], abs=0.08)


def test_bytes_and_shares_are_the_same_faces():
    faces = torch.randint(0, 256, (4, 3, SIDE, SIDE), dtype=torch.uint8)
    torch.testing.assert_close(changed(faces, rotation_deg=9), changed(faces.float() / 255, rotation_deg=9))
    assert changed(faces.half() / 255, brightness=0.1).dtype == torch.float32


@pytest.mark.parametrize("strength", [0.2, 0.9])
def test_nothing_leaves_the_range_and_no_factor_is_negative(strength):
    faces = torch.rand(200, 3, 8, 8)
    for strengths in ({"brightness": strength}, {"contrast": strength}, {"noise": strength}):
        found = changed(faces, **strengths)
        assert found.min() >= 0
        assert found.max() <= 1
    factors = changed(torch.full((4000, 1, 2, 2), 0.1), brightness=strength)[:, 0, 0, 0] / 0.1
    assert factors.min().item() == pytest.approx(max(0, 1 - strength), abs=0.01)
    assert factors.max().item() == pytest.approx(1 + strength, abs=0.01)


def test_contrast_and_brightness_come_in_either_order():
    """Contrast keeps the mean, then brightness scales it: or the other way round, with the same mean but not alike."""
    face = torch.tensor([0.3, 0.5]).repeat(2).view(1, 1, 2, 2)
    found = changed(face.expand(4000, -1, -1, -1), brightness=0.4, contrast=0.4)
    low, high = found[:, 0, 0, 0], found[:, 0, 0, 1]
    bright, spread = (low + high) / 0.8, (high - low) / 0.2
    # Without clipping both orders give mean m b and spread s b: what they give at all has these bounds.
    assert 0.6 <= bright.min() < 0.65
    assert 1.35 < bright.max() <= 1.4001
    assert 0.36 - 1e-4 <= spread.min() < 0.45
    assert 1.8 < spread.max() <= 1.96
    assert np.corrcoef(bright, spread / bright)[0, 1] == pytest.approx(0, abs=0.06)
    # With clipping the order shows: what is white loses what contrast cannot bring back.
    clipped = torch.tensor([0.9, 1.0]).repeat(2).view(1, 1, 2, 2).expand(4000, -1, -1, -1)
    torch.manual_seed(3)
    bright, spread = augment._uniform(4000, 0.6, 1.4), augment._uniform(4000, 0.6, 1.4)
    first = augment._chance(4000, 0.5)
    torch.manual_seed(3)
    found = augment._jittered(clipped, 0.4, 0.4)

    def brighter(pixels):
        return (pixels * bright.view(-1, 1, 1, 1)).clamp(0, 1)

    def wider(pixels):
        mean = pixels.mean((2, 3), keepdim=True)
        return (mean + (pixels - mean) * spread.view(-1, 1, 1, 1)).clamp(0, 1)

    expected = torch.where(first.view(-1, 1, 1, 1), brighter(wider(clipped)), wider(brighter(clipped)))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    assert (expected != wider(brighter(clipped))).any()
    assert first.float().mean().item() == pytest.approx(0.5, abs=0.03)


def test_contrast_turns_about_the_mean_luma_of_each_face():
    faces = torch.rand(50, 3, 6, 6) * 0.4 + 0.3
    luma = (faces * torch.tensor([0.2989, 0.587, 0.114]).view(3, 1, 1)).sum(1).mean((1, 2)).view(-1, 1, 1, 1)
    found = changed(faces, contrast=0.1)
    shares = ((found - luma) / (faces - luma)).flatten(1)
    usable = ((faces - luma).abs() > 0.02).flatten(1)
    for row, use in zip(shares, usable, strict=True):
        assert row[use].std() < 1e-3
    grey = torch.rand(5, 1, 6, 6) * 0.4 + 0.3
    torch.testing.assert_close(changed(grey, contrast=0.1).mean((2, 3)), grey.mean((2, 3)), atol=1e-5, rtol=0)


def test_the_width_of_the_blur_is_drawn_between_nothing_and_its_strength(monkeypatch):
    drawn = []
    monkeypatch.setattr(augment, "blur", lambda faces, sigma: drawn.append(sigma) or faces)
    for strength in (2.0, 0.01):
        changed(torch.rand(4000, 1, 4, 4), blur_px=strength)
    wide, narrow = drawn
    assert wide.shape == (4000, 1)
    assert wide.min().item() == pytest.approx(0.05, abs=0.01)
    assert wide.max().item() == pytest.approx(2, abs=0.01)
    assert narrow.unique().tolist() == pytest.approx([0.05])


def test_the_blur_has_the_spread_of_its_kernel_in_both_directions_and_each_face_its_own():
    dots = torch.zeros(2, 1, 15, 15)
    dots[:, :, 7, 7] = 1
    found = blur(dots, torch.tensor([[0.8], [1.5]]))
    places = torch.arange(15) - 7.0
    for face, sigma in zip(found[:, 0], (0.8, 1.5), strict=True):
        taps = torch.exp(-(torch.arange(-2, 3) ** 2) / (2 * sigma**2))
        variance = (taps / taps.sum() * torch.arange(-2, 3) ** 2).sum()
        assert face.sum().item() == pytest.approx(1, abs=1e-5)
        for axis in (0, 1):
            assert (face.sum(axis) * places**2).sum().item() == pytest.approx(variance.item(), rel=1e-4)
        torch.testing.assert_close(face, face.flip(0).flip(1))


def rectangles(found):
    """Return top, bottom, left, right (N, 4) of what is grey in white faces."""
    grey = found[:, 0] == 0.5
    rows, columns = grey.any(2), grey.any(1)
    assert torch.equal(grey, rows.unsqueeze(2) & columns.unsqueeze(1))
    ends = []
    for lines in (rows, columns):
        places = torch.arange(SIDE).expand_as(lines)
        ends += [torch.where(lines, places, SIDE).amin(1), torch.where(lines, places, -1).amax(1)]
        assert torch.equal(lines.sum(1), (ends[-1] - ends[-2] + 1).clamp(min=0))  # one stretch
    return torch.stack(ends, 1)


def test_erased_rectangles_have_areas_and_ratios_of_torchvisions_ranges_anywhere():
    top, bottom, left, right = rectangles(changed(torch.ones(6000, 1, SIDE, SIDE), erase=1.0)).T
    height, width = (bottom - top + 1).double(), (right - left + 1).double()
    area, ratio = height * width / SIDE**2, height / width
    assert 0.012 < area.min() < 0.025
    assert 0.14 < area.max() < 0.165
    assert area.mean().item() == pytest.approx(0.085, abs=0.003)
    # The logarithm of the ratio is even between those of 0.3 and 3.3; sides are rounded to pixels.
    low, high = math.log(0.3), math.log(3.3)
    assert ratio.log().mean().item() == pytest.approx((low + high) / 2, abs=0.03)
    assert ratio.log().std().item() == pytest.approx((high - low) / 12**0.5, rel=0.06)
    assert ratio.min() < 0.34
    assert ratio.max() > 2.9
    for first, last in ((top, bottom), (left, right)):
        assert first.min() == 0
        assert last.max() == SIDE - 1
        room = SIDE - 1 - last + first
        assert (first / room).mean().item() == pytest.approx(0.5, abs=0.02)


def test_drawn_numbers_are_even_and_below_their_bound():
    torch.manual_seed(2)
    assert augment._uniform(5, 2.0, 2.0).tolist() == [[2.0]] * 5
    drawn = augment._uniform(4000, -1.0, 3.0)
    assert drawn.shape == (4000, 1)
    assert -1 <= drawn.min() < -0.98
    assert 2.98 < drawn.max() < 3
    whole = augment._whole(4000, torch.full((4000, 1), 3.0))
    values, counts = whole.unique(return_counts=True)
    assert values.tolist() == [0, 1, 2]
    assert counts.min() > 1200
    assert augment._whole(9, 1).tolist() == [[0.0]] * 9


def test_a_stretch_lies_wholly_within_its_side():
    torch.manual_seed(4)
    assert augment._within(torch.full((500, 1), 40.0), 40).all()
    found = augment._within(torch.full((500, 1), 39.0), 40)
    assert (found.sum(1) == 39).all()
    assert found[:, 0].any()
    assert found[:, -1].any()
    assert not augment._within(torch.zeros(5, 1), 40).any()
