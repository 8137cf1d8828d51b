"""Rendering as a stage: the same bytes every time, and nothing of anybody else's replaced."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.core.errors import OutputUseError
from pipeline.core.params import DemoParams
from pipeline.demo import afewva, affectnet, ckplus, emotic, rafdb
from pipeline.demo.scene import take_all
from pipeline.demo.stage import run as render
from tests.imports import ROOT

SMALL = DemoParams(seed=5, faces=64)
# What later processors have and the oldest ones this project runs on have not.
_OLD_PROCESSOR = {
    "NPY_DISABLE_CPU_FEATURES": "AVX2 FMA3 AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL AVX512_SPR",
    "OPENCV_CPU_DISABLE": "AVX2,FP16,FMA3,AVX512-SKX",
    "OPENBLAS_CORETYPE": "Nehalem",
}


def some_pictures() -> list[str]:
    """Render every twelfth picture of each dataset and return their digests."""
    built = (part.build_rows(60, SMALL.seed) for part in (affectnet, afewva, ckplus, emotic, rafdb))
    photos = take_all([row.shot for rows in built for row in rows[::12]])
    return [hashlib.sha256(photo.content).hexdigest() for photo in photos]


def digests(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    out = tmp_path_factory.mktemp("small") / "demo"
    return out, render(out, SMALL, workers=1)


def test_bytes_do_not_depend_on_the_number_of_processes_and_nothing_stale_is_left(small, tmp_path):
    out = tmp_path / "demo"
    out.mkdir()
    (out / "summary.json").write_text("{}")  # an output of ours, to be replaced
    (out / "stale.txt").write_text("from another run")
    render(out, SMALL, workers=2)
    assert digests(out) == digests(small[0])


def test_bytes_do_not_depend_on_the_processor():
    code = "from tests.pipeline.demo.test_stage import some_pictures\nprint(*some_pictures())"
    environment = {**os.environ, **_OLD_PROCESSOR, "PYTHONPATH": str(ROOT)}
    # NumPy warns of features that this processor has not got in the first place.
    command = [sys.executable, "-W", "ignore", "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    mine = some_pictures()
    assert len(mine) > 20
    assert done.stdout.split() == mine


def test_another_seed_is_another_demo():
    mine, other = ({row.shot.path for row in affectnet.build_rows(60, seed)} for seed in (5, 6))
    assert len(mine) == len(other) == 60
    assert not mine & other


def test_the_trees_hold_nothing_but_what_the_datasets_ship(small):
    out, _ = small
    assert {path.name for path in out.iterdir()} == {
        *("affectnet", "afewva", "ckplus", "rafdb", "emotic"),
        *("truth.parquet", "rejects.parquet", "summary.json", "snapshot.json"),
    }
    assert not [path for folder in out.iterdir() if folder.is_dir() for path in folder.rglob("snapshot.json")]


def test_the_summary_counts_the_faces_of_each_dataset(small):
    out, summary = small
    assert summary["rows_in"] == summary["rows_out"]
    assert json.loads((out / "summary.json").read_text()) == summary
    assert set(summary["faces"]) == {"affectnet", "afewva", "ckplus", "rafdb", "emotic"}
    assert sum(summary["faces"].values()) >= 64


def test_a_folder_of_somebody_else_is_left_alone(tmp_path):
    (tmp_path / "holiday.jpg").write_bytes(b"mine")
    with pytest.raises(OutputUseError, match="not an output of prep"):
        render(tmp_path, SMALL, workers=1)
    assert [path.name for path in tmp_path.iterdir()] == ["holiday.jpg"]
