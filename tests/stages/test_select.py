"""`prep select` as typed: the gates of params.yaml, those of one dataset, and what is said where none is left."""

import json
from pathlib import Path

import pytest

from pipeline.core.schema import DETECTIONS
from pipeline.core.stage_output import stage_output
from pipeline.core.tables import read_table, rows_to_table
from stages.cli import run
from tests.imports import ROOT

MEASURES = {"face_score": 0.9, "face_size_px": 80.0, "frontality": 0.8, "brightness": 0.5, "outside_share": 0.0}


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Two faces of RAF-DB that `align` found, one sharp and one not, and a picture without a face."""
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    faces = {"sharp": {"status": "aligned", "sharpness": 90.0}, "blurred": {"status": "aligned", "sharpness": 9.0}}
    with stage_output(Path("data/aligned/demo-rafdb"), stage="align", sources=[], params={}) as output:
        rows = [
            MEASURES
            | {"sample_id": f"demo-rafdb/{name}.png#0", "dataset": "demo-rafdb", "source_path": f"{name}.png"}
            | {"source_labels": ["happy"], **row}
            for name, row in (faces | {"wall": {"status": "no_face"}}).items()
        ]
        output.write_table("detections.parquet", rows_to_table(rows, DETECTIONS))
        output.finish(rows_in=2, rows_out=2)
    return tmp_path


def set_params(old, new):
    text = Path("params.yaml").read_text()
    assert old in text
    Path("params.yaml").write_text(text.replace(old, new, 1))


def kept(folder="data/selected/demo-rafdb"):
    return [Path(key).name for key in read_table(Path(folder, "selected.parquet"))["sample_id"].to_pylist()]


def test_faces_are_kept_where_the_default_says_and_counted_beside(project, capsys):
    assert run(["select", "--src", "data/aligned/demo-rafdb"]) == 0
    assert capsys.readouterr().out == "demo-rafdb: 2 of 2 faces selected; left out: none\n"
    assert kept() == ["sharp.png#0", "blurred.png#0"]
    counts = json.loads(Path("runs/select/demo-rafdb.json").read_text())
    assert counts == {"kept": 2, "rejected": {}, "by_class": {"happy": {"kept": 2, "rejected": {}}}}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("min_sharpness: 0.0", "min_sharpness: 20.0"),
        ("rafdb, role: test}", "rafdb, role: test, select: {min_sharpness: 20.0}}"),
    ],
)
def test_gates_are_those_of_the_section_with_what_the_dataset_changes(project, capsys, old, new):
    set_params(old, new)
    assert run(["select", "--src", "data/aligned/demo-rafdb", "--out", "elsewhere"]) == 0
    assert "1 of 2 faces selected; left out: 1 blurred" in capsys.readouterr().out
    assert kept("elsewhere") == ["sharp.png#0"]
    assert not Path("runs").exists()


def test_none_left_is_an_error_that_says_why_and_its_rejects_are_there(project, capsys):
    set_params("min_face_px: 0.0", "min_face_px: 81.0")
    assert run(["select", "--src", "data/aligned/demo-rafdb"]) == 1
    said = "error: data/selected/demo-rafdb: none of 2 faces selected: 2 small_face; see its rejects\n"
    assert capsys.readouterr().err == said
    assert len(read_table(Path("data/selected/demo-rafdb/rejects.parquet"))) == 2


def test_a_folder_without_detections_is_one_line(project, capsys):
    Path("data/aligned/other").mkdir()
    assert run(["select", "--src", "data/aligned/other"]) == 1
    assert capsys.readouterr().err.startswith("error: data/aligned/other/detections.parquet: no table here")
