"""The demo's AFEW-VA: enough frames of every person, with high and low valence, as the reader finds them."""

import json
from collections import defaultdict

import pytest

from tests.pipeline.ingest.layouts import Read


@pytest.fixture(scope="module")
def people(truth):
    found = defaultdict(list)
    for row in truth:
        if row["dataset"] == "afewva":
            found[row["subject_id"]].append(row)
    return found


def test_every_person_has_two_dozen_frames_from_low_to_high(people):
    assert len(people) >= 2
    for rows in people.values():
        assert len(rows) == 24
        valence, arousal = ([row[name] for row in rows] for name in ("valence", "arousal"))
        assert max(valence) - min(valence) > 1
        assert max(arousal) - min(arousal) > 0.5
        assert len(set(valence)) >= 8


def test_the_reader_finds_what_was_rendered(demo, truth, tmp_path):
    found = Read(demo / "afewva", tmp_path / "samples")
    assert found.summary["format"] == "afew_va"
    assert not found.rejects
    read = {row["source_path"]: row for row in found.rows}
    true = {row["source_path"]: row for row in truth if row["dataset"] == "afewva"}
    assert set(read) == set(true)
    for path, row in true.items():
        names = ("valence", "arousal", "subject_id")
        assert [read[path][name] for name in names] == [row[name] for name in names]


def test_values_are_whole_numbers_from_minus_10_to_10(demo):
    for path in (demo / "afewva").glob("*/*.json"):
        for values in json.loads(path.read_text())["frames"].values():
            assert {float(values[name]).is_integer() for name in ("valence", "arousal")} == {True}
            assert all(-10 <= values[name] <= 10 for name in ("valence", "arousal"))
            assert len(values["landmarks"]) == 68
