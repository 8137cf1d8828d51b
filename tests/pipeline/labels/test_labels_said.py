"""What harmonizing says to the letter, and its bounds tried at their very values, on a taxonomy written here."""

import math

import pytest

from pipeline.core.emotions import CLASSES
from pipeline.core.errors import DataError, TableError
from pipeline.core.lineage.snapshot import read_snapshot
from pipeline.core.params import HarmonizeParams
from pipeline.core.schema import Reason
from pipeline.core.tables import read_table
from pipeline.labels.policy import ClassLabel, Harmonizer, RejectedLabel, UnknownLabelError
from pipeline.labels.stage import run as harmonize
from pipeline.labels.taxonomy import Taxonomy, read_taxonomy
from pipeline.labels.votes import majority, probability
from tests.pipeline.labels.test_stage import PARAMS, labelled, make_samples

HERE = {
    "name": "toy", "version": 3, "sources": {"us": "this test"},
    "labels": {
        "glad": {"class": "happy", "source": "us", "also": ["gl-ad 2"]}, "cross": {"class": "anger", "source": "us"},
        "bitter": {"weights": {"sad": 0.75, "anger": 0.25}, "source": "us"},
        "torn": {"weights": {"sad": 0.5, "happy": 0.5}, "head": "happy", "source": "us"},
        "level": {"weights": {"sad": 0.5, "happy": 0.5}, "source": "us"},
        "blank": {"reject": "no face", "source": "us"},
    },
    "votes": "one", "priority": ["anger", "happy"],
    "affect": {"happy": {"valence": [-0.25, 1.0], "arousal": [-0.5, 0.5]}},
}  # fmt: skip


def choose(labels, chosen=None, changes=None, affect=None, **policies):
    given = {"votes": "majority", "compound": "dominant", "multi_label": "vote", "affect": "check"} | policies
    harmonizer = Harmonizer(Taxonomy.model_validate(HERE | (changes or {})), HarmonizeParams(classes=None, **given))
    return harmonizer.choose(labels, chosen, affect or {})


def chosen(**shares):
    top = max(shares, key=lambda name: shares[name])
    return ClassLabel(CLASSES.index(top), tuple(shares.get(name, 0.0) for name in CLASSES))


@pytest.mark.parametrize(
    ("labels", "votes", "policies", "reason", "detail"),
    [
        ([], None, {}, "unlabelled", "no label"),
        (["blank"], None, {}, "not_an_emotion", "blank: no face"),
        (["bitter"], None, {"compound": "reject"}, "mixed_emotions", "bitter: sad 0.75, anger 0.25"),
        (["glad", "cross", "blank"], [3, 3, 0], {}, "no_majority", "glad 3, cross 3: none has more than half"),
        (["glad", "cross"], [1, 1], {"votes": "probability"}, "no_majority",
         "glad 1, cross 1: no three names have more than half"),
        (["glad", "blank"], [2, 3], {"votes": "distribution"}, "not_an_emotion",
         "glad 2, blank 3: most votes are for none of the eight"),
        (["blank", "blank"], None, {}, "not_an_emotion", "blank, blank: none of them stands for one of the eight"),
        (["glad", "cross"], None, {}, "mixed_emotions", "glad, cross: happy 1, anger 1"),
    ],
)  # fmt: skip
def test_why_a_row_has_no_class(labels, votes, policies, reason, detail):
    assert choose(labels, votes, **policies) == RejectedLabel(Reason(reason), detail)


def test_level_votes_for_a_class_and_for_none_are_the_class():
    assert choose(["glad", "blank"], [3, 3], votes="distribution") == chosen(happy=1.0)


