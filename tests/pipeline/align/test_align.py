"""`align` over a whole tree: what it writes, what it refuses, and what happens when a picture kills its process."""

import os
import sys
import textwrap

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest

from pipeline.align.part import Part, align_part
from pipeline.align.stage import run as align
from pipeline.align.stage import summarize
from pipeline.core.errors import LineageError, ParamsError
from pipeline.core.parallel.units import Units
from pipeline.core.schema import DETECTIONS, FACES
from pipeline.core.tables import part_name, read_table
from pipeline.geometry.similarity import template_points
from pipeline.images import decode_face
from tests.pipeline.align.inputs import (
    PORTRAIT_POINTS,
    align_params,
    ingested,
    jpeg,
    portrait,
    tree_digest,
    turned,
    write_tree,
)


def _pictures() -> dict[str, bytes]:
    """Two classes: turned portraits, a grey one, a large one, and four pictures that cannot be aligned."""
    pictures = {
        f"happy/turned_{angle + 50:02d}.jpg": jpeg(turned(portrait(), PORTRAIT_POINTS, angle, 1.3, (40, 90))[0])
        for angle in range(-30, 31, 15)
    }
    whole = jpeg(portrait())
    return pictures | {
        "sad/grey.jpg": jpeg(cv2.cvtColor(portrait(), cv2.COLOR_RGB2GRAY)),
        "sad/large.jpg": jpeg(cv2.resize(portrait(), (2048, 2048), interpolation=cv2.INTER_CUBIC)),
        "sad/cut.jpg": whole[: len(whole) // 2],
        "sad/text.jpg": b"<html>not found</html>",
        "sad/empty_wall.jpg": jpeg(np.full((300, 400, 3), 180, np.uint8)),
    }


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    root = tmp_path_factory.mktemp("tree")
    write_tree(root / "raw", _pictures())
    ingested(root / "raw", root / "samples")
    return root


@pytest.fixture(scope="module")
def aligned(tree):
    summary = align(tree / "samples", str(tree / "raw"), tree / "aligned", align_params(), workers=1)
    return summary, tree / "aligned"


def test_every_row_is_accounted_for(aligned):
    summary, out = aligned
    assert summary["rows_in"] == 10
    assert summary["rows_out"] == 7
    assert summary["rejected"] == {"no_face": 1, "not_an_image": 1, "truncated": 1}
    assert summary["classes"]["sad"] == {"missed": 3, "missed_share": 0.6, "rows": 5}
    assert summary["classes"]["happy"]["missed"] == 0
    assert sum(summary["found_by"].values()) == 7
    detections = read_table(out / "detections.parquet", schema=DETECTIONS).to_pylist()
    assert len(detections) == 10
    assert [row["sample_id"] for row in detections] == sorted(row["sample_id"] for row in detections)
    found = [row for row in detections if row["status"] == "aligned"]
    numbers = [name for name in DETECTIONS.names[7:] if name != "box_iou"]
    assert all(row[name] is not None for row in found for name in numbers)
    assert all(0.3 < row["brightness"] < 0.9 and row["sharpness"] > 5 for row in found)


def test_crops_show_the_face_at_the_template(aligned):
    _, out = aligned
    rows = {row["sample_id"].split("/")[-1]: row for row in read_table(out, schema=FACES).to_pylist()}
    target = template_points(224, 0.1)
    assert decode_face(rows["grey.jpg#0"]["image"]).shape == (224, 224)
    upright = decode_face(rows["large.jpg#0"]["image"]).astype(float)
    for name, row in rows.items():
        points = np.array(row["landmarks"]).reshape(5, 2)
        crop = decode_face(row["image"])
        assert crop.shape[:2] == (224, 224)
        if name.startswith("turned"):
            _, truth = turned(portrait(), PORTRAIT_POINTS, int(name[7:9]) - 50, 1.3, (40, 90))
            assert np.abs(points - truth).max() < 9
            # Not pixel for pixel, the landmarks differ a little; but the same face, upright, at the same place.
            inner = slice(60, 190)
            alike = np.corrcoef(crop[inner, inner].mean(axis=2).ravel(), upright[inner, inner].mean(axis=2).ravel())
            assert alike[0, 1] > 0.8
    large = np.array(rows["large.jpg#0"]["landmarks"]).reshape(5, 2)
    assert np.abs((large + 0.5) / 4 - 0.5 - PORTRAIT_POINTS).max() < 6
    assert target.shape == (5, 2)


def test_bytes_do_not_depend_on_workers_or_run(tree, aligned, monkeypatch):
    monkeypatch.setattr("pipeline.align.cut.MOST_ROWS", 3)
    digests = []
    for workers in (1, 3):
        out = tree / f"workers_{workers}"
        align(tree / "samples", str(tree / "raw"), out, align_params(), workers=workers)
        digests.append(tree_digest(out))
    assert digests[0] == digests[1]
    assert len([name for name in digests[0] if name.startswith("part-")]) == 4
    # Smaller parts are other companies for the same pictures: the rows must not notice.
    assert read_table(tree / "workers_3", schema=FACES).equals(read_table(aligned[1], schema=FACES))


def test_contract_and_lineage(aligned):
    from pipeline.core.lineage.snapshot import read_snapshot

    snapshot = read_snapshot(aligned[1])
    assert snapshot.contract["align"]["template"] == "arcface-112"
    assert snapshot.contract["align"]["size_px"] == 224
    assert {entry.path.split("/")[-1] for entry in snapshot.inputs} == {"samples", "raw"}


@pytest.mark.parametrize(
    ("threshold", "reason"),
    [
        ({"max_points_outside": -1}, "points_outside"),
        ({"max_picture_share": 0.001}, "larger_than_picture"),
    ],
)
def test_what_no_face_can_be_is_rejected_with_the_reason(tree, tmp_path, threshold, reason):
    rows = pq.read_metadata(tree / "samples" / "samples.parquet").num_rows
    table = tree / "samples" / "samples.parquet"
    align_part(Part(0, table, rows, str(tree / "raw"), "folder", align_params(**threshold)), tmp_path, Units())
    told = read_table(tmp_path / "detections.parquet").to_pylist()
    assert reason in {row["status"] for row in told}
    refused = [row for row in told if row["status"] == reason]
    assert refused
    assert all(row["face_score"] is not None for row in refused)
    aligned = [row["status"] for row in told].count("aligned")
    assert len(told) == rows
    assert len(read_table(tmp_path / "faces.parquet")) == aligned


def test_small_crops_of_large_pictures(tree, tmp_path):
    summary = align(tree / "samples", str(tree / "raw"), tmp_path / "out", align_params(size_px=48), workers=1)
    assert summary["rows_out"] == 7
    rows = {row["sample_id"].split("/")[-1]: row for row in read_table(tmp_path / "out").to_pylist()}
    large = np.array(rows["large.jpg#0"]["landmarks"]).reshape(5, 2)
    assert np.abs((large + 0.5) / 4 - 0.5 - PORTRAIT_POINTS).max() < 6
    assert decode_face(rows["large.jpg#0"]["image"]).shape == (48, 48, 3)


def test_a_moved_picture_is_named(tree, tmp_path):
    raw = tmp_path / "raw"
    write_tree(raw, {"sad/a.jpg": jpeg(portrait())})
    samples = ingested(raw, tmp_path / "samples")
    (raw / "sad" / "a.jpg").write_bytes(jpeg(portrait(), 90))
    with pytest.raises(LineageError, match=r"sad/a\.jpg: changed since it was ingested"):
        align(samples, str(raw), tmp_path / "out", align_params(), workers=1)
    assert not (tmp_path / "out").exists()


def test_unknown_detector(tree, tmp_path):
    with pytest.raises(ParamsError, match=r"align\.cascade: expected mtcnn, .* not 'haar'"):
        align(tree / "samples", str(tree / "raw"), tmp_path / "out", align_params(cascade=["haar"]), workers=1)


def test_a_picture_that_kills_its_process_is_rejected_and_the_rest_goes_on(tmp_path, monkeypatch):
    """A detector of the user's own that is killed on a black picture: tried again alone, then `crashed`."""
    (tmp_path / "deadly_detector.py").write_text(
        textwrap.dedent(
            """
            import os
            import signal

            from pipeline.align.detectors.detector import Faces


            class Deadly:
                name = "deadly"

                def detect(self, views):
                    with open(os.environ["DEADLY_LOG"], "a") as log:
                        log.write(f"{os.getpid()} {int(views[0].pixels.max())}\\n")
                    if views[0].pixels.max() == 0 and "SPARED" not in os.environ:
                        os.kill(os.getpid(), signal.SIGKILL)
                    return [Faces.none() for _ in views]
            """
        )
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("DEADLY_LOG", str(tmp_path / "log"))
    black, wall = jpeg(np.zeros((80, 80, 3), np.uint8)), jpeg(np.full((80, 80, 3), 99, np.uint8))
    write_tree(tmp_path / "raw", {"a/1.jpg": wall, "a/2.jpg": black, "b/3.jpg": jpeg(portrait()), "b/4.jpg": wall})
    samples = ingested(tmp_path / "raw", tmp_path / "samples")
    params = align_params(cascade=["mtcnn-coarse", "deadly_detector:Deadly"])
    summary = align(samples, str(tmp_path / "raw"), tmp_path / "out", params, workers=2)
    assert summary["rejected"] == {"crashed": 1, "no_face": 2}
    assert summary["rows_out"] == 1
    deaths = [line.split()[0] for line in (tmp_path / "log").read_text().splitlines() if line.endswith(" 0")]
    assert len(deaths) == len(set(deaths)) == 2  # once in its part, once alone
    assert os.getpid() not in map(int, deaths)
    assert "deadly_detector" not in sys.modules
    monkeypatch.setenv("SPARED", "1")
    align(samples, str(tmp_path / "raw"), tmp_path / "spared", params, workers=1)
    assert (tmp_path / "out" / part_name(0)).read_bytes() == (tmp_path / "spared" / part_name(0)).read_bytes()
    differing = [
        (one["status"], other["status"])
        for one, other in zip(_ledger(tmp_path / "out"), _ledger(tmp_path / "spared"), strict=True)
        if one != other
    ]
    assert differing == [("crashed", "no_face")]


def _ledger(folder):
    return read_table(folder / "detections.parquet").to_pylist()


def test_misses_by_class_count_every_label(tmp_path, tree):
    detections = read_table(tree / "aligned" / "detections.parquet")
    stated = summarize(detections)
    assert stated["missed"] == 3
    assert stated["rows"] == 10
