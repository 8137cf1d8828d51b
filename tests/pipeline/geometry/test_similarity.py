"""The template, the similarity and the warp, against OpenCV and against points that are known."""

from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from pipeline.align.cascade import Attempt, Found
from pipeline.align.choice import Choice
from pipeline.align.crop import cut_faces
from pipeline.align.detectors.detector import Faces
from pipeline.core.schema import Reason
from pipeline.geometry.similarity import (
    TEMPLATE,
    fit_similarity,
    frontality,
    invert_similarity,
    overlaps,
    points_outside,
    roll_deg,
    template_points,
    transform_points,
)
from pipeline.geometry.warp import outside_shares, warp_face
from pipeline.images import Scaled
from tests.pipeline.align.inputs import PORTRAIT_POINTS, align_params, portrait, turned


def test_template_keeps_the_margin_and_scales_with_the_size():
    whole = template_points(112, 0.0)
    assert whole[0] == pytest.approx([38.2946, 51.6963])  # insightface's arcface_dst, which it hands to OpenCV as it is
    assert template_points(224, 0.0)[4] == pytest.approx([2 * 70.7299, 2 * 92.2041])
    inner = template_points(224, 0.25)
    assert np.allclose(inner, 224 * (0.25 + 0.5 * TEMPLATE))


@pytest.mark.parametrize("angle_deg", range(-60, 61, 20))
@pytest.mark.parametrize(("scale", "shift"), [(1.0, (0, 0)), (0.5, (40, -25)), (1.6, (-30, 60))])
def test_turned_landmarks_land_on_the_template(angle_deg, scale, shift):
    """Bright dots at known points are found in the crop where the template has them."""
    target = template_points(224, 0.1)
    source = (target - 112) * 0.8 + 256
    _, points = turned(np.zeros((512, 512), np.uint8), source, angle_deg, scale, shift)
    picture = np.zeros((512, 512), np.uint8)
    matrix = fit_similarity(points[None], target)[0]
    for point, wanted in zip(points, target, strict=True):
        dot = picture.copy()
        cv2.circle(dot, tuple(np.round(point * 16).astype(int).tolist()), 16 * 3, 255, -1, cv2.LINE_AA, 4)
        crop = warp_face(dot, matrix, 224, "constant").astype(float)
        rows, columns = np.indices(crop.shape)
        centre = np.array([(crop * columns).sum(), (crop * rows).sum()]) / crop.sum()
        assert np.abs(centre - wanted).max() < 1


def test_turning_a_face_hardly_changes_its_crop():
    target = template_points(112, 0.1)
    upright = warp_face(portrait(), fit_similarity(PORTRAIT_POINTS[None], target)[0], 112, "replicate")
    for angle_deg in (-60, -35, 20, 60):
        pixels, points = turned(portrait(), PORTRAIT_POINTS, angle_deg, 1.0, (20, 30))
        crop = warp_face(pixels, fit_similarity(points[None], target)[0], 112, "replicate")
        assert np.abs(crop[20:92, 20:92].astype(float) - upright[20:92, 20:92]).mean() < 8


def test_similarity_agrees_with_opencv_and_has_no_shear():
    random = np.random.default_rng(3)
    target = template_points(224, 0.1)
    points = PORTRAIT_POINTS + random.normal(0, 2, (20, 5, 2))
    for matrix, given in zip(fit_similarity(points, target), points, strict=True):
        assert matrix[0, 0] == matrix[1, 1]
        assert matrix[0, 1] == -matrix[1, 0]
        residue = ((transform_points(matrix, given) - target) ** 2).sum()
        oracle, _ = cv2.estimateAffinePartial2D(given, target, method=cv2.LMEDS)
        assert residue <= ((transform_points(oracle, given) - target) ** 2).sum() + 1e-6


def test_inverse_undoes():
    matrix = fit_similarity(PORTRAIT_POINTS[None], template_points(96, 0.0))[0]
    there = transform_points(matrix, PORTRAIT_POINTS)
    assert np.allclose(transform_points(invert_similarity(matrix), there), PORTRAIT_POINTS)


