"""Every gate tried at its limit, just below and just above it."""

import numpy as np
import pytest

from pipeline.core.params import SelectParams, read_params
from pipeline.select.gates import GATES, judge
from tests.imports import ROOT

FINE = {
    "box_iou": 0.5, "face_score": 0.5, "face_size_px": 50.0, "frontality": 0.5, "sharpness": 50.0, "brightness": 0.5,
    "outside_share": 0.5,
}  # fmt: skip
LIMITS = [
    ("face_score", "min_score", True, "low_score"),
    ("box_iou", "min_box_iou", True, "low_overlap"),
    ("face_size_px", "min_face_px", True, "small_face"),
    ("frontality", "min_frontality", True, "not_frontal"),
    ("sharpness", "min_sharpness", True, "blurred"),
    ("brightness", "min_brightness", True, "bad_exposure"),
    ("brightness", "max_brightness", False, "bad_exposure"),
    ("outside_share", "max_outside_share", False, "outside_picture"),
]


def select_params(**changes) -> SelectParams:
    return read_params(ROOT / "params.yaml").select.model_copy(update=changes)


def test_each_key_of_the_section_is_one_gate():
    assert sorted(key for _, _, key in GATES) == sorted(SelectParams.model_fields)


@pytest.mark.parametrize(("name", "limit", "below", "reason"), LIMITS)
def test_each_gate_holds_at_its_value_and_not_beyond_it(name, limit, below, reason):
    value = FINE[name]
    params = select_params(**{limit: value})
    assert judge(FINE, params) == (None, "")
    beyond = value - value / 100 if below else value + value / 100
    found, detail = judge({**FINE, name: beyond}, params)
    assert str(found) == reason
    assert detail == f"{beyond:.3g}; the limit is {value:g}"
    within = value + value / 100 if below else value - value / 100
    assert judge({**FINE, name: within}, params) == (None, "")


@pytest.mark.parametrize(("name", "limit", "below", "reason"), LIMITS)
@pytest.mark.parametrize("value", [0.1, 0.7, 0.9])
def test_what_is_at_the_limit_as_the_table_holds_it_passes(name, limit, below, reason, value):
    """In 32 bits 0.7 and 0.9 are less than they are in 64, and 0.1 is more."""
    params = select_params(**{limit: value})
    assert judge({**FINE, name: float(np.float32(value))}, params)[0] is None
    beyond = np.nextafter(np.float32(value), np.float32(0 if below else 1))
    assert str(judge({**FINE, name: float(beyond)}, params)[0]) == reason


def test_a_face_without_a_box_of_the_dataset_has_no_overlap_to_fail():
    assert judge({**FINE, "box_iou": None}, select_params(min_box_iou=1.0)) == (None, "")


def test_of_several_gates_the_first_is_the_reason():
    params = select_params(min_sharpness=60.0, min_score=0.6)
    assert str(judge(FINE, params)[0]) == "low_score"


def test_as_shipped_every_face_passes():
    worst = dict.fromkeys(FINE, 0.0)
    assert judge(worst, select_params()) == judge(worst | {"outside_share": 1.0}, select_params()) == (None, "")
