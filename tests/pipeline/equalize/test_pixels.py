"""Denoising and intensity normalization against SciPy, scikit-image and the filters' formulas."""

import numpy as np
import pytest
from scipy import ndimage
from skimage.exposure import rescale_intensity

from pipeline.core.params import EqualizeParams
from pipeline.equalize.pixels import equalize_pixels, is_identity
from tests.pipeline.equalize.test_stage import UNTOUCHED, make_picture


def asking(**wanted):
    return EqualizeParams(**(UNTOUCHED | wanted))


def make_noisy(side_px=48):
    noise = np.random.default_rng(3).normal(0, 12, (side_px, side_px, 3))
    return np.clip(make_picture(1, side_px) + noise, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("side_px", [3, 5, 7])
def test_the_median_is_scipys(side_px):
    noisy = make_noisy()
    oracle = ndimage.median_filter(noisy, (side_px, side_px, 1), mode="nearest")
    np.testing.assert_array_equal(equalize_pixels(noisy, asking(denoise="median", denoise_px=side_px)), oracle)


def test_the_bilateral_filter_is_that_of_its_formula():
    noisy, levels, radius = make_noisy(16), 30.0, 2
    padded = np.pad(noisy.astype(float), ((radius, radius), (radius, radius), (0, 0)), mode="reflect")
    total, weights = np.zeros(noisy.shape), np.zeros(noisy.shape[:2])
    for down in range(-radius, radius + 1):
        for right in range(-radius, radius + 1):
            if np.hypot(down, right) > radius:
                continue  # OpenCV's window is a disc
            shifted = padded[radius + down :, radius + right :][:16, :16]
            edge = np.abs(shifted - noisy).sum(axis=2)
            weight = np.exp(-(down**2 + right**2) / (2 * 1.25**2) - edge**2 / (2 * levels**2))
            total += weight[..., None] * shifted
            weights += weight
    found = equalize_pixels(noisy, asking(denoise="bilateral", denoise_px=5, denoise_levels=levels))
    assert np.abs(found - total / weights[..., None]).max() <= 1


@pytest.mark.parametrize("denoise", ["median", "bilateral"])
def test_a_noisy_picture_comes_nearer_to_the_clean_one(denoise):
    clean, noisy = make_picture(1, 48).astype(float), make_noisy()
    found = equalize_pixels(noisy, asking(denoise=denoise, denoise_px=5, denoise_levels=75))
    assert np.square(found - clean).mean() < 0.5 * np.square(noisy - clean).mean()


def test_a_stretched_picture_is_scikit_images():
    grey = make_picture(2, grey=True)
    oracle = rescale_intensity(grey, tuple(np.percentile(grey, (1, 99))), (0.0, 255.0))
    found = equalize_pixels(grey, asking(normalize="stretch"))
    np.testing.assert_array_equal(found, np.rint(oracle))


def test_a_picture_of_one_value_is_not_stretched():
    flat = np.full((32, 32), 7, np.uint8)
    np.testing.assert_array_equal(equalize_pixels(flat, asking(normalize="stretch")), flat)


def test_local_normalization_is_that_of_scipys_gaussian():
    grey = make_picture(2, grey=True)
    levels = grey.astype(float)
    mean, square = (ndimage.gaussian_filter(plane, 4, mode="mirror") for plane in (levels, levels**2))
    score = (levels - mean) / np.maximum(np.sqrt(square - mean**2), 4)
    found = equalize_pixels(grey, asking(normalize="local"))
    assert np.abs(found - np.clip(128 + 42.5 * score, 0, 255)).max() <= 0.51


def test_local_normalization_takes_away_what_lights_one_side():
    grey = equalize_pixels(make_picture(2, 96, grey=True), asking(method="hist"))
    # Light that fades to a quarter from left to right.
    lit = (grey * np.linspace(1, 0.25, 96)).astype(np.uint8)
    there, here = (equalize_pixels(plane, asking(normalize="local")) for plane in (grey, lit))
    assert np.corrcoef(there.ravel(), here.ravel())[0, 1] > 0.95
    assert np.corrcoef(grey.ravel(), lit.ravel())[0, 1] < 0.85


@pytest.mark.parametrize("normalize", ["stretch", "local"])
def test_grey_stays_grey_with_or_without_channels(normalize):
    grey = make_picture(grey=True)
    alone = equalize_pixels(grey, asking(normalize=normalize))
    np.testing.assert_array_equal(
        equalize_pixels(np.dstack([grey] * 3), asking(normalize=normalize)), np.dstack([alone] * 3)
    )


def test_denoising_comes_first_and_equalization_last():
    noisy = make_noisy()
    step = noisy
    for wanted in ({"denoise": "median"}, {"normalize": "local"}, {"method": "clahe"}):
        step = equalize_pixels(step, asking(space="channels", **wanted))
    whole = asking(space="channels", denoise="median", normalize="local", method="clahe")
    np.testing.assert_array_equal(equalize_pixels(noisy, whole), step)


@pytest.mark.parametrize("wanted", [{"denoise": "median"}, {"normalize": "local"}, {"method": "hist"}])
def test_only_what_asks_for_nothing_leaves_faces_as_they_are(wanted):
    assert is_identity(asking())
    assert not is_identity(asking(**wanted))
