"""`decide`: what each stage is told, what a vote settles, and what is gone; and what the stages make of it."""

import json

import pytest

from pipeline.core.lineage.identity import file_md5
from pipeline.core.lineage.snapshot import read_snapshot
from pipeline.core.lineage.walk import decisions_behind, iter_nodes, walk
from pipeline.core.params import DecideParams
from pipeline.core.schema import MANIFEST, SAMPLES
from pipeline.core.stage_output import Reject, stage_output
from pipeline.core.tables import read_table, rows_to_table
from pipeline.decisions.book import BookError, write_book
from pipeline.decisions.decision import Decision, Kind
from pipeline.decisions.forgotten import Digest, add_digests
from pipeline.decisions.stage import metrics
from pipeline.decisions.stage import run as decide
from pipeline.labels.stage import run as harmonize
from tests.pipeline.labels.test_stage import PARAMS as HARMONIZE

PARAMS = DecideParams(conflicts="majority", undecided="keep")
LABELS = ("happiness", "fear", "surprise", "sadness", "anger", "disgust", "neutral", "happiness")


@pytest.fixture
def samples(tmp_path):
    """Eight samples of `toy`, and a picture that ingest rejected."""
    folder = tmp_path / "samples"
    with stage_output(folder, stage="ingest", sources=[], params={}) as output:
        rows = [
            {"sample_id": f"toy/{number}.jpg#0", "dataset": "toy", "source_path": f"{number}.jpg", "face_number": 0}
            | {"source_md5": "0" * 32, "source_labels": [name]}
            for number, name in enumerate(LABELS)
        ]
        output.write_table("samples.parquet", rows_to_table(rows, SAMPLES))
        files = [{"path": f"in/{number}.jpg", "size": 1, "md5": "0" * 32} for number in range(9)]
        output.write_table("manifest.parquet", rows_to_table(files, MANIFEST))
        output.reject([Reject("toy/x.jpg#0", "toy", "missing_file", "", "x.jpg")])
        output.finish(rows_in=9, rows_out=8, dataset="toy", format="rafdb")
    return folder


def said(number, kind, value="", by="ann"):
    name = number if isinstance(number, str) else f"toy/{number}.jpg#0"
    return Decision(name, Kind(kind), value, by)


def decided(samples, decisions, params=PARAMS, **more):
    root = samples.parent
    write_book(root / "toy.csv", decisions)
    return decide(root / "toy.csv", samples, root / "out", params, dataset="toy", **more)


def table(samples, name):
    return read_table(samples.parent / "out" / f"{name}.parquet").to_pylist()


def test_each_stage_is_told_what_it_acts_on(samples):
    summary = decided(
        samples,
        [
            said(0, "right"),
            said(1, "other_label", "surprise"),
            said(2, "wrong_face", "1 2 30 40"),
            said(3, "wrong_face"),
            said(4, "not_a_face"),
            said(5, "bad_picture"),
            said(6, "same_person", "toy/0.jpg#0"),
            said(7, "withdrawn"),
            said(7, "other_label", "sad", "ben"),
        ],
    )
    assert table(samples, "align") == [
        {"sample_id": "toy/2.jpg#0", "withdrawn": False, "place": [1, 2, 30, 40]},
        {"sample_id": "toy/7.jpg#0", "withdrawn": True, "place": None},
    ]
    assert table(samples, "harmonize") == [
        {"sample_id": "toy/1.jpg#0", "withdrawn": False, "label": 7},
        {"sample_id": "toy/7.jpg#0", "withdrawn": True, "label": None},
    ]
    reasons = {row["sample_id"][4]: row["reason"] for row in table(samples, "select")}
    assert reasons == {"3": "wrong_face", "4": "not_a_face", "5": "bad_picture", "7": "withdrawn"}
    pair = {"first": "toy/0.jpg#0", "second": "toy/6.jpg#0", "kind": "same_person"}
    assert table(samples, "split") == [pair]
    assert summary["by_kind"] == dict.fromkeys(map(str, Kind), 1) | {
        "other_label": 2, "wrong_face": 2, "unsure": 0, "same_picture": 0,
    }  # fmt: skip
    assert summary["by_person"] == {"ann": 8, "ben": 1}
    assert {name for name, count in summary["by_label"].items() if count} == {"surprise"}


@pytest.mark.parametrize(
    ("votes", "conflicts", "label"),
    [
        (["fear", "fear", "sad"], "majority", 3),
        (["fear", "fear", "sad"], "unanimous", None),
        (["fear", "sad"], "majority", None),
        (["fear", "fear"], "unanimous", 3),
        (["fear", None], "unanimous", 3),
        ([None, None], "majority", None),
    ],
)
def test_a_vote_settles_or_leaves_the_sample_as_it_is(samples, votes, conflicts, label):
    people = ("ann", "ben", "cy")
    lines = [
        said(0, "other_label" if vote else "unsure", vote or "", by) for by, vote in zip(people, votes, strict=False)
    ]
    params = DecideParams(conflicts=conflicts, undecided="reject")
    summary = decided(samples, lines, params)
    assert [row["label"] for row in table(samples, "harmonize")] == ([] if label is None else [label])
    # Who is undecided is left out, because the parameter says so.
    assert [row["reason"] for row in table(samples, "select")] == (["undecided"] if label is None else [])
    assert summary["disputed"] + summary["unsure"] == (label is None)


