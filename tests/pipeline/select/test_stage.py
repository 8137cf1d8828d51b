"""`select` on faces that `align` found in real pictures: what a gate leaves out, counted by hand from detections."""

import json
import shutil

import cv2
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from pipeline.align.stage import run as align
from pipeline.core.errors import TableError
from pipeline.core.lineage.identity import file_md5
from pipeline.core.lineage.snapshot import read_snapshot
from pipeline.core.lineage.walk import iter_nodes, walk
from pipeline.core.schema import DECIDED_SELECT, DETECTIONS, REJECTS, SELECTED
from pipeline.core.tables import read_table, rows_to_table, write_table
from pipeline.select.stage import count_classes, metrics
from pipeline.select.stage import run as select
from tests.pipeline.align.inputs import align_params, ingested, jpeg, portrait, write_tree
from tests.pipeline.select.test_gates import select_params


def _pictures():
    whole = portrait()
    return {
        "happy/plain.jpg": jpeg(whole),
        "happy/blurred.jpg": jpeg(cv2.GaussianBlur(whole, (0, 0), 4)),
        "sad/dark.jpg": jpeg((whole * 0.25).astype(np.uint8)),
        "sad/small.jpg": jpeg(cv2.resize(whole, (200, 200), interpolation=cv2.INTER_AREA)),
        "sad/cut.jpg": jpeg(whole[60:260, 200:400]),
        "sad/wall.jpg": jpeg(np.full((300, 400, 3), 180, np.uint8)),
    }


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("select")
    write_tree(root / "raw", _pictures())
    ingested(root / "raw", root / "samples")
    align(root / "samples", str(root / "raw"), root / "aligned", align_params(size_px=96), workers=1)
    return root


@pytest.fixture(scope="module")
def seen(made):
    """The detections as pandas reads them."""
    return pd.read_parquet(made / "aligned" / "detections.parquet")


GATES = [
    ("min_score", "face_score", "low_score"),
    ("min_face_px", "face_size_px", "small_face"),
    ("min_frontality", "frontality", "not_frontal"),
    ("min_sharpness", "sharpness", "blurred"),
    ("min_brightness", "brightness", "bad_exposure"),
    ("max_brightness", "brightness", "bad_exposure"),
    ("max_outside_share", "outside_share", "outside_picture"),
]


@pytest.mark.parametrize(("key", "column", "reason"), GATES)
def test_a_gate_leaves_out_what_a_count_by_hand_does(made, seen, tmp_path, key, column, reason):
    faces = seen[seen.status == "aligned"]
    assert len(faces) == 5
    limit = float((faces[column].min() + faces[column].max()) / 2)
    beyond = faces[column] > limit if key.startswith("max_") else faces[column] < limit
    summary = select(made / "aligned", tmp_path / "out", select_params(**{key: limit}))
    assert 0 < beyond.sum() < len(faces)
    kept = read_table(tmp_path / "out" / "selected.parquet", schema=SELECTED)["sample_id"].to_pylist()
    assert kept == faces.sample_id[~beyond].tolist()
    rejects = read_table(tmp_path / "out" / "rejects.parquet", schema=REJECTS).to_pylist()
    assert [row["sample_id"] for row in rejects] == faces.sample_id[beyond].tolist()
    assert {(row["stage"], row["reason"]) for row in rejects} == {("select", reason)}
    assert [row["source_path"] for row in rejects] == [key[4:-2] for key in faces.sample_id[beyond]]
    values = [f"{value:.3g}; the limit is {limit:g}" for value in faces[column][beyond]]
    assert [row["detail"] for row in rejects] == values
    assert (summary["rows_in"], summary["rows_out"]) == (5, len(kept))
    assert summary["rejected"] == {reason: beyond.sum()}


def test_as_shipped_every_face_that_was_found_is_kept(made, seen, tmp_path):
    summary = select(made / "aligned", tmp_path / "out", select_params())
    faces = pd.concat(pd.read_parquet(part) for part in sorted((made / "aligned").glob("part-*.parquet")))
    kept = pq.read_table(tmp_path / "out" / "selected.parquet")["sample_id"].to_pylist()
    assert kept == faces.sample_id.tolist() == seen.sample_id[seen.status == "aligned"].tolist()
    assert summary["rejected"] == {}


