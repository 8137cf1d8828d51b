"""Landmarks found again on the upright face, against points read off the portrait by eye."""

import cv2
import numpy as np
import pytest

from pipeline.align.cascade import build_cascade
from pipeline.align.crop import cut_faces
from pipeline.align.detectors.detector import View
from pipeline.align.mtcnn.networks import cpu_networks
from pipeline.align.refine import refine_landmarks
from pipeline.align.search import find_faces
from pipeline.images import open_picture
from tests.pipeline.align.inputs import PORTRAIT_POINTS, align_params, jpeg, portrait, turned


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("angle_deg", [-40, 0, 40])
def test_displaced_points_come_back(mirrored, angle_deg):
    pixels, truth = turned(portrait(), PORTRAIT_POINTS, angle_deg, 1.4, (30, 80))
    shifts = np.array([[[-7.0, 4.0]], [[6.0, 5.0]]])
    pictures = [pixels, cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)]
    points = refine_landmarks(pictures, truth + shifts, cpu_networks(), mirrored=mirrored)
    assert points.shape == (2, 5, 2)
    assert np.linalg.norm(points - truth, axis=2).mean(axis=1).max() < 0.6 * np.hypot(7, 4)


def test_a_mirrored_picture_has_mirrored_points():
    other = PORTRAIT_POINTS[[1, 0, 2, 4, 3]] * [-1, 1] + [511, 0]
    # In pixels counted from one, as MTCNN gives them, the mirror line is one pixel further.
    given = [PORTRAIT_POINTS[None], other[None]]
    pictures = [portrait(), np.ascontiguousarray(portrait()[:, ::-1])]
    left, right = (
        refine_landmarks([pixels], points, cpu_networks(), mirrored=True)[0]
        for pixels, points in zip(pictures, given, strict=True)
    )
    assert np.abs(right[[1, 0, 2, 4, 3]] * [-1, 1] + [511 + 2, 0] - left).max() < 0.5


def test_the_parameter_reaches_the_crop():
    content = jpeg(portrait())
    picture = open_picture(content).decode_scaled(512, max_bytes=10**9)
    found = find_faces(build_cascade(align_params(cascade=["dlib-hog"])), [View(picture.pixels)], lambda _: None)[0]
    assert found is not None
    errors = {}
    for refine in ("none", "upright", "mirrored"):
        (crop,) = cut_faces([found], [picture], [content], align_params(refine=refine))
        points = np.array(crop.columns["landmarks"]).reshape(5, 2)
        errors[refine] = float(np.linalg.norm(points - PORTRAIT_POINTS, axis=1).mean())
    assert max(errors["upright"], errors["mirrored"]) < errors["none"]