@pytest.mark.parametrize(
    ("votes", "conflicts", "place", "left_out"),
    [
        (["5 6", "7 8"], "unanimous", [5.0, 6.0], []),
        (["5 6", "", ""], "majority", None, ["wrong_face"]),
        (["", "5 6", "7 8"], "majority", [5.0, 6.0], []),
        (["5 6", ""], "majority", None, ["undecided"]),
        (["", "5 6", "7 8"], "unanimous", None, ["undecided"]),
    ],
)
def test_who_points_at_the_right_face_contradicts_who_sees_none(samples, votes, conflicts, place, left_out):
    people = ("ann", "ben", "cy")
    lines = [said(0, "wrong_face", vote, by) for by, vote in zip(people, votes, strict=False)]
    decided(samples, lines, DecideParams(conflicts=conflicts, undecided="reject"))
    assert [row["place"] for row in table(samples, "align")] == ([] if place is None else [place])
    assert [row["reason"] for row in table(samples, "select")] == left_out


def test_what_does_not_concern_a_stage_leaves_its_bytes(samples):
    """DVC then leaves `align` alone after a changed label, and its lineage still leads here."""
    decided(samples, [said(2, "wrong_face", "5 6")])
    out = samples.parent / "out"
    before = {name: file_md5(out / f"{name}.parquet") for name in ("align", "harmonize", "select", "split")}
    harmonize(samples, samples.parent / "labels", HARMONIZE, decided=out / "harmonize.parquet")
    decided(samples, [said(2, "wrong_face", "5 6"), said(4, "not_a_face")])
    after = {name: file_md5(out / f"{name}.parquet") for name in before}
    assert {name for name in before if before[name] != after[name]} == {"select"}
    nodes = {node.path.rpartition("/")[2] for node in iter_nodes(walk(samples.parent / "labels"))}
    assert {"harmonize.parquet", "toy.csv"} <= nodes


def test_harmonize_takes_the_decided_class_and_drops_the_withdrawn(samples):
    decided(samples, [said(1, "other_label", "surprise"), said(7, "withdrawn"), said(0, "right")])
    out = samples.parent
    summary = harmonize(samples, out / "labels", HARMONIZE, decided=out / "out" / "harmonize.parquet")
    rows = {row["sample_id"]: row for row in read_table(out / "labels" / "labels.parquet").to_pylist()}
    assert (rows["toy/1.jpg#0"]["label"], rows["toy/1.jpg#0"]["label_probs"][7]) == (7, 1.0)
    assert rows["toy/0.jpg#0"]["label"] == 4
    assert "toy/7.jpg#0" not in rows
    assert (summary["rejected"], summary["relabelled"]) == ({"withdrawn": 1}, {"fear": {"surprise": 1}})
    assert decisions_behind(out / "labels") == {
        "toy": {"by_kind": {"right": 1, "other_label": 1, "withdrawn": 1}, "by_person": {"ann": 3}}
    }
    named = [given.path.rpartition("/")[2] for given in read_snapshot(out / "labels").inputs]
    assert named == ["samples", "harmonize.parquet"]


def test_a_misspelt_sample_is_an_error_and_a_gone_one_is_counted(samples, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("toy/11.jpg#0", "toyy/1.jpg#0", "toy/1.jpg"):
        with pytest.raises(BookError, match=r"toy\.csv:2: an unknown sample .*; did you mean toy/1\.jpg#0\?"):
            decided(samples, [said(name, "right")])
    with pytest.raises(BookError, match=r"a withdrawal of an unknown sample"):
        decided(samples, [said("toy/gone.jpg#0", "withdrawn")])
    add_digests(tmp_path / "forgotten.csv", [Digest("toy/gone.jpg#0", "picture", "0" * 32)])
    gone = [said("toy/x.jpg#0", "right"), said("toy/8.jpg#0", "unsure"), said("toy/gone.jpg#0", "withdrawn")]
    more = {"forgotten": tmp_path / "forgotten.csv", "counts": tmp_path / "runs/toy.json"}
    summary = decided(samples, [*gone, said(0, "right")], **more)
    assert (summary["rows_in"], summary["rows_out"], summary["rejected"]) == (4, 1, {"gone": 3})
    assert json.loads((tmp_path / "runs/toy.json").read_text()) == metrics(summary)
    assert metrics(summary)["gone"] == 3


def test_without_a_file_nothing_is_decided(samples):
    root = samples.parent
    summary = decide(root / "none.csv", samples, root / "out", PARAMS, dataset="toy")
    assert (summary["rows_in"], sum(summary["by_kind"].values())) == (0, 0)
    assert [table(samples, name) for name in ("align", "harmonize", "select", "split")] == [[], [], [], []]