def test_counts_are_a_metric_by_reason_and_class(made, seen, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    limit = float(seen.brightness.min()) + 0.01
    params = select_params(min_brightness=limit)
    summary = select(made / "aligned", tmp_path / "out", params, counts=tmp_path / "runs" / "toy.json")
    written = json.loads((tmp_path / "runs" / "toy.json").read_text())
    assert written == metrics(summary)
    assert written == {
        "kept": 4,
        "rejected": {"bad_exposure": 1},
        "by_class": {
            "happy": {"kept": 2, "rejected": {}},
            "sad": {"kept": 2, "rejected": {"bad_exposure": 1}},
        },
    }
    beside = read_snapshot(tmp_path / "out").beside
    assert beside["runs/toy.json"]["md5"] == file_md5(tmp_path / "runs" / "toy.json")


def test_a_face_of_several_labels_counts_in_each():
    reasons = [None, None]
    found = count_classes([["joy", "fear"], ["fear"]], reasons)
    assert found == {"joy": {"kept": 1, "rejected": {}}, "fear": {"kept": 2, "rejected": {}}}


def test_the_detections_alone_are_read_and_named_as_what_it_was_made_from(made, tmp_path):
    """Pixels may be gone or changed: they are no input. The way back leads on through the folder that they lie in."""
    folder = tmp_path / "aligned"
    shutil.copytree(made / "aligned", folder)
    for part in folder.glob("part-*.parquet"):
        part.write_bytes(b"torn")
    select(folder, tmp_path / "out", select_params())
    (given,) = read_snapshot(tmp_path / "out").inputs
    assert given.path.endswith("aligned/detections.parquet")
    assert given.md5 == file_md5(made / "aligned" / "detections.parquet")
    assert given.snapshot == given.md5  # what else is in the folder may change without it
    stages = {node.stage for node in iter_nodes(walk(tmp_path / "out"))}
    assert stages == {"select", "align", "ingest", None}


def test_nothing_left_is_written_with_its_reasons(made, tmp_path):
    summary = select(made / "aligned", tmp_path / "out", select_params(min_sharpness=1e9))
    assert (summary["rows_out"], summary["rejected"]) == (0, {"blurred": 5})
    assert len(read_table(tmp_path / "out" / "rejects.parquet")) == 5


def test_without_a_face_or_a_table_it_says_what_to_run(made, tmp_path):
    with pytest.raises(TableError, match=r"detections\.parquet"):
        select(made / "samples", tmp_path / "out", select_params())
    rows = read_table(made / "aligned" / "detections.parquet").to_pylist()
    rows = [row for row in rows if row["status"] != "aligned"]
    (tmp_path / "empty").mkdir()
    write_table(tmp_path / "empty" / "detections.parquet", rows_to_table(rows, DETECTIONS))
    with pytest.raises(TableError, match="empty: holds no face; run align again and see its rejects"):
        select(tmp_path / "empty", tmp_path / "out", select_params())


def test_a_person_leaves_out_a_face_that_passes_every_gate(made, seen, tmp_path):
    faces = seen[seen.status == "aligned"].sample_id.tolist()
    rows = [
        {"sample_id": faces[0], "reason": "bad_picture", "detail": "says ann"},
        {"sample_id": "toy/gone.jpg#0", "reason": "withdrawn", "detail": ""},
    ]
    write_table(tmp_path / "decided.parquet", rows_to_table(rows, DECIDED_SELECT))
    summary = select(made / "aligned", tmp_path / "out", select_params(), decided=tmp_path / "decided.parquet")
    assert summary["rejected"] == {"bad_picture": 1}
    assert pq.read_table(tmp_path / "out" / "selected.parquet")["sample_id"].to_pylist() == faces[1:]
    assert [given.path.rpartition("/")[2] for given in read_snapshot(tmp_path / "out").inputs][1:] == [
        "decided.parquet"
    ]
