"""Action units move the landmarks that their description names, and the eight expressions differ."""

import itertools

import numpy as np
import pytest

from pipeline.core.emotions import Emotion
from pipeline.demo.expressions import EXPRESSIONS, at_rest, keep_apart, moves
from pipeline.demo.people import build_person, shape_face

# Of the 68 points: image left and right corner of the mouth, inner brows, outer brows, upper lids, lower lips, chin.
LEFT_CORNER, RIGHT_CORNER = 48, 54
INNER_BROWS, OUTER_BROWS, UPPER_LIDS, LOWER_LIDS = [21, 22], [18, 25], [37, 38, 43, 44], [40, 41, 46, 47]


def down(emotion: Emotion, points) -> float:
    return float(moves(EXPRESSIONS[emotion].units)[points, 1].mean())


def test_there_is_one_expression_a_class_and_neutral_moves_nothing():
    assert list(EXPRESSIONS) == list(Emotion)
    assert not moves(EXPRESSIONS[Emotion.neutral].units).any()


def test_mouth_corners_rise_when_happy_and_fall_when_sad():
    assert down(Emotion.happy, [LEFT_CORNER, RIGHT_CORNER]) < -4
    assert down(Emotion.sad, [LEFT_CORNER, RIGHT_CORNER]) > 3


def test_brows_fall_in_anger_and_rise_in_surprise_and_only_their_inner_ends_in_sadness():
    assert down(Emotion.anger, INNER_BROWS) > 3
    assert down(Emotion.surprise, INNER_BROWS) < -3
    assert down(Emotion.surprise, OUTER_BROWS) < -3
    assert down(Emotion.sad, INNER_BROWS) < -3 < down(Emotion.sad, OUTER_BROWS)


def test_eyes_open_wide_in_fear_and_narrow_in_disgust():
    def opening(emotion):
        return down(emotion, LOWER_LIDS) - down(emotion, UPPER_LIDS)

    assert opening(Emotion.fear) > 2
    assert opening(Emotion.disgust) < -1


def test_only_contempt_is_lopsided():
    for emotion, expression in EXPRESSIONS.items():
        left, right = moves(expression.units)[[LEFT_CORNER, RIGHT_CORNER]]
        lopsided = abs(left[0] + right[0]) + abs(left[1] - right[1])
        assert (lopsided > 3) == (emotion is Emotion.contempt)


def test_a_unit_on_both_sides_is_the_sum_of_its_sides():
    for name in ("4", "6", "9", "12", "15", "17", "23", "25", "26"):
        sides = moves({f"{name}L": 0.7}) + moves({f"{name}R": 0.7})
        middle = np.array([8, 27, 28, 29, 30, 33, 51, 57, 62, 66])
        rest = np.setdiff1d(np.arange(68), middle)
        np.testing.assert_allclose(moves({name: 0.7})[rest], sides[rest], atol=1e-12)


def test_any_two_expressions_differ_by_a_tenth_of_the_distance_between_the_eyes():
    for one, other in itertools.combinations(EXPRESSIONS.values(), 2):
        apart = np.hypot(*(moves(one.units) - moves(other.units)).T)
        assert apart.max() > 4.3


@pytest.mark.parametrize("emotion", list(Emotion))
@pytest.mark.parametrize("person", range(12))
def test_nothing_crosses_in_anybodys_face_however_strong_the_expression(emotion, person):
    shape = build_person(f"person-{person}", 0).shape
    units = {unit: 1.3 * value for unit, value in EXPRESSIONS[emotion].units.items()}
    face = keep_apart(shape_face(at_rest(), shape) + moves(units))
    height = face[:, 1]
    assert (height[[41, 40, 47, 46]] - height[[37, 38, 43, 44]] > 3.5).all()  # lids
    for brow, lids in ((slice(17, 22), [37, 38]), (slice(22, 27), [43, 44])):
        above = np.interp(face[lids, 0], *face[brow].T)
        assert (height[lids] - above > 2).all()
    assert (height[[67, 66, 65]] - height[[61, 62, 63]] > -0.7).all()  # lips
    assert (height[[61, 62, 63]] - height[[50, 51, 52]] > 1.2).all()
    assert (height[[58, 57, 56]] - height[[67, 66, 65]] > 1.2).all()


def test_valence_and_arousal_have_the_signs_of_the_circumplex():
    for emotion, sign in {"happy": 1, "sad": -1, "anger": -1, "disgust": -1, "fear": -1, "contempt": -1}.items():
        assert np.sign(EXPRESSIONS[Emotion[emotion]].valence) == sign
    assert EXPRESSIONS[Emotion.sad].arousal < 0 < EXPRESSIONS[Emotion.surprise].arousal
