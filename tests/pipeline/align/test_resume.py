"""`align` goes on where a killed run was, detects no face twice, and writes the bytes of a run that nobody stopped."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from pipeline.align import cut
from pipeline.align.cut import LEAST_ROWS, MOST_ROWS, cut_parts
from pipeline.align.stage import run as align
from pipeline.core.parts import Resume, kept_parts
from pipeline.core.schema import SAMPLES
from pipeline.core.tables import read_table, rows_to_table, write_table
from pipeline.images import decode_face
from tests.pipeline.align.inputs import ROOT, align_params, ingested, jpeg, tree_digest, write_tree

PREP = (sys.executable, "-m", "stages")


def picture(number: int) -> bytes:
    """Return a small picture that no other number has."""
    pixels = np.full((16, 16, 3), 99, np.uint8)
    pixels[0, 0], pixels[0, 8] = number % 251, number // 251
    return jpeg(pixels)


def pictures(count: int) -> dict[str, bytes]:
    return {f"{('happy', 'sad')[number % 2]}/{number:05d}.jpg": picture(number) for number in range(count)}


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """Six parts of two rows."""
    monkeypatch.setattr(cut, "MOST_ROWS", 2)
    write_tree(tmp_path / "raw", pictures(12))
    ingested(tmp_path / "raw", tmp_path / "samples")
    return tmp_path


def align_tree(tree: Path, *, fresh: bool = False, size_px: int = 32) -> str:
    """Align, and return what was said of parts taken over."""
    said: list[str] = []
    params = align_params(cascade=["whole"], size_px=size_px)
    resume = Resume(fresh, said.append)
    summary = align(tree / "samples", str(tree / "raw"), tree / "out", params, workers=1, resume=resume)
    assert summary["rows_out"] == summary["rows_in"]
    return " ".join(said)


def stored(tree: Path) -> dict[str, Path]:
    """Return the folder of each part by the id of its first row."""
    (store,) = kept_parts(tree)
    return {read_table(file)["sample_id"][0].as_py(): file.parent for file in store.glob("*/*/faces.parquet")}


def test_no_face_is_detected_twice_and_only_whole_parts_count(tree):
    assert align_tree(tree) == ""
    clean = tree_digest(tree / "out")
    assert align_tree(tree) == "6 of 6 parts taken over from an earlier run"
    assert tree_digest(tree / "out") == clean
    torn, edited, *_ = stored(tree).values()
    (torn / "faces.parquet").unlink()
    (torn / "faces.parquet").write_bytes(b"PAR1")
    content = bytearray((edited / "detections.parquet").read_bytes())
    content[len(content) // 2] ^= 1
    (edited / "detections.parquet").unlink()
    (edited / "detections.parquet").write_bytes(content)
    assert align_tree(tree) == "4 of 6 parts taken over from an earlier run"
    assert tree_digest(tree / "out") == clean


def test_a_changed_row_costs_its_part_and_other_parameters_cost_all(tree):
    align_tree(tree)
    before = stored(tree)
    write_tree(tree / "raw", {"happy/00004.jpg": picture(999)})
    ingested(tree / "raw", tree / "samples")
    assert align_tree(tree) == "5 of 6 parts taken over from an earlier run"
    after = stored(tree)
    assert [key for key in before if before[key] != after[key]] == ["toy/happy/00004.jpg#0"]
    resumed = tree_digest(tree / "out")
    assert align_tree(tree, fresh=True) == ""
    assert tree_digest(tree / "out") == resumed
    assert align_tree(tree, size_px=48) == ""
    sides = {decode_face(image).shape[0] for image in read_table(tree / "out")["image"].to_pylist()}
    assert sides == {48}


def test_a_new_row_moves_few_cuts(tmp_path):
    def digests(names: list[str]) -> list[str]:
        same = {"dataset": "d", "source_path": "p", "face_number": 0, "source_md5": "m", "source_labels": []}
        write_table(tmp_path / "s.parquet", rows_to_table([{**same, "sample_id": name} for name in names], SAMPLES))
        cuts = list(cut_parts(tmp_path / "s.parquet"))
        assert [one.first for one in cuts] == [sum(one.rows for one in cuts[:number]) for number in range(len(cuts))]
        assert sum(one.rows for one in cuts) == len(names)
        assert all(LEAST_ROWS <= one.rows <= MOST_ROWS for one in cuts[:-1])
        return [one.digest for one in cuts]

    names = [f"d/{number:06d}.jpg#0" for number in range(20_000)]
    before = digests(names)
    assert 30 < len(before) < 50
    for at in (0, 7_000, 19_999):
        after = digests([*names[:at], f"{names[at][:-6]}x", *names[at:]])
        assert len(set(after) - set(before)) <= 3
    # An empty table has no part, and a change that is no change of rows none that is new.
    assert digests([]) == []
    assert digests(names) == before


@pytest.mark.slow
def test_killed_as_a_whole_it_goes_on_where_it_was(tmp_path, monkeypatch):
    write_tree(tmp_path / "raw/toy", pictures(800))  # two parts
    text = (ROOT / "params.yaml").read_text().replace("cascade: [mtcnn, dlib-hog]", "cascade: [whole]")
    (tmp_path / "params.yaml").write_text(text.replace("size_px: 224", "size_px: 48", 1))
    monkeypatch.chdir(tmp_path)
    environment = {**os.environ, "PREP_WORKERS": "1", "PYTHONPATH": str(ROOT)}
    command = (*PREP, "align", "--src", "raw/toy")
    first = subprocess.Popen(command, env=environment, start_new_session=True, stdout=subprocess.DEVNULL)
    while not (whole := list(tmp_path.glob("data/aligned/.toy.partial/parts/*/*.*[!w]/part.json"))):
        assert first.poll() is None
        time.sleep(0.01)
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    assert not Path("data/aligned/toy").exists()
    second = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    taken, parts = (int(word) for word in second.stderr.split() if word.isdecimal())
    assert len(whole) <= taken < parts
    resumed = tree_digest(tmp_path / "data/aligned/toy")
    third = subprocess.run((*command, "--fresh"), env=environment, capture_output=True, check=True)
    assert b"taken over" not in third.stderr
    assert tree_digest(tmp_path / "data/aligned/toy") == resumed
    assert len([name for name in resumed if name.startswith("part-")]) == parts