def test_shrinking_leaves_no_moire():
    """Lines two pixels apart become even grey; sampled without averaging they would beat."""
    lines = np.zeros((900, 900), np.uint8)
    lines[::2] = 255
    for scale in (0.5, 0.35, 0.21, 0.1):
        matrix = np.array([[scale, 0, 10], [0, scale, 10]])
        side = int(800 * scale)
        crop = warp_face(lines, matrix, side, "constant")[20:, 20:].astype(float)
        assert crop.std() < 16, scale
        assert crop.mean() == pytest.approx(127.5, abs=3)


@pytest.mark.parametrize("scale", [0.9, 0.7, 0.5, 0.34, 0.15, 1.7])
def test_shrinking_does_not_shift(scale):
    """A ramp of brightness stays where it is, whatever is averaged on the way."""
    ramp = np.repeat(np.linspace(0, 255, 800)[None], 800, axis=0).astype(np.uint8)
    matrix = np.array([[scale, 0, 3.0], [0, scale, 5.0]])
    crop = warp_face(ramp, matrix, 100, "replicate")
    wanted = (np.arange(100) - 3.0) / scale * 255 / 799
    inside = (wanted > 15) & (wanted < 240)
    assert np.abs(crop[50][inside] - wanted[inside]).max() < 2


@pytest.mark.parametrize(("border", "value"), [("constant", 0), ("replicate", 200), ("reflect", 200)])
@pytest.mark.parametrize("shape", [(60, 60), (60, 60, 3)])
def test_borders(border, value, shape):
    crop = warp_face(np.full(shape, 200, np.uint8), np.array([[1.0, 0, 50], [0, 1.0, 50]]), 100, border)
    assert crop.shape == (100, 100, *shape[2:])
    assert (crop[:40, :40] == value).all()
    assert (crop[60:, 60:] == 200).all()


def test_points_outside_are_counted_from_the_outer_edge_of_the_pixels():
    corners = np.array([[-0.5, -0.5], [99.5, 49.5], [-0.6, 20], [50, 49.6], [120, 80]])
    assert points_outside(corners, (50, 100, 3)) == 3


def test_a_face_whose_points_left_the_picture_is_turned_away():
    def seen(points):
        faces = Faces(np.array([[10.0, 10, 90, 90]]), np.ones(1), points[None])
        return Found(Attempt("any", SimpleNamespace(name="any")), faces, Choice(0, None, 0))

    picture = Scaled(np.zeros((100, 100, 3), np.uint8), 1.0, 1.0, 0.0, 0.0, 100, 100)
    inside = template_points(100, 0.1)
    # Of the template's points two eyes, then also the nose, leave the picture at the top.
    for shift, reason in ((0, None), (-50, None), (-65, Reason.points_outside)):
        crop = cut_faces([seen(inside + np.array([0, shift]))], [picture], [b""], align_params())[0]
        assert crop.reason == reason, shift


def test_outside_share_counts_pixels():
    random = np.random.default_rng(5)
    for _ in range(30):
        angle, scale = random.uniform(-1, 1), random.uniform(0.5, 2)
        cosine, sine = scale * np.cos(angle), scale * np.sin(angle)
        matrix = np.array([[cosine, -sine, random.uniform(-80, 80)], [sine, cosine, random.uniform(-80, 80)]])
        counted = cv2.warpAffine(np.ones((90, 120), np.float32), matrix, (100, 100), flags=cv2.INTER_LINEAR)
        assert outside_shares([(90, 120)], matrix[None], 100)[0] == pytest.approx(1 - counted.mean(), abs=0.01)


def test_roll_and_frontality():
    _, points = turned(np.zeros((512, 512), np.uint8), PORTRAIT_POINTS, -30, 1, (0, 0))
    assert roll_deg(points[None])[0] - roll_deg(PORTRAIT_POINTS[None])[0] == pytest.approx(30)
    assert frontality(points[None]) == pytest.approx(frontality(PORTRAIT_POINTS[None]))
    profile = PORTRAIT_POINTS.copy()
    profile[2] = profile[1]
    assert frontality(profile[None])[0] == pytest.approx(0)
    even = PORTRAIT_POINTS.copy()
    even[2] = even[:2].mean(axis=0)
    assert frontality(even[None])[0] == pytest.approx(1)


def test_overlap():
    boxes = np.array([[0, 0, 10, 10], [5, 0, 15, 10], [20, 20, 30, 30]], float)
    assert overlaps(boxes, np.array([0, 0, 10, 10.0])).tolist() == pytest.approx([1, 1 / 3, 0])
