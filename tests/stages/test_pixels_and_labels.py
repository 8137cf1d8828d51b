"""`prep equalize` and `prep harmonize` as typed: default folders, one line said, exit codes."""

import shutil
from pathlib import Path

import pytest

from stages.cli import run
from tests.pipeline.equalize.test_stage import make_faces
from tests.pipeline.labels.test_stage import labelled, make_samples

ROOT = Path(__file__).parents[2]


@pytest.fixture
def project(tmp_path, monkeypatch):
    shutil.copy(ROOT / "params.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PREP_WORKERS", "1")
    return tmp_path


def test_equalize_writes_where_dvc_looks(project, capsys):
    make_faces(Path("data/aligned/toy"), rows=3)
    assert run(["equalize", "--src", "data/aligned/toy"]) == 0
    assert capsys.readouterr().out == "data/faces/toy: 3 faces, clahe\n"
    assert {path.name for path in Path("data/faces/toy").iterdir()} == {
        "part-00000.parquet", "detections.parquet", "rejects.parquet", "summary.json", "snapshot.json"
    }  # fmt: skip


def test_equalize_without_faces_is_one_line(project, capsys):
    assert run(["equalize", "--src", "data/aligned/none", "--out", "data/faces/none"]) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith("error: data/aligned/none: not there; run prep align first")
    assert len(captured.err.splitlines()) == 1


def test_harmonize_writes_where_dvc_looks(project, capsys):
    make_samples(Path("data/samples/toy"), "affectnet", [labelled("happy"), labelled("none")])
    assert run(["harmonize", "--src", "data/samples/toy"]) == 0
    assert capsys.readouterr().out == "data/labels/toy: 1 labels, 1 rejected, taxonomy affectnet version 2\n"
    assert Path("data/labels/toy/labels.parquet").is_file()


def test_harmonize_names_the_row_of_an_unknown_label(project, capsys):
    make_samples(Path("data/samples/toy"), "folder", [labelled("happy"), labelled("grumpy")])
    assert run(["harmonize", "--src", "data/samples/toy"]) == 1
    captured = capsys.readouterr()
    assert "dataset toy, row toy/0001.jpg#0: label 'grumpy' is unknown to taxonomy folder" in captured.err
    assert len(captured.err.splitlines()) == 1


def test_a_bad_policy_is_a_parameter_error(project, capsys):
    text = Path("params.yaml").read_text()
    Path("params.yaml").write_text(text.replace("multi_label: vote", "multi_label: guess"))
    make_samples(Path("data/samples/toy"), "affectnet", [labelled("happy")])
    assert run(["harmonize", "--src", "data/samples/toy"]) == 2
    assert "harmonize.multi_label" in capsys.readouterr().err