def test_votes_weigh_the_parts_of_a_compound():
    found = choose(["bitter", "glad"], [4, 2], votes="distribution")
    assert found.probs == pytest.approx(chosen(sad=3 / 6, anger=1 / 6, happy=2 / 6).probs)
    several = {"votes": "several"}
    assert choose(["bitter", "cross"], [4, 2], several) == RejectedLabel(
        Reason.mixed_emotions, "bitter, cross: sad 3, anger 3"
    )
    assert choose(["bitter", "cross"], [4, 1], several) == chosen(sad=1.0)
    assert choose(["bitter", "cross"], [4, 0], several) == chosen(sad=1.0)  # nobody chose the other
    assert choose(["cross", "glad"], [1, 9], several, multi_label="priority") == chosen(anger=1.0)
    assert isinstance(
        choose(["bitter", "level"], [1, 1], {"votes": "several", "priority": []}, multi_label="priority"), RejectedLabel
    )


@pytest.mark.parametrize(
    ("label", "mixed", "expected"),
    [
        ("bitter", "dominant", {"sad": 1.0}), ("torn", "dominant", {"happy": 1.0}), ("level", "dominant", {"sad": 1.0}),
        ("glad", "reject", {"happy": 1.0}), ("bitter", "distribution", {"sad": 0.75, "anger": 0.25}),
    ],
)  # fmt: skip
def test_a_compound_is_its_larger_part_or_its_head(label, mixed, expected):
    assert choose([label], compound=mixed) == chosen(**expected)


def test_a_level_compound_keeps_its_shares_under_its_head():
    found = choose(["torn"], compound="distribution")
    assert (found.label.name, found.probs) == ("happy", chosen(sad=0.5, happy=0.5).probs)


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [("valence", -0.25, True), ("valence", -0.26, False), ("valence", 1.0, True), ("arousal", -0.5, True),
     ("arousal", -0.51, False), ("arousal", 0.5, True), ("arousal", 0.51, False), ("arousal", None, True),
     ("dominance", -1.0, True)],
)  # fmt: skip
def test_affect_contradicts_from_just_beyond_its_bound(name, value, allowed):
    found = choose(["glad"], affect={name: value})
    if allowed:
        assert found == chosen(happy=1.0)
    else:
        low, high = HERE["affect"]["happy"][name]
        expected = f"happy with {name} {value:.2f}, outside {low} to {high}"
        assert found == RejectedLabel(Reason.affect_contradicts, expected)
    assert choose(["cross"], affect={name: value}) == chosen(anger=1.0)  # it has no bounds


def test_an_unknown_name_and_votes_that_do_not_fit_say_what_is_expected():
    known = (
        "it knows glad, cross, bitter, torn, level, blank; "
        "`classes` in params.yaml or pipeline/labels/taxonomies/toy.yaml takes more"
    )
    for label, more in (
        ("odd", ""),
        ("-7 ", "; classes are named, never numbered: `classes` in params.yaml says what codes mean"),
    ):
        with pytest.raises(UnknownLabelError) as caught:
            choose([label])
        assert str(caught.value) == f"label {label!r} is unknown to taxonomy toy version 3{more}; {known}"
    with pytest.raises(UnknownLabelError, match=r"^1 votes for 2 names; there is one vote a name$"):
        choose(["glad", "cross"], [1.0])
    for vote in (-0.5, math.inf, math.nan):
        with pytest.raises(UnknownLabelError, match=r"^votes \[1\.0, .*\]; a vote is a number of at least 0$"):
            choose(["glad", "cross"], [1.0, vote])
    assert choose(["glad", "cross"], [2.0, 0.0]) == chosen(happy=1.0)


@pytest.mark.parametrize(
    ("votes", "best"),
    [([2, 2], None), ([3, 2], 0), ([1, 2], 1), ([1, 1], None), ([2, 5, 2], 1), ([2, 4, 2], None), ([1.5, 1], 0)],
)
def test_a_majority_is_more_than_half_of_what_is_no_slip(votes, best):
    assert majority(votes) == best


