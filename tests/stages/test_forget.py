"""`prep forget` as typed: of a person who withdraws no picture is left, those that are no samples included."""

import shlex
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from pipeline.core.params import read_params
from pipeline.core.tables import read_table
from pipeline.ingest.dataset_options import DatasetOptions
from pipeline.ingest.people import pictures_of
from stages.cli import run
from tests.imports import ROOT

FRAMES = 8


@pytest.fixture
def project(tmp_path, monkeypatch):
    """CK+ with three people: S005 with one labelled sequence and one without, S010 and S011 with one of these each."""
    monkeypatch.chdir(tmp_path)
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["datasets"] = {"ck": {"src": "raw/ck", "format": "ckplus", "role": "both"}}
    Path("params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    for sequence, labelled in (("S005/001", True), ("S005/002", False), ("S010/001", True), ("S011/001", False)):
        name = sequence.replace("/", "_")
        for number in range(1, FRAMES + 1):
            place = Path(f"raw/ck/cohn-kanade-images/{sequence}/{name}_{number:08d}.png")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(f"a picture of {name} {number}".encode())
        if labelled:
            place = Path(f"raw/ck/Emotion/{sequence}/{name}_{FRAMES:08d}_emotion.txt")
            place.parent.mkdir(parents=True)
            place.write_text("   3.0000000e+00\n")
    assert run(["ingest", "--src", "raw/ck"]) == 0
    return tmp_path


def remove(said):
    """Type the commands that remove raw files; return how many."""
    commands = [shlex.split(line) for line in said.splitlines() if line.startswith("  rm raw")]
    for _, place in commands:
        Path(place).unlink()
    return len(commands)


def decided(stage):
    assert run(["ingest", "--src", "raw/ck"]) == 0
    assert run(["decide", "--src", "data/samples/ck"]) == 0
    rows = read_table(Path("data/decisions/ck") / f"{stage}.parquet", ["sample_id", "withdrawn"]).to_pylist()
    return {row["sample_id"] for row in rows if row["withdrawn"]}


def pictures(subject):
    return sorted(Path(f"raw/ck/cohn-kanade-images/{subject}").rglob("*.png"))


def test_nothing_of_a_person_is_left_after_the_printed_commands(project, capfd):
    assert run(["forget", "--dataset", "ck", "--subject", "S005", "--as", "ann"]) == 0
    said = capfd.readouterr().out
    assert "4 samples withdrawn, and 12 other pictures" in said
    assert remove(said) == 2 * FRAMES
    assert pictures("S005") == []
    assert len(pictures("S010")) == len(pictures("S011")) == FRAMES
    assert run(["verify", "--forgotten"]) == 0
    assert run(["ingest", "--src", "raw/ck"]) == 0
    people = read_table(Path("data/samples/ck/samples.parquet"), ["subject_id"])["subject_id"].to_pylist()
    assert set(people) == {"S010"}


def test_a_person_whose_pictures_are_no_samples_withdraws(project, capfd):
    assert run(["forget", "--dataset", "ck", "--subject", "S011", "--as", "ann"]) == 0
    assert run(["verify", "--forgotten"]) != 0
    assert remove(capfd.readouterr().out) == FRAMES
    assert run(["verify", "--forgotten"]) == 0
    assert run(["forget", "--dataset", "ck", "--subject", "S012", "--as", "ann"]) != 0
    assert "S012: ck has no such subject" in capfd.readouterr().err


def test_the_other_rows_of_a_table_are_other_pictures(project, capfd):
    params = yaml.safe_load(Path("params.yaml").read_text())
    params["datasets"] = {"hub": {"src": "raw/hub", "format": "hub", "role": "both"}}
    Path("params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    Path("raw/hub").mkdir()
    images = [{"bytes": f"picture {number}".encode(), "path": None} for number in range(4)]
    pq.write_table(pa.table({"image": images, "label": ["happy", "sad", "happy", "sad"]}), "raw/hub/t.parquet")
    assert run(["ingest", "--src", "raw/hub"]) == 0
    capfd.readouterr()
    assert run(["forget", "--dataset", "hub", "--sample", "hub/t.parquet#0", "--as", "ann"]) == 0
    said = "".join(capfd.readouterr())
    assert "hub/t.parquet#1" not in said
    assert "table  raw/hub/t.parquet" in said
    assert run(["verify", "--forgotten"]) != 0
    pq.write_table(pa.table({"image": images[1:], "label": ["sad", "happy", "sad"]}), "raw/hub/t.parquet")
    assert run(["verify", "--forgotten"]) == 0


def test_no_parameter_brings_a_person_back(project):
    assert run(["forget", "--dataset", "ck", "--subject", "S005", "--as", "ann"]) == 0
    text = Path("params.yaml").read_text()
    Path("params.yaml").write_text(text.replace("ckplus_peak_frames: 3", f"ckplus_peak_frames: {FRAMES}"))
    every = {f"ck/{path.relative_to('raw/ck')}#0" for path in pictures("S005") if "/001/" in str(path)}
    assert decided("align") == decided("harmonize") == every
    assert len(every) == FRAMES


def test_every_frame_of_a_sequence_shows_its_person(tmp_path):
    places = [
        tmp_path / f"VL/Strong/{person}/Anger/{number:03d}.jpeg" for person in ("P001", "P002") for number in range(9)
    ]
    for place in places:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(place.as_posix().encode())
    params = read_params(ROOT / "params.yaml").ingest
    found = pictures_of(str(tmp_path), "oulu_casia", params, DatasetOptions(), ["P002"])
    assert [place for place, _ in found] == [place.relative_to(tmp_path).as_posix() for place in places[9:]]
    assert len(set(found.values())) == len(places[9:])
