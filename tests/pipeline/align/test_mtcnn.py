"""MTCNN exact and fast, against facenet-pytorch and against the original's padding on the same pictures."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from pipeline.align.cascade import build_cascade
from pipeline.align.detectors.detector import Hint, View
from pipeline.align.mtcnn.candidates import Candidates, suppress
from pipeline.align.mtcnn.exact import MtcnnExact
from pipeline.align.mtcnn.fast import COARSE, FINE, FULL, MEDIUM, Given, MtcnnBox, MtcnnFast, MtcnnPadded
from pipeline.align.mtcnn.networks import cpu_networks
from pipeline.align.mtcnn.pyramid import Region, build_layout, build_pyramid, cut_crops
from pipeline.align.search import find_faces
from pipeline.geometry.similarity import overlaps
from pipeline.images import decode
from tests.pipeline.align.inputs import (
    PORTRAIT_POINTS,
    align_params,
    facenet_detect,
    facenet_mtcnn,
    portrait,
    shared_photos,
    tight_crop,
    turned,
)
from tests.pipeline.align.original import original_detect, padded_crops

BOX = np.array([171.0, 60.0, 278.0, 193.0])
# Squares of the portrait (corner and side) whose face leaves them at one side, or at all.
LEFT, TOP, RIGHT, BOTTOM = ((190, 60), 150), ((150, 85), 150), ((110, 60), 150), ((150, 10), 150)
TIGHT = (178, 74), 92


@pytest.fixture(scope="module")
def oracle():
    return facenet_mtcnn()


def _assert_same(pixels, oracle, detect=original_detect):
    rgb = pixels if pixels.ndim == 3 else np.repeat(pixels[:, :, None], 3, axis=2)
    boxes, scores, landmarks = detect(oracle, rgb)
    found = MtcnnExact(cpu_networks()).detect([View(pixels)])[0]
    assert len(found) == len(boxes)
    for box, score, points in zip(boxes, scores, landmarks, strict=True):
        row = int(np.argmax(overlaps(found.boxes, box)))
        assert np.abs(found.boxes[row] - box).max() < 0.5
        assert np.abs(found.landmarks[row] - points).max() < 0.5
        assert found.scores[row] == pytest.approx(score, abs=1e-3)


@pytest.mark.parametrize("size", [(512, 512), (377, 251), (120, 97), (40, 64)])
def test_exact_is_facenet_pytorch(oracle, size):
    """The face lies inside the picture, where both oracles are one."""
    pixels = cv2.resize(portrait(), size[::-1], interpolation=cv2.INTER_AREA)
    _assert_same(pixels, oracle, facenet_detect)
    _assert_same(pixels, oracle)


@pytest.mark.parametrize("part", [LEFT, TOP, RIGHT, BOTTOM, TIGHT], ids=["left", "top", "right", "bottom", "tight"])
@pytest.mark.parametrize("side_px", [48, 100])
def test_exact_is_the_original_where_the_face_leaves_the_picture(oracle, part, side_px):
    _assert_same(tight_crop(*part, side_px)[0], oracle)


def test_exact_is_the_original_on_photographs(oracle):
    photos = shared_photos("landmarks68/images/*.jpg")[::30] + shared_photos("muxspace/images/*.jpg")[5::300]
    photos += shared_photos(
        "dlib_faces/2008_0*.jpg",
        "edge_cases/single_face.jpg",
        "edge_cases/two_people.jpg",
    )
    for photo in photos:
        _assert_same(decode(photo.read_bytes(), max_bytes=10**9), oracle)


def test_fast_finds_what_facenet_finds(oracle):
    photos = shared_photos("landmarks68/images/*.jpg")[3::12]
    views = [View(decode(photo.read_bytes(), max_bytes=10**9)) for photo in photos]
    agreeing = 0
    for view, faces in zip(views, MtcnnFast(cpu_networks(), COARSE).detect(views), strict=True):
        boxes, _, landmarks = facenet_detect(oracle, view.pixels)
        if len(faces) and len(boxes):
            row = int(np.argmax(overlaps(boxes, faces.boxes[0])))
            side = boxes[row, 2] - boxes[row, 0]
            agreeing += bool(np.abs(landmarks[row] - faces.landmarks[0]).mean() < 0.05 * side)
    assert agreeing >= len(views) - 1


@pytest.mark.parametrize("search", [COARSE, MEDIUM, FINE, FULL])
@pytest.mark.parametrize("angle_deg", [-25, 0, 25])
def test_every_search_finds_the_portrait(search, angle_deg):
    pixels, points = turned(portrait(), PORTRAIT_POINTS, angle_deg, 1.6, (60, 120))
    faces = MtcnnFast(cpu_networks(), search).detect([View(pixels)])[0]
    assert np.abs(faces.landmarks[0] - points).max() < 8


@pytest.mark.parametrize("part", [LEFT, TOP, RIGHT, BOTTOM, TIGHT], ids=["left", "top", "right", "bottom", "tight"])
@pytest.mark.parametrize("side_px", [48, 100, 224])
def test_the_cascade_finds_the_points_of_a_face_that_leaves_the_picture(part, side_px):
    pixels, points = tight_crop(*part, side_px)
    eyes = np.linalg.norm(points[1] - points[0])
    cascade = build_cascade(align_params())
    # The box of a picture that is cut to its face is the picture.
    hints = [None] + [Hint(np.array([0.0, 0, side_px, side_px]), "face")] * (part == TIGHT)
    for hint in hints:
        found = find_faces(cascade, [View(pixels, hint)], lambda _: None)[0]
        assert found is not None
        error = np.linalg.norm(found.faces.landmarks[found.choice.row] - points, axis=1) / eyes
        assert error.mean() < 0.2, found.attempt.name


BEYOND = [(-30, 20, 90, 140), (40, -60, 170, 70), (60, 90, 210, 240), (-40, -30, 250, 260), (20, 30, 150, 160)]


@pytest.mark.parametrize("side_px", [24, 48])
def test_crops_are_the_original_ones_where_boxes_leave_the_picture(side_px):
    pixels = cv2.GaussianBlur(portrait()[40:220, 120:320], (0, 0), 2)
    boxes = np.array(BEYOND, float) + 0.5  # the original cuts the fraction off
    pyramid = build_pyramid(pixels, Region(0, 0, 200, 180), 180)
    crops = cut_crops([pyramid], np.zeros(len(boxes), np.intp), boxes, side_px)
    wanted = padded_crops(pixels, torch.from_numpy(boxes), side_px).numpy() * 128 + 127.5
    # The levels are halves of each other, not averages over any area; stretched crops are off by 70.
    assert np.abs(crops - wanted).mean(axis=(1, 2, 3)).max() < 5
    # Where the original is black for more than the pixel of the seam, so is the crop.
    black = cv2.erode((wanted.max(axis=1) < 0.5).astype(np.uint8).transpose(1, 2, 0), np.ones((3, 3))) > 0
    assert black[..., :4].any(axis=(0, 1)).all()
    assert (crops.max(axis=1)[black.transpose(2, 0, 1)] < 1).all()


def test_beyond_a_region_the_picture_is_not_black():
    """Only the picture ends in black, not the part that an annotated box leaves to be searched."""
    white = np.full((200, 200, 3), 255, np.uint8)
    pyramid = build_pyramid(white, Region(50, 50, 200, 150), 100)
    crop = cut_crops([pyramid], np.zeros(1, np.intp), np.array([[20.0, 20, 260, 260]]), 48)[0]
    assert (crop[:, :34, :34] == 255).all()
    assert (crop[:, :, 40:] == 0).all()


@pytest.mark.parametrize("turn_deg", [0, 90, 180, 270])
def test_a_turned_pyramid_gives_the_crops_of_the_picture_turned(turn_deg):
    """NumPy turns the picture; sides of whole pairs of pixels, so that no level loses a row at one end only."""
    pixels = cv2.GaussianBlur(portrait()[40:232, 120:328], (0, 0), 2)
    lying = np.ascontiguousarray(np.rot90(pixels, -turn_deg // 90))
    boxes, owners = np.array(BEYOND, float), np.zeros(len(BEYOND), np.intp)
    whole = Region(0, 0, lying.shape[1], lying.shape[0])
    wanted = cut_crops([build_pyramid(lying, whole, 192)], owners, boxes, 48)
    pyramid = replace(build_pyramid(pixels, Region(0, 0, 208, 192), 192), turn_deg=turn_deg)
    assert np.abs(cut_crops([pyramid], owners, boxes, 48) - wanted).max() <= 2


def test_a_small_face_needs_the_finer_search():
    pixels = cv2.resize(portrait(), (128, 128), interpolation=cv2.INTER_AREA)
    pixels = np.pad(pixels, [(20, 150), (50, 120), (0, 0)], mode="edge")
    assert not len(MtcnnFast(cpu_networks(), COARSE).detect([View(pixels)])[0])
    faces = MtcnnFast(cpu_networks(), FINE).detect([View(pixels)])[0]
    assert np.abs(faces.landmarks[0] - (PORTRAIT_POINTS / 4 + [50, 20])).max() < 3


def test_company_changes_nothing():
    """What is found in a picture does not depend on which others are searched with it, to the last bit."""
    views = [
        View(turned(portrait(), PORTRAIT_POINTS, angle, scale, (0, 90))[0]) for angle in (-10, 15) for scale in (1, 2)
    ]
    views += [View(np.zeros((90, 70), np.uint8)), View(portrait()[:300, 100:350, 0])]
    # A box that fits, and one that sends the second network to other sizes.
    views += [View(portrait(), Hint(np.add(BOX, (-grow, -grow, grow, grow)), "face")) for grow in (0, 40)]
    networks = cpu_networks()
    for detector in (*(MtcnnFast(networks, one) for one in (COARSE, FINE)), MtcnnPadded(networks), MtcnnBox(networks)):
        together = detector.detect(views)
        for view, faces in zip(views, together, strict=True):
            alone = detector.detect([view])[0]
            assert np.array_equal(alone.boxes, faces.boxes)
            assert np.array_equal(alone.landmarks, faces.landmarks)
            assert np.array_equal(alone.scores, faces.scores)


@pytest.mark.parametrize("growth", [0.85, 1.0, 1.3])
def test_a_box_is_enough(growth):
    centre, half = (BOX[:2] + BOX[2:]) / 2, (BOX[2:] - BOX[:2]) / 2 * growth
    view = View(portrait(), Hint(np.concatenate([centre - half, centre + half]), "face"))
    faces = MtcnnBox(cpu_networks()).detect([view, View(portrait())])
    assert np.abs(faces[0].landmarks[0] - PORTRAIT_POINTS).max() < 6
    assert len(faces[1]) == 0


def test_a_body_box_is_searched_in_its_upper_part():
    wide = np.concatenate([portrait(), portrait()], axis=1)
    body = np.array([512 + 60, 10, 512 + 440, 511], float)
    faces = MtcnnFast(cpu_networks(), COARSE).detect([View(wide, Hint(body, "body"))])[0]
    assert len(faces) == 1
    assert np.abs(faces.landmarks[0] - PORTRAIT_POINTS - [512, 0]).max() < 6


def test_given_trusts_the_box():
    empty = Hint(np.array([400.0, 10, 480, 90]), "face")
    faces = Given(cpu_networks()).detect([View(portrait(), empty)])[0]
    assert faces.boxes.tolist() == [[400, 10, 480, 90]]
    assert not len(MtcnnBox(cpu_networks()).detect([View(portrait(), empty)])[0])


def test_a_face_that_fills_its_picture():
    tight = portrait()[70:185, 178:272]
    fits, within = (Hint(np.array(box, float), "face") for box in ((0, 0, 94, 115), (190, 90, 260, 160)))
    *seen, inside = MtcnnPadded(cpu_networks()).detect([View(tight), View(tight, fits), View(portrait(), within)])
    for faces in seen:
        assert np.abs(faces.landmarks[0] - (PORTRAIT_POINTS - [178, 70])).max() < 8
    assert not len(inside)  # room around the picture would show nothing new


@pytest.mark.parametrize("shape", [(1, 1), (3, 400), (11, 11), (12, 12, 3), (13, 900, 3), (25, 17)])
def test_tiny_and_thin_pictures(shape):
    pixels = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    hint = Hint(np.array([-50.0, -50, -10, -10]), "face")
    networks = cpu_networks()
    detectors = [MtcnnFast(networks, COARSE), MtcnnFast(networks, FULL), MtcnnPadded(networks), MtcnnBox(networks)]
    for detector in [*detectors, MtcnnExact(networks)]:
        for view in (View(pixels), View(pixels, hint)):
            assert len(detector.detect([view])) == 1


@pytest.mark.parametrize(("height", "width"), [(12, 12), (48, 48), (41, 67), (67, 41), (120, 180)])
def test_layout_cells_lie_within_their_scale(height, width):
    layout = build_layout(height, width)
    columns = (layout.size[1] - 12) // 2 + 1
    tops, lefts, highs, wides = np.array(layout.places)[layout.scales].T
    x, y = 2 * (layout.cells % columns), 2 * (layout.cells // columns)
    assert (x - lefts == layout.corners[:, 0]).all()
    assert (y - tops == layout.corners[:, 1]).all()
    assert (layout.corners[:, 0] + 12 <= wides).all()
    assert (layout.corners[:, 1] + 12 <= highs).all()
    assert max(tops + highs) <= layout.size[0]
    assert max(lefts + wides) <= layout.size[1]


def test_suppression_against_opencv():
    random = np.random.default_rng(4)
    corner, side = random.uniform(0, 60, (3, 40, 2)), random.uniform(20, 40, (3, 40, 1))
    boxes, scores = np.concatenate([corner, corner + side], axis=2), random.uniform(0.1, 1, (3, 40))
    kept = suppress(Candidates(boxes, scores), 0.4, 40)
    for index in range(3):
        sized = np.concatenate([corner[index], side[index].repeat(2, axis=1)], axis=1)
        wanted = cv2.dnn.NMSBoxes(sized, scores[index].astype(np.float32), 0.0, 0.4)
        found = kept.scores[index][kept.scores[index] > 0]
        assert found.tolist() == scores[index][np.asarray(wanted)].tolist()
