"""What a split says of itself to the letter: certificate, reasons of what is left out, and errors."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from pipeline.core.errors import DataError, ParamsError
from pipeline.core.tables import read_table
from pipeline.split import check
from pipeline.split import stage as build
from pipeline.split.certificate import build_certificate, crossing
from pipeline.split.groups import Groups
from pipeline.split.links import Linked
from pipeline.split.official import Place, build_places
from pipeline.split.people import read_rows
from pipeline.split.shares import build_shares
from pipeline.split.stage import Assigned
from pipeline.split.stage import run as split

from .conftest import sample
from .hand import LINKED, NONE, ROWS, make_rows, places


def test_the_certificate_counts_groups_and_says_what_was_dropped(params):
    groups = Groups(np.array([0, 0, 1, 0, 2, 1]), ["g0", "g1", "g2"], ["0", "1", "2"])
    given = places(
        [Place.train, Place.test, Place.free, Place.test, Place.test, Place.outside], [5, 1, 5], dropped=(0,)
    )
    row_splits = np.array(["", "test", "train", "test", "test", ""])
    found = build_certificate(ROWS, LINKED, groups, given, row_splits, params)
    assert found["largest_group"] == 2
    assert found["samples"] == {"test": 3, "train": 1}
    assert found["counts"] == {
        "groups": 3, "subjects": 2, "sequences": 1, "files": 4, "pictures": 3, "duplicates": None, "identities": None,
        "decided": 0,
    }  # fmt: skip
    assert found["crossing"] == {
        "groups": 0, "subjects": 0, "sequences": 0, "files": 0, "pictures": 0, "duplicates": None, "identities": None,
        "decided": 0,
    }  # fmt: skip
    assert found["resolved"] == {
        "groups": 1, "rows_dropped": 1, "by_class": {"a": {"train": {"anger": {"dropped": 1, "of": 1, "share": 1.0}}}},
        "first_cases": [{"group_id": "g0", "rows_dropped": 1, "kept": ["a test", "b test"]}],
    }  # fmt: skip
    assert found["shares"] == {
        "a": {"anger": {"rows": 1, "train": 0, "val": 0, "test": 1},
              "fear": {"rows": 1, "train": 1, "val": 0, "test": 0}},
        "b": {"happy": {"rows": 2, "train": 0, "val": 0, "test": 1}},
    }  # fmt: skip
    assert found["shares"] == build_shares(ROWS, row_splits, np.array([1, 2, 3, 4]))
    assert found["policy"] == {
        "spanning_groups": "test is left whole, then validation; the rest of the group is dropped",
        "same_picture": "none", "changes_looked_for": [], "same_person": "subject_id",
    }  # fmt: skip
    with_dlib = params.model_copy(update={"identities": "dlib", "duplicates": "identical"})
    sought = build_certificate(ROWS, LINKED, groups, given, row_splits, with_dlib)
    assert sought["policy"]["same_person"] == "subject_id, dlib descriptor"
    # Rows 2 and 3 are one person, one trains and the other is tested.
    assert (sought["crossing"]["identities"], sought["counts"]["identities"]) == (1, 1)
    assert (sought["crossing"]["duplicates"], sought["counts"]["duplicates"]) == (0, 1)
    nothing = build_certificate(ROWS, LINKED, groups, given, np.full(6, ""), params)
    assert (nothing["largest_group"], nothing["samples"]) == (0, {})
    assert crossing(["a", "a", "b"], ["val", "test", "val"]) == {"a": ["test", "val"]}


def test_only_the_first_hundred_cases_are_shown(params):
    rows = make_rows([("a", f"{n:03d}", 0, None, None, None, None) for n in range(101)])
    names = [f"g{n:03d}" for n in range(101)]
    given = places([Place.train] * 101, [5] * 101, dropped=range(101))
    found = build_certificate(rows, Linked(NONE, NONE, None), Groups(np.arange(101), names, names), given,
                              np.full(101, ""), params)["resolved"]  # fmt: skip
    assert (found["groups"], found["rows_dropped"]) == (101, 101)
    assert [case["group_id"] for case in found["first_cases"]] == names[:100]


def test_a_dropped_row_says_why():
    groups = Groups(np.arange(6), [f"g{n}" for n in range(6)], [])
    given = places([1, 1, 1, 0, 0, 0], [1] * 6, dropped=(0, 1), kept=[0, 3, 0, 0, 0, 0])
    given.roles["a"] = "train"
    assigned = Assigned(np.array(["test", "val", "train", "train", "train", "train"]), np.zeros(6))
    found = build._rejects(ROWS, groups, given, assigned, np.array([0, 0, 1, 0, 0, 0], bool))
    assert [(reject.sample_id, reject.dataset, str(reject.reason), reject.detail) for reject in found] == [
        ("a/0#0", "a", "group_spans_splits", "g0 is in test, which is kept whole"),
        ("a/1#0", "a", "group_spans_splits", "was in train, but g1 is in val, which is kept whole"),
        ("a/2#0", "a", "contradicted", "a copy of this picture has another label (duplicates.parquet); "
                                       "split.contradictions: keep takes all"),
        ("b/0#0", "b", "outside_role", "its dataset is only tested, on its official test part; split.held_out: all "
                                       "takes every row"),
        ("b/1#0", "b", "outside_role", "its dataset is only tested, on its official test part; split.held_out: all "
                                       "takes every row"),
    ]  # fmt: skip


def test_what_is_missing_or_asked_wrongly_is_said(params, tmp_path):
    one = {"a": tmp_path}
    for given, what in (
        (({}, one, {"a": "both"}), "aligned faces"),
        ((one, {}, {"a": "both"}), "labels"),
        ((one, one, {}), "role"),
    ):
        with pytest.raises(DataError, match=rf"^a: no {what} given; every dataset needs faces, labels and a role$"):
            build._check(*given, params)
    with pytest.raises(DataError, match=r"^no dataset to split; params\.yaml lists them under datasets$"):
        build._check({}, {}, {}, params)
    for folds, fold in ((1, 0), (3, 3), (2, 5)):
        with pytest.raises(
            ParamsError, match=rf"^split\.fold: {fold} of split\.folds: {folds}; expected 2 or more folds, "
        ):
            build._check(one, one, {"a": "both"}, params.model_copy(update={"folds": folds, "fold": fold}))
    build._check(one, one, {"a": "both"}, params.model_copy(update={"folds": 3, "fold": 2}))
    build._check(one, one, {"a": "both"}, params.model_copy(update={"folds": 0, "fold": 2, "keep": "k.parquet"}))
    with pytest.raises(
        ParamsError, match=r"^split\.keep: k\.parquet has one test set, split\.folds: 3 has as many; null"
    ):
        build._check(one, one, {"a": "both"}, params.model_copy(update={"folds": 3, "keep": "k.parquet"}))
    assert build._tools(params) == ("numpy",)
    near = params.model_copy(update={"duplicates": "near", "identities": "dlib"})
    assert build._tools(near) == ("numpy", "opencv-python-headless", "simplejpeg", "dlib-bin")


def test_folds_are_written_beside_the_split(datasets, params, tmp_path):
    datasets.add("d", "both", [sample(f"{n}.png", n % 2, subject=f"p{n // 2}") for n in range(24)])
    given = params.model_copy(update={"folds": 3, "fold": 1, "fold_order": "subject"})
    done = split(datasets.aligned, datasets.labels, datasets.roles, tmp_path / "out", given, seed=1, workers=1)
    folds = read_table(tmp_path / "out/folds.parquet")
    rows = read_table(tmp_path / "out/split.parquet").to_pylist()
    assert folds.schema.names == ["sample_id", "fold"]
    assert folds["fold"].type == pa.int16()
    assert folds["sample_id"].to_pylist() == [row["sample_id"] for row in rows]
    people = sorted(f"p{n}" for n in range(12))
    for row, fold in zip(rows, folds["fold"].to_pylist(), strict=True):
        assert row["group_id"] == f"subject:d/p{int(row['sample_id'].split('/')[1].split('.')[0]) // 2}"
        assert fold == people.index(row["group_id"].rpartition("/")[2]) % 3
        assert (row["split"] == "test") == (fold == 1)
    assert done["rows_out"] == 24
    assert done["groups"] == 12
    assert sum(done["splits"].values()) == 24
    few = given.model_copy(update={"folds": 20, "fold": 15})
    with pytest.raises(
        DataError, match=r"^split\.fold: 15 of split\.folds: 20 tests nobody: there are 12 groups to sha"
    ):
        split(datasets.aligned, datasets.labels, datasets.roles, tmp_path / "no", few, seed=1, workers=1)


def test_rows_of_another_dataset_and_a_sample_twice_are_refused(datasets):
    datasets.add("d", "both", [sample("x/0.png", 3, n=2, subject="S", sequence="7", split="Train", md5="m")])
    rows = read_rows(datasets.aligned, datasets.labels)
    assert rows.sample_ids == ["d/x/0.png#2"]
    assert (rows.paths, rows.pictures, rows.subjects) == (["d/x/0.png"], ["m"], ["d/S"])
    assert (rows.sequences, rows.official, rows.labels.tolist()) == (["d/S/7"], ["Train"], [3])
    assert rows.aligned.tolist() == [True]
    with pytest.raises(DataError, match=r"labels\.parquet: 'd/x/0\.png#2' is of 'd'; expected only rows of 'e'$"):
        read_rows({}, {"e": datasets.labels["d"]})
    datasets.add("d", "both", [sample("0.png", 0), sample("0.png", 1)])
    with pytest.raises(DataError, match=r"labels\.parquet: 'd/0\.png#0' is there twice; a sample has one label$"):
        read_rows({}, datasets.labels)


def test_an_unknown_official_split_is_named():
    groups = Groups(np.zeros(1, np.int64), ["g"], ["g"])
    rows = make_rows([("a", "0", 0, None, None, None, "third")])
    with pytest.raises(
        DataError, match=r"^a/0#0: source_split is 'third'; expected one of automatic, dev, .*, or none$"
    ):
        build_places(rows, groups, {"a": "both"}, "official", np.zeros(1, np.int64))


@pytest.mark.parametrize("kept", [[], "x", {"file": 5}, {"kept": 3}])
def test_a_certificate_that_does_not_name_what_is_kept_is_said(kept):
    assert list(check._left(Path("c.json"), kept, {})) == [
        "c.json: does not name the split that is kept; run prep split again"
    ]


def test_samples_that_left_the_split_that_is_kept_are_named_three_at_most(datasets, params, tmp_path):
    datasets.add("d", "both", [sample(f"{n}.png", n % 8) for n in range(16)])
    split(datasets.aligned, datasets.labels, datasets.roles, tmp_path / "before", params, seed=1, workers=1)
    before = tmp_path / "before/split.parquet"
    had = {row["sample_id"]: row["split"] for row in read_table(before).to_pylist()}
    now = dict.fromkeys([*had, "new"], "val")
    left = sorted(key for key, given in had.items() if given != "val")
    kept = {"file": str(before), "kept": len(had)}
    again = "run prep split again"
    assert list(check._left(Path("c.json"), kept, now)) == [
        f"{before}: had {key} in {had[key]}, now it is in val; {again}" for key in left[:3]
    ]
    assert list(check._left(Path("c.json"), {**kept, "kept": 2}, had)) == [
        f"c.json: states that 2 samples are kept, but {len(had)} are; {again}"
    ]
    assert json.loads((tmp_path / "before/certificate.json").read_text())["keep"] is None
