"""Sheets of training faces, against the faces that PyArrow and Pillow read from the shards."""

import io
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from models.registry import find_model
from models.training.run import Job
from models.training.samples import sheet_of_augmentations, sheet_of_classes
from pipeline.core.emotions import CLASSES
from pipeline.core.errors import DataError, UsageError
from pipeline.shards.read import open_shards
from stages.cli import run as prep
from tests.models.training_inputs import ROOT, make_training_shards, train_params

SIDE, GAP, TOP = 96, 6, 28  # pixels


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    return make_training_shards(tmp_path_factory.mktemp("samples"), rows=60)


def tiles_of(sheet, columns, lines=2):
    step = SIDE + lines * 16 + GAP
    return [
        [sheet[TOP + row * step :, GAP + column * (SIDE + GAP) :][:SIDE, :SIDE] for column in range(columns)]
        for row in range(len(CLASSES))
    ]


def test_each_row_holds_faces_of_its_class_and_of_no_other(shards):
    faces: dict[int, list[np.ndarray]] = {}
    for path in (shards / "parquet").glob("train-*"):
        table = pq.read_table(path)
        for label, image in zip(table["label"].to_pylist(), table["image"].to_pylist(), strict=True):
            picture = Image.open(io.BytesIO(image["bytes"])).convert("RGB").resize((SIDE, SIDE), Image.Resampling.BOX)
            faces.setdefault(label, []).append(np.asarray(picture).astype(int))
    sheet = sheet_of_classes(open_shards(shards), "train", 20, seed=5)
    for label, row in enumerate(tiles_of(sheet, 20)):
        shown = [tile.astype(int) for tile in row if (tile != 255).any()]
        assert len(shown) == min(20, len(faces[label]))
        # JPEG's decoders differ by a level or two.
        near = {min(range(len(faces[label])), key=lambda n: np.abs(faces[label][n] - tile).mean()) for tile in shown}
        assert len(near) == len(shown)
        assert all(min(np.abs(face - tile).mean() for face in faces[label]) < 2 for tile in shown)


def test_the_draw_is_that_of_the_seed(shards):
    first, again, other = (sheet_of_classes(open_shards(shards), "train", 3, seed) for seed in (5, 5, 6))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def make_job(shards, **changes):
    params = train_params(**changes)
    return Job(shards, open_shards(shards), params, find_model(params.model), 3, lambda *said: None)


def test_the_first_picture_is_as_read_and_the_others_are_changed(shards):
    strengths = dict.fromkeys(train_params().augmentations["strong"].plain(), 0) | {"flip_vertical": 1.0}
    job = make_job(shards, model="compact", augment="strong", augmentations={"strong": strengths})
    for read, *changed in tiles_of(sheet_of_augmentations(job, 3), 3, lines=1):
        assert all(np.array_equal(tile, read[::-1]) for tile in changed)
        assert not np.array_equal(read, read[::-1])


def test_nothing_to_show_is_said(shards, tmp_path):
    with pytest.raises(UsageError, match=r"^train\.augment: none; choose"):
        sheet_of_augmentations(make_job(shards), 4)
    with pytest.raises(DataError, match="no none rows"):
        sheet_of_classes(open_shards(shards), "none", 4, 1)
    copy = shutil.copytree(shards, tmp_path / "shards")
    for path in (copy / "parquet").glob("train-*"):
        table = pq.read_table(path)
        field = table.schema.field("subject_id")
        hidden = pa.array(["S001"] * len(table), field.type)
        pq.write_table(table.set_column(table.schema.get_field_index("subject_id"), field, hidden), path)
    folder = open_shards(copy)
    folder.contract["terms"] = dict.fromkeys(("one", "two"), "ckplus")
    with pytest.raises(DataError, match="terms of the datasets allow to show no face of train"):
        sheet_of_classes(folder, "train", 4, 1)


def test_the_command_writes_what_was_asked_for(shards, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / "params.yaml", tmp_path)
    assert prep(["sheet", "--src", str(shards), "--columns", "3"]) == 0
    assert prep(["sheet", "--src", str(shards), "--augmented"]) == 0
    assert "runs/export/augmented.png: augmented faces, seed 20" in capsys.readouterr().out
    with Image.open("runs/export/train.png") as picture:
        assert picture.width == GAP + 3 * (SIDE + GAP)
    assert prep(["sheet", "--src", str(shards), "--out", "sheet.jpg"]) == 2
    assert prep(["sheet", "--src", str(shards), "--split", "both"]) == 2
    assert "--split both: expected train, val, test" in capsys.readouterr().err
