"""Which face is taken, what is measured of its crop, and what no face can be, tried just below and just above."""

from dataclasses import replace
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from pipeline.align.cascade import Attempt, Found
from pipeline.align.choice import HEAD_SHARE, Choice, choose
from pipeline.align.crop import cut_faces, is_possible, refuse
from pipeline.align.detectors.detector import Faces, Hint, View
from pipeline.align.stage import run as align
from pipeline.align.turn import turn_back, turn_boxes, turn_points, turn_view
from pipeline.geometry.similarity import (
    box_sizes,
    fit_similarity,
    frontality,
    overlaps,
    template_points,
    transform_points,
)
from pipeline.images import Scaled, decode_face, open_picture
from tests.pipeline.align.inputs import PORTRAIT_POINTS, align_params, ingested, jpeg, portrait, write_tree


@pytest.mark.parametrize(
    ("name", "most", "reason"),
    [
        ("points_outside", "max_points_outside", "points_outside"),
        ("picture_share", "max_picture_share", "larger_than_picture"),
    ],
)
def test_what_no_face_can_be_holds_at_its_limit_and_not_beyond_it(name, most, reason):
    fine = {"points_outside": 2, "picture_share": 0.5}
    value = fine[name]
    params = align_params(**{most: value})
    assert refuse(fine, params) == (None, "")
    step = 1 if name == "points_outside" else value / 100
    found, detail = refuse({**fine, name: value + step}, params)
    assert str(found) == reason
    assert detail == f"{value + step:.3g}; the limit is {value:g}"
    assert refuse({**fine, name: value - step}, params) == (None, "")


def faces(*boxes):
    return Faces(np.array(boxes, float), np.ones(len(boxes)), np.zeros((len(boxes), 5, 2)))


def test_without_a_box_the_largest_is_taken_and_the_others_are_counted():
    assert choose(faces([0, 0, 10, 10], [5, 5, 25, 25], [0, 0, 30, 4]), None) == Choice(1, None, 2)
    assert choose(Faces.none(), None) is None
    assert choose(Faces.none(), Hint(np.array([0.0, 0, 9, 9]), "face")) is None


@pytest.mark.parametrize(
    ("kind", "boxes", "row", "iou", "others"),
    [
        # In a face's box the one that is most of it, though the other is larger: 90 of 154 pixels that both cover.
        ("face", [[0, -3, 12, 9], [0, 0, 10, 10]], 1, 1.0, 1),
        ("face", [[0, -3, 12, 9], [50, 50, 90, 90]], 0, 90 / 154, 1),
        # In a body's box the larger one of those that lie in its upper part and are no wider than it is.
        ("body", [[0, -3, 12, 9], [0, 0, 10, 10]], 0, 90 / 154, 1),
        ("body", [[0, -4, 12.1, 8], [1, 1, 4, 4], [3, 1, 7, 5], [0, 5, 8, 10]], 2, 0.16, 3),
    ],
)
def test_face_of_a_box_is_most_of_it_and_that_of_a_body_the_largest_in_its_head(kind, boxes, row, iou, others):
    found = choose(faces(*boxes), Hint(np.array([0.0, 0, 10, 10]), kind))
    assert found == Choice(row, pytest.approx(iou), others)


@pytest.mark.parametrize(("share", "taken"), [(0.149, False), (0.151, True)])
def test_less_overlap_with_the_face_box_than_015_is_another_face(share, taken):
    """A box inside the annotated one has the ratio of their areas as its overlap."""
    side = 100 * share**0.5
    found = choose(faces([10, 20, 10 + side, 20 + side]), Hint(np.array([0.0, 0, 100, 100]), "face"))
    assert (found is not None) == taken
    if found is not None:
        assert found.row == 0
        assert found.box_iou == pytest.approx(share)


def test_with_a_face_box_the_most_overlap_wins_and_not_the_size():
    hint = Hint(np.array([0.0, 0, 10, 10]), "face")
    found = choose(faces([0, 0, 30, 30], [0, 0, 10, 8], [0, 0, 10, 5]), hint)
    assert found == Choice(1, pytest.approx(0.8), 2)


def head(x, y, side=10.0):
    return [x - side / 2, y - side / 2, x + side / 2, y + side / 2]


BODY = np.array([100.0, 200.0, 140.0, 300.0])
LOWEST = 200 + HEAD_SHARE * 100


