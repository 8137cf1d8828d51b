"""How fine a picture is decoded, and its points brought from one scale to the other."""

import numpy as np
import pytest

from pipeline.align.detectors.detector import Hint
from pipeline.align.scale import decode_finer, from_source, hint_of, search_side_px, to_source, view_of
from pipeline.geometry.similarity import TEMPLATE
from pipeline.images import Scaled, open_picture
from tests.pipeline.align.inputs import align_params, jpeg, portrait

SMALL = Scaled(np.zeros((60, 50), np.uint8), 0.25, 0.5, 0.75, 0.5, 200, 120)
FULL = Scaled(np.zeros((120, 200), np.uint8), 1.0, 1.0, 0.0, 0.0, 200, 120)


def test_a_point_is_where_the_door_says_it_is():
    points = np.array([[[10.0, 20.0]] * 5, [[10.0, 20.0]] * 5])
    there = from_source(points, [SMALL, FULL])
    # As `images.Scaled` has it, of the middle of the first pixel.
    assert there[0, 0].tolist() == [(10 + 0.5) * 0.25 + 0.75 - 0.5, (20 + 0.5) * 0.5 + 0.5 - 0.5]
    assert there[1, 0].tolist() == [10, 20]
    np.testing.assert_allclose(to_source(there, [SMALL, FULL]), points)


def test_a_box_counts_from_the_outer_corner():
    view = view_of(SMALL, Hint(np.array([40.0, 20, 80, 60]), "body"))
    assert view.hint.box.tolist() == [40 * 0.25 + 0.75, 20 * 0.5 + 0.5, 80 * 0.25 + 0.75, 60 * 0.5 + 0.5]
    assert view.hint.kind == "body"
    assert view.pixels is SMALL.pixels
    assert view_of(SMALL, None).hint is None


def test_what_a_row_says_of_its_face():
    assert hint_of({"source_box": None, "source_box_kind": "body"}) is None
    hint = hint_of({"source_box": [1, 2, 3, 4], "source_box_kind": "body"})
    assert (hint.box.tolist(), hint.box.dtype, hint.kind) == ([1, 2, 3, 4], float, "body")
    assert hint_of({"source_box": [1, 2, 3, 4], "source_box_kind": None}).kind == "face"


def header(width, height):
    picture = open_picture(jpeg(np.zeros((8, 8, 3), np.uint8)))
    return picture.header._replace(width=width, height=height)


@pytest.mark.parametrize(
    ("box", "kind", "face_px"),
    [(None, None, 0.25 * 2000), ([100, 50, 500, 350], "face", 300), ([100, 50, 500, 850], "body", 100),
     ([5, 5, 5.5, 9], "face", 1)],
)  # fmt: skip
def test_the_shorter_side_leaves_the_crop_its_eyes(box, kind, face_px):
    """Eyes of 0.35 of the face become those of ArcFace's template in the crop, if the picture has so many pixels."""
    params = align_params(size_px=112, margin=0.1)
    hint = None if box is None else Hint(np.array(box, float), kind)
    eyes_px = (TEMPLATE[1, 0] - TEMPLATE[0, 0]) * 0.8 * 112
    expected = min(2000, np.ceil(2000 * eyes_px / (0.35 * face_px)))
    assert search_side_px(header(3000, 2000), hint, params) == expected
    assert search_side_px(header(2000, 3000), hint, params) == expected


@pytest.mark.parametrize(("enlarged", "finer"), [(1.25, False), (1.251, True)])
def test_a_crop_that_enlarges_by_a_quarter_is_fine_enough(enlarged, finer):
    content = jpeg(portrait())
    coarse = open_picture(content).decode_scaled(128, max_bytes=10**9)
    assert coarse.scale_x == 0.25
    found = decode_finer(content, coarse, enlarged, align_params())
    assert (found is not None) == finer
    if found is not None:
        assert found.scale_x == 0.375  # at least 128 * 1.251 pixels, in eighths of 512
    whole = open_picture(content).decode_scaled(512, max_bytes=10**9)
    assert decode_finer(content, whole, 9.0, align_params()) is None
    assert decode_finer(content, coarse, 9.0, align_params()).scale_x == 1
    assert decode_finer(content, coarse, 2.0, align_params()).scale_x == 0.5
    tall = open_picture(jpeg(np.ascontiguousarray(portrait()[:, :256])))
    slim = tall.decode_scaled(64, max_bytes=10**9)
    assert (slim.scale_x, slim.width, slim.height) == (0.25, 256, 512)
    assert decode_finer(jpeg(np.ascontiguousarray(portrait()[:, :256])), slim, 2.0, align_params()).scale_x == 0.5
