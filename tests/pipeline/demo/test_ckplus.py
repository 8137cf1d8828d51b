"""The CK+ tree, parsed here from the description of the layout and from nothing in the project."""

from collections import defaultdict

import cv2
import numpy as np
import pytest

NAMES = ["neutral", "anger", "contempt", "disgust", "fear", "happy", "sad", "surprise"]


@pytest.fixture(scope="module")
def sequences(demo):
    """(subject, sequence) -> frames in order."""
    found = defaultdict(list)
    for path in sorted((demo / "ckplus" / "cohn-kanade-images").rglob("*.png")):
        subject, sequence, frame = path.stem.split("_")
        assert path.parent.parent.name == subject
        assert path.parent.name == sequence
        assert len(frame) == 8
        found[subject, sequence].append(path)
    return found


@pytest.fixture(scope="module")
def labels(demo):
    """(subject, sequence) -> class, or "" for an empty file."""
    found = {}
    for path in (demo / "ckplus" / "Emotion").rglob("*_emotion.txt"):
        subject, sequence, frame, _ = path.stem.split("_")
        text = path.read_text(encoding="ascii")
        found[subject, sequence] = (int(frame), NAMES[int(float(text))] if text.strip() else "")
    return found


def test_frames_count_from_one_without_a_gap(sequences):
    for frames in sequences.values():
        numbers = [int(path.stem.rpartition("_")[2]) for path in frames]
        assert numbers == list(range(1, len(frames) + 1))
        assert len(frames) >= 4


def test_seven_emotions_are_shown_and_neutral_is_not_a_label(labels):
    assert {name for _, name in labels.values()} == {*NAMES[1:], ""}


def test_one_sequence_has_no_label_file_and_one_an_empty_one(demo, sequences, labels):
    missing = set(sequences) - set(labels)
    assert len(missing) == 1
    subject, sequence = missing.pop()
    assert (demo / "ckplus" / "Emotion" / subject / sequence).is_dir()
    assert [name for _, name in labels.values()].count("") == 1


def test_the_label_is_that_of_the_peak(sequences, labels, truth):
    by_path = {row["source_path"]: row for row in truth if row["dataset"] == "ckplus"}
    for key, (frame, name) in labels.items():
        peak = sequences[key][-1]
        assert int(peak.stem.rpartition("_")[2]) == frame
        rows = [by_path[path.relative_to(path.parents[3]).as_posix()] for path in sequences[key]]
        assert [row["label"] for row in rows[-3:]] == [name or None] * 3
        assert rows[0]["label"] == ("neutral" if name else None)


def test_the_face_moves_from_neutral_to_its_peak(sequences):
    for frames in sequences.values():
        first, last, next_to_last = (cv2.imread(str(frames[number]), cv2.IMREAD_GRAYSCALE) for number in (0, -1, -2))
        moved = cv2.absdiff(first, last).astype(float).mean()
        assert moved > 2 * cv2.absdiff(next_to_last, last).astype(float).mean()


def test_pictures_are_640_by_490_and_most_are_grey(sequences):
    channels = []
    for frames in sequences.values():
        pixels = cv2.imread(str(frames[0]), cv2.IMREAD_UNCHANGED)
        assert pixels.shape[:2] == (490, 640)
        channels.append(pixels.ndim)
    assert 0 < channels.count(3) < len(channels) / 2


def test_landmarks_lie_beside_every_frame_and_agree_with_the_truth(demo, sequences, truth):
    by_path = {row["source_path"]: row for row in truth if row["dataset"] == "ckplus"}
    for frames in sequences.values():
        for path in frames:
            subject, sequence, _ = path.stem.split("_")
            file = demo / "ckplus" / "Landmarks" / subject / sequence / f"{path.stem}_landmarks.txt"
            points = np.loadtxt(file)
            assert points.shape == (68, 2)
            five = [points[36:42].mean(0), points[42:48].mean(0), points[30], points[48], points[54]]
            true = by_path[path.relative_to(path.parents[3]).as_posix()]["landmarks"]
            np.testing.assert_allclose(np.ravel(five), true, atol=1e-3)


def test_facs_holds_action_units_with_intensities_from_0_to_5(demo, sequences):
    files = list((demo / "ckplus" / "FACS").rglob("*_facs.txt"))
    assert len(files) == len(sequences)
    for file in files:
        units = np.loadtxt(file, ndmin=2)
        assert units.shape[1] == 2
        assert set(units[:, 0]) <= {1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17, 20, 23, 25, 26}
        assert ((units[:, 1] >= 0) & (units[:, 1] <= 5)).all()


def test_several_subjects_show_several_sequences(sequences):
    subjects = {subject for subject, _ in sequences}
    assert len(subjects) >= 4
    assert len(sequences) > len(subjects)


def test_litter_lies_about(demo):
    assert list((demo / "ckplus").rglob(".DS_Store"))