@pytest.mark.parametrize(
    ("box", "inside"),
    [
        (head(100, 230), True), (head(99.9, 230), False), (head(140, 230), True), (head(140.1, 230), False),
        (head(120, 200), True), (head(120, 199.9), False), (head(120, LOWEST), True), (head(120, LOWEST + 0.1), False),
        (head(120, 230, 48.0), True), (head(120, 230, 48.1), False),
    ],
)  # fmt: skip
def test_of_a_body_the_head_is_in_its_upper_part_and_not_much_wider(box, inside):
    assert (choose(faces(box), Hint(BODY, "body")) is not None) == inside


def test_of_a_body_the_largest_head_is_taken_with_its_overlap():
    found = choose(faces(head(110, 220, 8), head(120, 230, 20), head(500, 500, 90)), Hint(BODY, "body"))
    assert found == Choice(1, pytest.approx(400 / 4000), 2)


def seen(points, box, *, score=0.75, turn_deg=0, others=0, iou=None):
    """The second of several faces."""
    count = 2 + others
    boxes = np.zeros((count, 4)) + np.array([0, 0, 3, 3])
    boxes[1] = box
    landmarks = np.full((count, 5, 2), -99.0)
    landmarks[1] = points
    given = Faces(boxes, np.where(np.arange(count) == 1, score, 0.1), landmarks)
    return Found(Attempt("first", SimpleNamespace(name="stub")), given, Choice(1, iou, others), turn_deg)


def whole(pixels):
    height, width = pixels.shape[:2]
    return Scaled(pixels, 1.0, 1.0, 0.0, 0.0, width, height)


def test_columns_and_ledger_say_what_was_found():
    points = template_points(100, 0.1) + np.array([20, 10])
    pixels = np.zeros((140, 150, 3), np.uint8)
    pixels[...] = (200, 100, 50)
    warped = []
    found = seen(points, [30, 20, 80, 100], turn_deg=90, others=3, iou=0.625)
    (crop,) = cut_faces([found], [whole(pixels)], [b""], align_params(size_px=100), warped.append)
    assert warped == [0]
    assert crop.reason is None
    assert crop.detail == ""
    shared = {"face_score": 0.75, "detector": "stub", "attempt": "first", "turn_deg": 90, "box_iou": 0.625}
    places = np.round(points * 64) / 64  # landmarks are kept to a 64th of a pixel
    assert crop.columns == shared | {"face_box": [30, 20, 80, 100], "landmarks": places.reshape(-1).tolist()}
    assert crop.detections.keys() == shared.keys() | {
        "face_size_px", "roll_deg", "frontality", "outside_share", "points_outside", "picture_share", "sharpness",
        "brightness", "other_faces",
    }  # fmt: skip
    assert {name: crop.detections[name] for name in shared} == shared
    assert crop.detections["other_faces"] == 3
    assert crop.detections["face_size_px"] == pytest.approx((50 * 80) ** 0.5)
    assert crop.detections["picture_share"] == pytest.approx(50 * 80 / (140 * 150))
    assert crop.detections["points_outside"] == 0
    assert crop.detections["outside_share"] == 0
    assert crop.detections["sharpness"] == 0
    # Luma of ITU-R BT.601, of red, green and blue in this order.
    assert crop.detections["brightness"] == pytest.approx((0.299 * 200 + 0.587 * 100 + 0.114 * 50) / 255, abs=2e-3)
    shown = decode_face(crop.image)
    assert shown.shape == (100, 100, 3)
    assert np.abs(shown[50, 50].astype(int) - (200, 100, 50)).max() <= 3
    small = align_params(size_px=100, max_picture_share=0.19)
    refused, other = cut_faces([found] * 2, [whole(pixels)] * 2, [b""] * 2, small)
    assert (refused.image, other.image) == (b"", b"")
    assert str(refused.reason) == "larger_than_picture"
    assert cut_faces([], [], [], align_params()) == []


