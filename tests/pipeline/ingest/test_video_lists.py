"""Lists of videos: each row is read as the frames of its video, with its label."""

import pytest

from pipeline.core.errors import SourceError
from pipeline.ingest.dataset_options import SettingError
from tests.pipeline.ingest.clip_layouts import put, video
from tests.pipeline.ingest.layouts import Read

WANTED = {("clips/v1.mp4", "happy"), ("clips/v2.mp4", "sad"), ("clips/v3.mp4", "happy")}


def labels(found):
    """Return (path, label) of every sample; each video has several frames."""
    said = [(row["source_path"], row["source_labels"][0]) for row in found.rows]
    assert all(said.count(one) > 1 for one in said)
    assert {row["sequence_id"] is None for row in found.rows} == {False}
    return set(said)


def videos(root, *names):
    for shade, name in enumerate(names):
        put(root, name, video(".mp4", shade * 40))


@pytest.mark.parametrize(
    ("name", "header", "row"),
    [
        ("labels.csv", "path,label", "clips/{0}.mp4,{1}"),
        ("labels.csv", "filename,label", "{0}.mp4,{1}"),
        ("labels.csv", "video,label", "{0},{1}"),
        ("labels.csv", "video,label", "{0}.mp4,{1}"),
        ("labels.csv", None, "clips/{0}.mp4,{1}"),
        ("labels.csv", "filename,happy,sad", "{0}.mp4,{2}"),
        ("labels.txt", None, "clips/{0}.mp4 {1}"),
    ],
)
def test_list_of_videos_is_read(name, header, row, tmp_path):
    videos(tmp_path / "raw", *(path for path, _ in sorted(WANTED)))
    given = (("v1", "happy", "1,0"), ("v2", "sad", "0,1"), ("v3", "happy", "1,0"))
    lines = [*([header] if header else []), *(row.format(*one) for one in given)]
    put(tmp_path / "raw", name, "\n".join(lines) + "\n")
    assert labels(Read(tmp_path / "raw", tmp_path / "out")) == WANTED


@pytest.mark.parametrize(
    "paths", [("0/v1.mp4", "1/v2.mp4"), ("train/0/v1.mp4", "train/1/v2.mp4")], ids=["classes", "splits"]
)
def test_numbered_folders_of_videos_are_asked_for(paths, tmp_path):
    videos(tmp_path / "raw", *paths)
    with pytest.raises(SettingError, match=r'which class is 0\?.*classes: \{"0": …, "1": …\}'):
        Read(tmp_path / "raw", tmp_path / "out")
    found = Read(tmp_path / "raw", tmp_path / "out", classes={"0": "sad", "1": "fear"})
    assert labels(found) == set(zip(paths, ("sad", "fear"), strict=True))


def test_codes_of_listed_videos_are_asked_for(tmp_path):
    videos(tmp_path / "raw", "clips/v1.mp4", "clips/v2.mp4")
    put(tmp_path / "raw", "labels.txt", "clips/v1.mp4 0\nclips/v2.mp4 1\n")
    with pytest.raises(SettingError, match=r"which class is 0\?"):
        Read(tmp_path / "raw", tmp_path / "out")
    found = Read(tmp_path / "raw", tmp_path / "out", classes={"0": "happy", "1": "sad"})
    assert labels(found) == {("clips/v1.mp4", "happy"), ("clips/v2.mp4", "sad")}


def test_rows_of_single_frames_are_no_list_of_videos(tmp_path):
    videos(tmp_path / "raw", "v1.mp4")
    put(tmp_path / "raw", "labels.csv", "video,frame,label\nv1,1,happy\nv1,2,sad\nv1,3,sad\n")
    with pytest.raises(SourceError, match="no known layout"):
        Read(tmp_path / "raw", tmp_path / "out")


def test_picture_precedes_a_video_of_its_name(tmp_path):
    videos(tmp_path / "raw", "v1.mp4")
    put(tmp_path / "raw", "v1.jpg")
    put(tmp_path / "raw", "labels.csv", "image,label\nv1,happy\n")
    assert Read(tmp_path / "raw", tmp_path / "out").labels() == {"v1.jpg": "happy"}