@pytest.mark.parametrize(
    ("votes", "none", "taken"),
    [
        ([6, 2, 2], [0, 0, 0], [6, 2, 2]), ([7.5, 2.5, 0], [0, 0, 0], [7.5, 0, 0]), ([4, 3, 2, 2], [0] * 4, None),
        ([5, 3, 2, 2], [0] * 4, None), ([5, 4, 2, 1], [0] * 4, [5, 4, 0, 0]), ([5, 2, 3], [0, 1, 0], [5, 0, 3]),
        ([4, 4, 0], [0, 1, 0], None), ([5, 4, 0], [0, 1, 0], [5, 0, 0]), ([2, 6, 2], [0, 1, 0], [0, 6, 0]),
        ([3, 3, 3, 3], [0, 0, 1, 0], None), ([4, 4, 4], [0, 0, 1], [4, 4, 0]), ([4, 4, 4], [1, 0, 0], None),
    ],
)  # fmt: skip
def test_names_are_taken_until_three_quarters_or_three(votes, none, taken):
    assert probability(votes, [bool(one) for one in none]) == taken


def test_the_stage_counts_what_was_checked_and_by_which_split(tmp_path):
    rows = [labelled("Happiness", valence=1.0, arousal=None), labelled("anger", valence=-1.0, arousal=1.0)]
    rows += [labelled("Neutral", arousal=0.0), labelled("fear", dominance=-1.0), labelled("sad", source_split=None)]
    src = make_samples(tmp_path / "samples", "rafdb", rows)
    done = harmonize(src, tmp_path / "labels", PARAMS)
    assert done["affect_checked"] == 3
    assert done["format"] == "rafdb"
    assert done["taxonomy"] == read_taxonomy("rafdb").contract() | {"name": "rafdb"}
    assert list(done["splits"]) == ["none", "test", "train"]
    assert done["splits"]["none"] == dict.fromkeys(CLASSES, 0) | {"sad": 1}
    assert done["classes"]["sad"] == 1
    assert (done["rows_in"], done["rows_out"]) == (5, 5)
    snapshot = read_snapshot(tmp_path / "labels")
    assert (snapshot.stage, snapshot.tools, snapshot.params) == ("harmonize", {}, PARAMS.plain())
    assert [entry.path.rpartition("/")[2] for entry in snapshot.inputs] == ["samples"]
    assert read_table(tmp_path / "labels/labels.parquet")["label_probs"].to_pylist()[0][4] == 1.0
    ignored = harmonize(src, tmp_path / "ignored", PARAMS.model_copy(update={"affect": "ignore"}))
    assert ignored["affect_checked"] == 0


@pytest.mark.parametrize(("name", "value"), [("valence", 1.001), ("arousal", -1.001), ("dominance", float("nan"))])
def test_a_value_beyond_its_range_names_the_row(tmp_path, name, value):
    src = make_samples(tmp_path / "samples", "rafdb", [labelled("Happiness", **{name: value})])
    with pytest.raises(DataError, match=rf"samples\.parquet: row toy/0000\.jpg#0: {name} .* is not in \[-1, 1\]$"):
        harmonize(src, tmp_path / "labels", PARAMS)


def test_errors_of_the_stage_name_file_dataset_and_row(tmp_path):
    src = make_samples(tmp_path / "samples", "rafdb", [labelled("odd")])
    with pytest.raises(
        DataError, match=r"samples\.parquet: dataset toy, row toy/0000\.jpg#0: label 'odd' is unknown to"
    ):
        harmonize(src, tmp_path / "labels", PARAMS)
    (src / "summary.json").write_text("{}")
    with pytest.raises(TableError, match=r"summary\.json: no key 'format'; run ingest again$"):
        harmonize(src, tmp_path / "labels", PARAMS)
    (src / "summary.json").unlink()
    with pytest.raises(
        TableError, match=r"summary\.json: cannot be read: No such file or directory; run ingest first$"
    ):
        harmonize(src, tmp_path / "labels", PARAMS)