def test_light_is_measured_on_the_inner_half():
    """A checkerboard inside, white around it: the variance of OpenCV's Laplacian of the inner half alone."""
    points = template_points(80, 0.1)
    pixels = np.full((80, 80), 255, np.uint8)
    pixels[20:60, 20:60] = (np.indices((40, 40)) // 5).sum(0) % 2 * 100
    (crop,) = cut_faces([seen(points, [0, 0, 80, 80])], [whole(pixels)], [b""], align_params(size_px=80))
    inner = pixels[20:60, 20:60]
    assert crop.detections["brightness"] == pytest.approx(inner.mean() / 255, abs=1e-3)
    assert crop.detections["sharpness"] == pytest.approx(cv2.Laplacian(inner, cv2.CV_64F).var(), rel=5e-2)


def test_the_border_and_the_margin_of_the_parameters_reach_the_crop():
    points = template_points(100, 0.1)
    pixels = np.full((100, 100), 200, np.uint8)
    for border, corner in (("constant", 0), ("replicate", 200)):
        params = align_params(size_px=120, margin=0.2, border=border)
        (crop,) = cut_faces([seen(points, [0, 0, 100, 100])], [whole(pixels)], [b""], params)
        shown = decode_face(crop.image)
        assert shown.shape == (120, 120)
        assert abs(int(shown[0, 0]) - corner) <= 6
        # ArcFace's own crop is 0.6 of the crop's side and 0.8 of the picture's: the picture is three quarters.
        assert crop.detections["outside_share"] == pytest.approx(1 - 0.75**2, abs=1e-3)


@pytest.mark.parametrize(("up", "possible"), [(49, True), (70, False)])
def test_an_answer_with_more_than_two_points_beyond_the_picture_is_no_face(up, possible):
    found = seen(template_points(100, 0.1) - [0, up], [10, 10, 90, 90])
    assert is_possible(found, (100, 100, 3), align_params()) == possible


@pytest.mark.parametrize(("limit", "possible"), [(1.999, False), (2.0, True)])
def test_an_answer_larger_than_its_picture_is_no_face(limit, possible):
    found = seen(template_points(100, 0.1), [-30, -14, 170, 186])
    assert is_possible(found, (100, 200, 3), align_params(max_picture_share=limit)) == possible


@pytest.mark.parametrize("turn_deg", [0, 90, 180, 270])
def test_what_is_found_on_a_turned_picture_comes_back(turn_deg):
    rng = np.random.default_rng(2)
    points, boxes = rng.uniform(0, 30, (2, 5, 2)), np.array([[3.0, 5, 17, 28], [0, 1, 20, 9]])
    view = View(np.zeros((40, 70), np.uint8), Hint(boxes[0], "face"))
    turned = turn_view(view, turn_deg)
    assert turned.pixels.flags.c_contiguous
    assert turned.hint.kind == "face"
    assert turned.hint.box.tolist() == turn_boxes(boxes, (40, 70), turn_deg)[0].tolist()
    there = Faces(
        turn_boxes(boxes, (40, 70), turn_deg), np.array([0.25, 0.75]), turn_points(points, (40, 70), turn_deg)
    )
    back = turn_back(there, (40, 70), turn_deg)
    np.testing.assert_allclose(back.landmarks, points)
    np.testing.assert_allclose(back.boxes, boxes)
    assert back.scores.tolist() == [0.25, 0.75]


def test_a_turned_box_holds_the_same_pixels():
    shape, box = (40, 70), np.array([[3.0, 5, 17, 28]])
    picture = np.zeros(shape, np.uint8)
    picture[5:29, 3:18] = 1
    for turn_deg in (90, 180, 270):
        rows, columns = np.nonzero(np.rot90(picture, -turn_deg // 90))
        expected = [columns.min(), rows.min(), columns.max(), rows.max()]
        assert turn_boxes(box, shape, turn_deg)[0].tolist() == expected
    assert turn_view(View(picture), 90).hint is None


def test_degenerate_faces_have_no_nan():
    same = np.full((1, 5, 2), 7.0)
    assert np.isfinite(fit_similarity(same, template_points(100, 0.1))).all()
    assert frontality(same).tolist() == [1.0]
    assert box_sizes(np.array([[0.0, 0, 9, 4], [5, 5, 5, 9], [5, 5, 4, 2], [1, 1, 0, 5]])).tolist() == [6, 0, 0, 0]
    empty = np.array([[0.0, 0, 0, 0], [5, 5, 4, 9], [0, 0, 4, 4]])
    assert overlaps(empty, np.array([2.0, 1, 2, 1])).tolist() == [0, 0, 0]
    assert overlaps(empty, np.array([2.0, 0, 6, 4])).tolist() == [0, 0, pytest.approx(8 / 24)]


@pytest.mark.parametrize("along", [0.0, 0.25, -0.25, 0.5, -0.7])
def test_frontality_falls_with_the_nose_on_its_way_to_an_eye(along):
    eyes = np.array([[10.0, 20.0], [50.0, 40.0]])
    nose = eyes.mean(0) + along * (eyes[1] - eyes[0]) + 0.8 * np.array([-20.0, 40.0])
    points = np.stack([*eyes, nose, nose, nose])[None]
    assert frontality(points)[0] == pytest.approx(max(0, 1 - 2 * abs(along)))


def test_a_similarity_is_least_squares_of_its_four_numbers():
    rng = np.random.default_rng(8)
    points, target = rng.normal(0, 30, (5, 2)) + np.array([40, -60]), rng.normal(0, 9, (5, 2))
    rows, wanted = [], []
    for (x, y), (u, v) in zip(points, target, strict=True):
        rows += [[x, -y, 1, 0], [y, x, 0, 1]]
        wanted += [u, v]
    a, b, c, d = np.linalg.lstsq(np.array(rows), np.array(wanted), rcond=None)[0]
    np.testing.assert_allclose(fit_similarity(points[None], target)[0], [[a, -b, c], [b, a, d]], rtol=1e-9)
    both = fit_similarity(np.stack([points, points + 5]), target)
    moved = np.stack(
        [transform_points(matrix, given) for matrix, given in zip(both, (points, points + 5), strict=True)]
    )
    np.testing.assert_allclose(transform_points(both, np.stack([points, points + 5])), moved)
    np.testing.assert_allclose(moved[0], moved[1])


def test_a_finer_picture_is_cut_where_the_crop_enlarges_the_decoded_one(monkeypatch):
    """The finer one shows another grey, so that it is known which of the two was cut."""
    coarse = Scaled(np.full((50, 50), 60, np.uint8), 0.5, 0.5, 0.0, 0.0, 100, 100)
    finer = whole(np.full((100, 100), 180, np.uint8))
    asked = []
    monkeypatch.setattr(
        "pipeline.align.crop.decode_finer",
        lambda *given: asked.append(given[2]) or (finer if given[0] == b"fine" else None),
    )
    points = (template_points(100, 0.1) + 0.5) / 2 - 0.5
    found = seen(points, [0, 0, 50, 50])
    crops = cut_faces([found] * 2, [coarse] * 2, [b"fine", b""], align_params(size_px=100))
    assert asked == pytest.approx([2, 2], rel=1e-3)
    assert [int(decode_face(crop.image)[50, 50]) for crop in crops] == [180, 60]
    # Points and boxes are those of the full picture.
    np.testing.assert_allclose(crops[0].columns["landmarks"], template_points(100, 0.1).reshape(-1), atol=1 / 64)
    assert crops[0].columns["face_box"] == [0.5, 0.5, 100.5, 100.5]
    assert replace(coarse, scale_x=1.0).scale_x == 1


@pytest.mark.parametrize("limit_mb", [2, 512])
def test_a_face_whose_finer_picture_cannot_be_decoded_is_rejected(limit_mb):
    """At an eighth the picture is small; at the size that the face needs it is not."""
    content = jpeg(cv2.resize(portrait(), (2048, 2048)))
    coarse = open_picture(content).decode_scaled(256, max_bytes=10**9)
    assert coarse.scale_x == 1 / 8
    params = align_params(size_px=224, max_decode_mb=limit_mb)
    found = seen((PORTRAIT_POINTS + 0.5) / 2 - 0.5, [90, 30, 140, 90])
    other = seen(template_points(224, 0.1), [0, 0, 224, 224])
    crop, good = cut_faces([found, other], [coarse, whole(portrait())], [content, b""], params)
    assert (good.reason, bool(good.image)) == (None, True)
    assert (crop.reason, bool(crop.image)) == (("too_large", False) if limit_mb == 2 else (None, True))
    if limit_mb == 2:
        assert "2048x2048 pixels" in crop.detail
        assert crop.detections["face_score"] == 0.75
        assert crop.columns == {}


def test_align_goes_on_where_a_finer_picture_cannot_be_decoded(tmp_path):
    small = cv2.resize(portrait(), (256, 256), interpolation=cv2.INTER_AREA)
    big = jpeg(cv2.copyMakeBorder(small, 350, 350, 350, 350, cv2.BORDER_CONSTANT))
    write_tree(tmp_path / "raw", {"happy/big.jpg": big, "happy/plain.jpg": jpeg(portrait())})
    samples = ingested(tmp_path / "raw", tmp_path / "samples")
    params = align_params(size_px=112, cascade=["mtcnn"], max_decode_mb=2)
    summary = align(samples, str(tmp_path / "raw"), tmp_path / "aligned", params, workers=1)
    assert (summary["rows_out"], summary["rejected"]) == (1, {"too_large": 1})
