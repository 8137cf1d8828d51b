import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from sklearn import metrics as oracle

from models.checkpoint import load_checkpoint
from models.evaluation.held_out import read_held_out
from models.evaluation.occlusion import REGIONS, hide
from models.evaluation.stage import run as evaluate
from pipeline.geometry.similarity import template_points
from pipeline.images import decode_face
from pipeline.shards.read import open_shards
from tests.run_inputs import evaluate_params, make_run, make_shards

POINTS = template_points(200, 0.1)
NAMES = ("left eye", "right eye", "nose", "left corner", "right corner")
HIDES = {
    "eyes": {"left eye", "right eye"},
    "mouth": {"left corner", "right corner"},
    "nose": {"nose"},
    "left": {"left eye", "left corner"},
    "right": {"right eye", "right corner"},
    "sunglasses": {"left eye", "right eye"},
    "surgical_mask": {"nose", "left corner", "right corner"},
}


def hidden_points(points, region):
    changed = (hide(np.full((200, 200, 3), 255, np.uint8), points, region) != 255).all(axis=2)
    places = zip(NAMES, np.round(points).astype(int), strict=True)
    return {name for name, (x, y) in places if changed[y, x] and abs(x - 100) > 2} | (
        {"nose"} & {name for name, (x, y) in zip(NAMES, np.round(points).astype(int), strict=True) if changed[y, x]}
    )


@pytest.mark.parametrize("angle", [0, 25, -40])
@pytest.mark.parametrize("region", HIDES)
def test_masks_hide_the_points_of_their_region_on_turned_faces_too(region, angle):
    turn = np.radians(angle)
    matrix = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    points = (POINTS - 100) @ matrix + 100
    found = hidden_points(points, region)
    assert found - {"nose"} == HIDES[region] - {"nose"}
    if region in ("nose", "surgical_mask"):
        assert "nose" in found
    if region in ("eyes", "mouth", "sunglasses"):
        assert "nose" not in found


@pytest.mark.parametrize("region", ["eyes", "mouth", "left", "right", "nose", "surgical_mask"])
def test_masks_of_a_profile_are_as_high_as_those_of_a_frontal_face(region):
    profile = POINTS.copy()
    profile[:, 0] = 100 + (POINTS[:, 0] - 100) * 0.1
    rows = [
        int((hide(np.full((200, 200, 3), 255, np.uint8), points, region) != 255).all(axis=2).any(axis=1).sum())
        for points in (POINTS, profile)
    ]
    assert abs(rows[0] - rows[1]) <= 6


def test_a_block_covers_its_share_within_the_face_wherever_it_is_drawn():
    for draw in (0, 2**64 - 1, 0x123456789ABCDEF0):
        changed = (hide(np.full((100, 100, 3), 255, np.uint8), POINTS, "block", draw) != 255).all(axis=2)
        assert changed.sum() == 40 * 40


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    shards = make_shards(tmp_path_factory.mktemp("occlusion"))
    make_run(shards, shards.parent / "run")
    return shards.parent


def test_scores_are_those_of_the_network_on_hidden_faces(folder):
    params = evaluate_params(occlusion=list(REGIONS))
    for name in ("one", "two"):
        evaluate(folder / "shards", folder / "run", folder / name, params, seed=3)
    assert (folder / "one/metrics.json").read_bytes() == (folder / "two/metrics.json").read_bytes()
    assert (folder / "one/occlusion/masks.png").read_bytes() == (folder / "two/occlusion/masks.png").read_bytes()
    found = json.loads((folder / "one/metrics.json").read_text())
    assert set(found["occlusion"]) == set(REGIONS)
    rows = read_held_out(open_shards(folder / "shards"), folder / "shards")
    stored = {row["sample_id"]: row["image"]["bytes"] for row in pq.read_table(folder / "shards/parquet").to_pylist()}
    checkpoint = load_checkpoint(folder / "run")
    faces = [decode_face(stored[key]) for key in rows.sample_id]
    faces = [face if face.ndim == 3 else np.stack([face] * 3, axis=2) for face in faces]
    for region in ("mouth", "left"):
        hidden = np.stack([hide(face, points, region) for face, points in zip(faces, rows.points, strict=True)])
        answers = checkpoint.predict(hidden).argmax(axis=1)
        of = found["occlusion"][region]
        assert of["accuracy"]["value"] == pytest.approx(oracle.accuracy_score(rows.label, answers), abs=1e-6)
        assert of["lost"]["accuracy"]["value"] == pytest.approx(found["accuracy"] - of["accuracy"]["value"], abs=2e-6)
        assert of["accuracy"]["low"] <= of["accuracy"]["value"] <= of["accuracy"]["high"]
    with Image.open(folder / "one/occlusion/masks.png") as sheet:
        assert sheet.width == 96 * (1 + len(REGIONS))
