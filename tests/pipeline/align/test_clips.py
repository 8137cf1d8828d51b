"""Faces in videos: found in order, the same for any number of workers, counted per video. The demo makes the videos."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.align.clips import count_clips
from pipeline.align.stage import run as align
from pipeline.core.emotions import Emotion
from pipeline.core.errors import LineageError
from pipeline.demo.clips import decode, plan_clip, write_video
from pipeline.demo.scene import take_all
from tests.pipeline.align.inputs import align_params
from tests.pipeline.ingest.layouts import Read


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    root = tmp_path_factory.mktemp("clips")
    plan = plan_clip("001", "actor", Emotion.anger, 3, 7, size=(320, 240))
    faces = [decode(photo) for photo in take_all(plan.shots)]
    empty = [np.full_like(faces[0], 90)] * 3
    write_video(root / "raw/Anger/a.mp4", faces, (0, 200, 400))
    write_video(root / "raw/Happy/b.mkv", [*empty, *faces], range(0, 1200, 200))
    Read(root / "raw", root / "samples")
    return root


def test_each_frame_is_aligned_and_misses_are_counted_per_video(samples):
    summaries = [
        align(samples / "samples", str(samples / "raw"), samples / f"out{n}", align_params(), workers=n) for n in (1, 2)
    ]
    faces = pq.read_table(samples / "out1/part-00000.parquet").to_pylist()
    assert [(row["source_path"], row["time_s"]) for row in faces] == [
        ("Anger/a.mp4", 0), ("Anger/a.mp4", 0.2), ("Anger/a.mp4", 0.4),
        ("Happy/b.mkv", 0.6), ("Happy/b.mkv", 0.8), ("Happy/b.mkv", 1.0),
    ]  # fmt: skip
    # The first face of a video is searched for in the whole frame, the next ones where it was.
    assert [row["attempt"] == "mtcnn-box" for row in faces] == [False, True, True] * 2
    assert {row["box_iou"] for row in faces} == {None}
    for first, second in zip(faces[:3], faces[3:], strict=True):
        np.testing.assert_allclose(first["landmarks"], second["landmarks"], atol=3)
    assert summaries[0]["clips"] == {
        "videos": 2, "without_a_face": 0, "worst": [{"path": "Happy/b.mkv", "missed": 3, "frames": 6}]
    }  # fmt: skip
    for name in ("part-00000.parquet", "detections.parquet"):
        assert (samples / "out1" / name).read_bytes() == (samples / "out2" / name).read_bytes()


def test_a_video_that_was_changed_since_is_refused(samples):
    path = samples / "raw/Anger/a.mp4"
    content = path.read_bytes()
    try:
        path.write_bytes(content[:-1] + b"x")
        with pytest.raises(LineageError, match=r"Anger/a\.mp4: changed since it was ingested"):
            align(samples / "samples", str(samples / "raw"), samples / "other", align_params(), workers=1)
    finally:
        path.write_bytes(content)


def test_without_videos_nothing_is_counted():
    table = pa.table({"source_path": ["a.jpg"], "status": ["aligned"]})
    assert count_clips(table) == {}
