import csv
import io
import json
import os

import numpy as np
import onnxruntime
import pytest
from PIL import Image
from skimage import data

from models.checkpoint import read_info
from pipeline.align.stage import build_contract
from pipeline.core.emotions import CLASSES
from pipeline.core.params import read_params
from stages.cli import run
from tests.imports import ROOT
from tests.run_inputs import make_checkpoint


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A checkpoint and a folder: a portrait, a wall, a text file; a torn picture beside."""
    root = tmp_path_factory.mktemp("predict")
    params = read_params(ROOT / "params.yaml")
    align = params.align.model_copy(update={"size_px": 64})
    contract = {"align": build_contract(align), "equalize": params.equalize.plain(), "classes": list(CLASSES)}
    make_checkpoint(root / "run", contract)
    pictures = root / "pictures"
    pictures.mkdir()
    Image.fromarray(data.astronaut()).save(pictures / "portrait.png")
    Image.fromarray(data.brick()).save(pictures / "wall.png")
    (pictures / "notes.txt").write_text("no picture")
    (root / "torn.txt").write_text("a file, no folder")
    (root / "torn.png").write_bytes((pictures / "portrait.png").read_bytes()[:9000])
    return root


def prep(folder, capsys, *arguments, code=0):
    assert run(["predict", "--run", str(folder / "run"), *map(str, arguments)]) == code
    return capsys.readouterr()


def test_every_face_is_a_line_and_text_files_are_passed_over(folder, capsys):
    said = prep(folder, capsys, folder / "pictures")
    face, wall = said.out.splitlines()
    assert "portrait.png: face 1 of 1" in face
    assert all(name in face for name in CLASSES)
    assert wall.endswith("wall.png: no face found")
    assert said.err == ""


def test_json_and_csv_say_the_same(folder, capsys):
    content = json.loads(prep(folder, capsys, folder / "pictures", "--json").out)
    assert content["classes"] == list(CLASSES)
    portrait, wall = content["pictures"]
    assert wall["faces"] == []
    (face,) = portrait["faces"]
    assert sum(face["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    assert face["class"] == max(face["probabilities"], key=face["probabilities"].get)
    x0, y0, x1, y1 = face["box"]
    assert 150 < x0 < x1 < 300
    assert 40 < y0 < y1 < 200
    (row,) = csv.DictReader(io.StringIO(prep(folder, capsys, folder / "pictures", "--format", "csv").out))
    assert row["class"] == face["class"]
    assert float(row["x0"]) == pytest.approx(x0, abs=0.01)
    assert float(row["happy"]) == pytest.approx(face["probabilities"]["happy"], abs=1e-6)


@pytest.mark.parametrize(
    ("rendered", "score", "said"),
    [
        (["demo"], 0.9, ["trained on rendered faces (demo), so it knows nothing of real ones"]),
        (
            [],
            0.16,
            ["balanced accuracy on validation is 0.16, where guessing gets 0.12: its answers are hardly better"],
        ),
        (["demo"], 0.16, ["rendered faces", "hardly better than guesses"]),
        ([], 0.4, []),
    ],
)
def test_a_network_that_knows_nothing_says_so_with_every_answer(folder, capsys, tmp_path, rendered, score, said):
    info = read_info(folder / "run")
    validation = {"rows": 100, "balanced_accuracy": score, "chance": 0.125, "low": score - 0.02, "high": score + 0.02}
    contract = dict(info.contract) | ({"rendered": rendered} if rendered else {})
    make_checkpoint(tmp_path / "run", contract, validation=validation)
    portrait = folder / "pictures" / "portrait.png"
    told = prep(tmp_path, capsys, portrait)
    assert told.err.count("warning: ") == told.out.count(" [") == len(said)
    assert all(words in told.err for words in said)
    content = json.loads(prep(tmp_path, capsys, portrait, "--json").out)
    (face,) = content["pictures"][0]["faces"]
    assert len(content["doubts"]) == len(face.get("doubts", [])) == len(said)
    assert content["affectnet_numbers"] == [6, 7, 5, 4, 1, 0, 2, 3]
    (row,) = csv.DictReader(io.StringIO(prep(tmp_path, capsys, portrait, "--format", "csv").out))
    assert ("doubts" in row) == bool(said)
    assert all(words in row["doubts"] for words in said)


def test_a_picture_is_drawn_with_its_boxes(folder, capsys, tmp_path):
    prep(folder, capsys, folder / "pictures" / "portrait.png", "--out", tmp_path / "drawn.png")
    with Image.open(tmp_path / "drawn.png") as drawn:
        assert drawn.size == (512, 512)
        assert (np.asarray(drawn) != data.astronaut()).any()
    prep(folder, capsys, folder / "pictures", "--out", tmp_path / "all")
    assert len(list((tmp_path / "all").glob("*.png"))) == 2


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["torn.png"], 1, "torn.png: truncated"),
        (["pictures/notes.txt"], 1, "notes.txt: not_an_image"),
        (["nowhere.png"], 1, "nowhere.png: not there"),
        (["run/nothing"], 1, "nothing: not there"),
        (["pictures", "--out", "one.png"], 2, "pictures need a folder"),
        (["pictures/wall.png", "--out", "pictures/wall.png"], 2, "is the picture itself"),
        (["pictures/wall.png", "--out", "boxes.jpg"], 2, "boxes.jpg: pictures are drawn as .png"),
        (["pictures/wall.png", "--out", "torn.txt"], 2, "torn.txt: pictures are drawn as .png"),
    ],
)
def test_errors_are_one_line(folder, capsys, monkeypatch, arguments, code, said):
    monkeypatch.chdir(folder)
    error = prep(folder, capsys, *arguments, code=code).err
    assert said in error
    assert len(error.splitlines()) == 1


def test_a_picture_that_cannot_be_used_does_not_stop_the_others(folder, capsys):
    said = prep(folder, capsys, folder / "torn.png", folder / "pictures" / "portrait.png", code=1)
    assert "portrait.png: face 1 of 1" in said.out
    assert "torn.png: truncated" in said.err


def test_no_checkpoint_is_one_line(folder, capsys, tmp_path):
    assert run(["predict", "--run", str(tmp_path / "no"), str(folder / "pictures")]) == 1
    error = capsys.readouterr().err
    assert "run prep train first" in error
    assert error.count(str(tmp_path)) == 1
    assert len(error.splitlines()) == 1


def test_export_writes_onnx_that_runs(folder, capsys, tmp_path):
    assert run(["export", "--to", "onnx", "--run", str(folder / "run"), "--out", str(tmp_path / "m" / "a.onnx")]) == 0
    session = onnxruntime.InferenceSession(tmp_path / "m" / "a.onnx")
    (given,) = session.get_inputs()
    assert given.shape[1:] == [3, 64, 64]
    (answer,) = session.run(None, {given.name: np.zeros((2, 3, 64, 64), np.uint8)})
    np.testing.assert_allclose(answer.sum(axis=1), 1, rtol=1e-5)


def test_an_unknown_target_is_wrong_use(folder, capsys):
    assert run(["export", "--to", "coreml", "--run", str(folder / "run")]) == 2
    assert "onnx" in capsys.readouterr().err


def test_a_name_with_a_line_break_or_bytes_that_are_no_text_is_one_line(folder, capsys, tmp_path):
    for name in (b"a\nb.jpg: face 1 of 1.png", b"c\xff.png"):
        Image.fromarray(data.brick()).save(tmp_path / os.fsdecode(name))
    said = prep(folder, capsys, tmp_path).out
    said.encode("utf-8")
    assert said.splitlines() == [
        f"{tmp_path}/a\\nb.jpg: face 1 of 1.png: no face found",
        f"{tmp_path}/c\\udcff.png: no face found",
    ]


@pytest.mark.parametrize(("task", "values"), [("affect", ["valence", "arousal"]), ("arousal", ["arousal"])])
def test_a_network_of_values_prints_them(folder, tmp_path, capsys, task, values):
    info = read_info(folder / "run" / "model.safetensors")
    make_checkpoint(tmp_path / "run", dict(info.contract), classes=tuple(values), task=task)
    portrait = folder / "pictures" / "portrait.png"
    content = json.loads(prep(tmp_path, capsys, portrait, "--json").out)
    assert content["values"] == values
    ((face,),) = [picture["faces"] for picture in content["pictures"]]
    assert all(-1 <= face[name] <= 1 for name in values)
    assert "class" not in face
    (row,) = csv.DictReader(io.StringIO(prep(tmp_path, capsys, portrait, "--format", "csv").out))
    assert [float(row[name]) for name in values] == pytest.approx([face[name] for name in values])
    assert "class" not in row
    line = prep(tmp_path, capsys, portrait).out
    assert line.rstrip().endswith("  ".join(f"{name} {face[name]:+.3f}" for name in values))
