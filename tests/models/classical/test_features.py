"""Features against their definitions, written out as loops, and against scikit-image."""

import cv2
import numpy as np
import pytest
from skimage.filters import gabor

from models.classical.features import Gabor, Lbp, Ldp, cell_histograms, kirsch_masks
from models.classical.points import measure_points
from models.classical.words import Sift, describe


def make_face(seed=0, side=112):
    noise = np.random.default_rng(seed).integers(0, 256, (side // 4, side // 4), dtype=np.uint8)
    return cv2.resize(noise, (side, side), interpolation=cv2.INTER_CUBIC)


def test_lbp_counts_59_patterns_in_49_cells():
    face = make_face()
    found = Lbp().measure(face).reshape(7, 7, 59)
    np.testing.assert_allclose(found.sum(2), 1)
    # A ramp has the same pattern everywhere, but for the border.
    ramp = np.tile(np.arange(112, dtype=np.uint8), (112, 1))
    assert (Lbp().measure(ramp).reshape(7, 7, 59)[3, 3] > 0).sum() == 1


def test_cells_are_counted_where_they_are():
    codes = np.arange(49).reshape(7, 7).repeat(4, 0).repeat(4, 1)
    found = cell_histograms(codes, 50).reshape(49, 50)
    np.testing.assert_array_equal(found[:, :49], np.eye(49))


def test_ldp_is_its_definition():
    face = make_face(1)
    masks = [
        [[-3, -3, 5], [-3, 0, 5], [-3, -3, 5]], [[-3, 5, 5], [-3, 0, 5], [-3, -3, -3]],
        [[5, 5, 5], [-3, 0, -3], [-3, -3, -3]], [[5, 5, -3], [5, 0, -3], [-3, -3, -3]],
        [[5, -3, -3], [5, 0, -3], [5, -3, -3]], [[-3, -3, -3], [5, 0, -3], [5, 5, -3]],
        [[-3, -3, -3], [-3, 0, -3], [5, 5, 5]], [[-3, -3, -3], [-3, 0, 5], [-3, 5, 5]],
    ]  # fmt: skip
    np.testing.assert_array_equal(kirsch_masks(), masks)
    three = sorted(code for code in range(256) if f"{code:b}".count("1") == 3)
    counts = np.zeros((7, 7, 56))
    for row in range(1, 111):
        for column in range(1, 111):
            patch = face[row - 1 : row + 2, column - 1 : column + 2].astype(float)
            answers = [abs((patch * mask).sum()) for mask in masks]
            strongest = sorted(range(8), key=lambda direction: -answers[direction])[:3]
            counts[row * 7 // 112, column * 7 // 112, three.index(sum(1 << direction for direction in strongest))] += 1
    found = Ldp().measure(face).reshape(7, 7, 56)
    inner = counts[1:6, 1:6] / counts[1:6, 1:6].sum(2, keepdims=True)
    np.testing.assert_allclose(found[1:6, 1:6], inner, atol=1e-12)


@pytest.mark.parametrize(("wave", "step"), [(0, 0), (2, 3), (4, 6)])
def test_gabor_is_scikit_images(wave, step):
    face, wave_px = make_face(2), (4, 6, 8, 12, 16)[wave]
    kernel = {"sigma_x": 0.56 * wave_px, "sigma_y": 0.56 * wave_px, "n_stds": 5, "mode": "mirror"}
    real, imaginary = gabor(face / 255, 1 / wave_px, np.pi * step / 8, **kernel)
    oracle = np.hypot(real, imaginary).reshape(8, 14, 8, 14).mean((1, 3))
    found = Gabor().measure(face).reshape(5, 8, 8, 8)[wave, step]
    np.testing.assert_allclose(found[2:6, 2:6], oracle[2:6, 2:6], rtol=0.02, atol=1e-4)


def test_sift_counts_words_in_the_whole_and_in_its_parts():
    faces = np.stack([make_face(seed) for seed in range(6)])
    sift = Sift()
    sift.learn(faces)
    assert sift.words.shape == (256, 128)
    counts = np.square(sift.measure(faces[0])).reshape(21, 256)
    np.testing.assert_allclose(counts.sum(1), 1)
    # The points stand on an even grid, so the whole is the mean of its quarters, weighted by their points.
    places = (np.arange(13) * 8 + 8) * 2 // 112
    weights = np.outer(np.bincount(places), np.bincount(places)).ravel() / 13**2
    np.testing.assert_allclose(counts[0], weights @ counts[1:5], atol=1e-12)
    distances = ((describe(faces[0])[:, None] - sift.words.numpy()) ** 2).sum(2)
    np.testing.assert_allclose(counts[0], np.bincount(distances.argmin(1), minlength=256) / 169)


def test_points_are_measured_whatever_their_place_size_and_turn():
    points = np.random.default_rng(0).normal(0, 30, (68, 2)) + 100
    found = measure_points(points)
    turned = 2.5 * points @ np.array([[0.8, 0.6], [-0.6, 0.8]]) + [7, -3]
    np.testing.assert_allclose(measure_points(turned), found, atol=1e-9)
    assert found.shape == (3 * 51 * 50 // 2,)
    eyes = points[42:48].mean(0) - points[36:42].mean(0)
    mouth = points[54] - points[48]
    number = [(a, b) for a in range(51) for b in range(a + 1, 51)].index((31, 37))
    assert found[number] == pytest.approx(np.linalg.norm(mouth) / np.linalg.norm(eyes))
    assert found[1275 + number] == pytest.approx(mouth @ eyes / np.linalg.norm(mouth) / np.linalg.norm(eyes))
    assert np.isfinite(measure_points(np.full((68, 2), 5.0))).all()
