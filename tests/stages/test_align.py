"""When `prep align` reads the raw tree again: only if the samples are not those that an ingest would write now."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.core.errors import DataError
from pipeline.core.lineage.snapshot import read_snapshot
from pipeline.core.tables import read_table
from stages.align import align, ensure_samples
from stages.ingest import run_ingest
from stages.project import load_params

OWN = Path(__file__).parents[2] / "params.yaml"


def test_samples_are_read_again_only_for_other_parameters_or_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_bytes(OWN.read_bytes())
    for name in ("happy/a.jpg", "sad/b.jpg"):
        (tmp_path / "mine" / name).parent.mkdir(parents=True)
        (tmp_path / "mine" / name).write_bytes(name.encode())
    samples = tmp_path / "data/samples/mine"
    run_ingest(load_params(), "mine", format="folder", out=samples)

    def is_written_again() -> bool:
        before = samples.stat().st_ino, (samples / "snapshot.json").stat().st_mtime_ns
        ensure_samples(load_params(), "mine", samples)
        return before != (samples.stat().st_ino, (samples / "snapshot.json").stat().st_mtime_ns)

    assert not is_written_again()
    text = OWN.read_text().replace("ckplus_peak_frames: 3", "ckplus_peak_frames: 2")
    (tmp_path / "params.yaml").write_text(text)
    assert is_written_again()
    assert not is_written_again()
    entry = "datasets:\n  mine: {src: ./mine, format: auto, role: train}\n"
    (tmp_path / "params.yaml").write_text(text.replace("datasets:\n", entry, 1))
    assert is_written_again()
    (tmp_path / "mine/sad/b.jpg").write_bytes(b"other")
    assert is_written_again()
    assert not is_written_again()


def test_a_format_is_taken_over_from_samples_of_the_same_tree_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_bytes(OWN.read_bytes())
    for name in ("folders/happy/a.jpg", "folders/sad/b.jpg", "table/a.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
    (tmp_path / "table/x.csv").write_text("path,label\na.jpg,happy\n")
    samples = tmp_path / "elsewhere"
    run_ingest(load_params(), "folders", format="folder", out=samples)
    ensure_samples(load_params(), "table", samples)
    assert read_snapshot(samples).params["format"] == "auto"
    assert json.loads((samples / "summary.json").read_text())["format"] == "csv"


def test_a_dataset_without_a_single_face_is_an_error_and_its_ledger_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PREP_WORKERS", "1")
    (tmp_path / "params.yaml").write_bytes(OWN.read_bytes())
    for name in ("walls/happy", "walls/sad"):
        (tmp_path / name).mkdir(parents=True)
        Image.fromarray(np.full((64, 64, 3), 99, np.uint8)).save(tmp_path / name / "a.png")
    with pytest.raises(DataError, match="walls: none of 2 faces aligned: 2 no_face; see its rejects"):
        align("walls")
    detections = read_table(tmp_path / "data/aligned/walls/detections.parquet").to_pylist()
    assert [row["status"] for row in detections] == ["no_face", "no_face"]
