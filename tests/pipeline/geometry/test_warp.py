"""The warp reads no more of a picture than it needs, and nothing less: against OpenCV on the whole picture."""

import cv2
import numpy as np
import pytest

from pipeline.geometry.warp import crop_corners, outside_shares, warp_face

BORDERS = {"constant": cv2.BORDER_CONSTANT, "replicate": cv2.BORDER_REPLICATE, "reflect": cv2.BORDER_REFLECT_101}


def similarity(scale, angle_deg, centre, size_px):
    """The matrix that brings a point of the picture to the middle of the crop."""
    cosine, sine = scale * np.cos(np.radians(angle_deg)), scale * np.sin(np.radians(angle_deg))
    turn = np.array([[cosine, -sine], [sine, cosine]])
    return np.column_stack([turn, (size_px - 1) / 2 - turn @ centre])


@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("angle_deg", [0, 45, 110, 180])
@pytest.mark.parametrize("centre", [(20, 30), (-45, 10), (75, -40), (30, 95), (-60, -60), (100, 85)])
def test_a_part_of_the_picture_gives_what_the_whole_gives(border, angle_deg, centre):
    pixels = np.random.default_rng(4).integers(0, 256, (60, 50, 3), np.uint8)
    matrix = similarity(1.3, angle_deg, centre, 64)
    expected = cv2.warpAffine(pixels, matrix, (64, 64), None, cv2.INTER_LINEAR, BORDERS[border], (0, 0, 0))
    found = warp_face(pixels, matrix, 64, border)
    assert np.abs(found.astype(int) - expected).max() <= 2  # of bytes, whose weights OpenCV rounds to 32nds


# Lowe's spread for a picture at 1 that is to look as if at 1 / scale, after whole blocks were averaged.
@pytest.mark.parametrize(("scale", "block", "side"), [(0.9, 1, 0), (0.7, 1, 3), (0.66, 1, 3), (0.55, 1, 5), (0.4, 2, 3),
                                                      (0.5, 2, 0), (0.3, 3, 0), (0.25, 4, 0)])  # fmt: skip
@pytest.mark.parametrize("shape", [(240, 240), (240, 240, 3)])
def test_what_is_finer_than_the_crop_is_averaged_then_blurred(scale, block, side, shape):
    pixels = np.random.default_rng(1).integers(0, 256, shape, np.uint8)
    size = int(240 * scale)  # the whole picture, so that blocks begin at its corner
    matrix = similarity(scale, 0, (119.5, 119.5), size)
    spread_px = 0.5 * np.sqrt((1 / scale / block) ** 2 - 1)
    assert (spread_px >= 0.35) == (side > 0)
    soft = cv2.resize(pixels, (240 // block, 240 // block), interpolation=cv2.INTER_AREA) if block > 1 else pixels
    if side:
        soft = cv2.GaussianBlur(soft, (side, side), spread_px)
    back = np.array([[block, 0, (block - 1) / 2], [0, block, (block - 1) / 2], [0, 0, 1]])
    expected = cv2.warpAffine(soft, matrix @ back, (size, size), None, cv2.INTER_LINEAR)
    found = warp_face(pixels, matrix, size, "constant")
    inner = slice(4, size - 4)
    assert np.abs(found[inner, inner].astype(int) - expected[inner, inner]).mean() < 1.5


def test_corners_are_the_outer_edges_of_the_outer_pixels():
    whole = np.array([[1.0, 0, 0], [0, 1, 0]])
    assert crop_corners(whole, 10).tolist() == [[-0.5, -0.5], [9.5, -0.5], [9.5, 9.5], [-0.5, 9.5]]
    twice = np.array([[2.0, 0, 3], [0, 2, 5]])
    assert crop_corners(np.stack([whole, twice]), 10)[1].tolist() == [
        [-1.75, -2.75], [3.25, -2.75], [3.25, 2.25], [-1.75, 2.25],
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("shift", "share"), [((0, 0), 0), ((5, 0), 0.5), ((0, -5), 0.5), ((5, 5), 0.75), ((-1, 0), 0.1), ((50, 0), 1.0)]
)
def test_the_share_outside_is_of_the_crops_area(shift, share):
    matrix = np.array([[1.0, 0, shift[0]], [0, 1, shift[1]]])
    both = np.stack([matrix, np.array([[1.0, 0, 0], [0, 1, 0]])])
    assert outside_shares([(10, 10, 3), (12, 30)], both, 10).tolist() == pytest.approx([share, 0], abs=1e-6)
    double = np.array([[2.0, 0, 2.0 * shift[0]], [0, 2, 2.0 * shift[1]]]) + np.array([0, 0, 0.5])
    assert outside_shares([(10, 10)], double[None], 20)[0] == pytest.approx(share, abs=1e-6)
