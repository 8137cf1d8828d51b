import json
from collections import Counter

import numpy as np
import pytest

from pipeline.core.errors import DataError, ParamsError
from pipeline.core.lineage.identity import folder_files, folder_md5
from pipeline.core.tables import read_table
from pipeline.split.official import Place, _place
from pipeline.split.stage import run as split

from .conftest import sample


def run(datasets, params, out, seed=1):
    summary = split(datasets.aligned, datasets.labels, datasets.roles, out, params, seed=seed, workers=1)
    rows = read_table(out / "split.parquet").to_pylist()
    return summary, {row["sample_id"]: row["split"] for row in rows}


def people(count, pictures, prefix="p"):
    return [
        sample(f"{prefix}{person:03d}/{picture}.png", (person + picture) % 8, subject=f"{prefix}{person:03d}")
        for person in range(count)
        for picture in range(pictures)
    ]


def test_nobody_is_in_two_splits_and_classes_are_within_a_point(datasets, params, tmp_path):
    datasets.add("free", "both", people(200, 8))
    summary, splits = run(datasets, params, tmp_path / "out")
    assert summary["rows_in"] == summary["rows_out"] == 1600
    unsought = {"sequences", "duplicates", "identities"}
    sought = ("groups", "subjects", "files", "pictures", "decided")
    assert summary["crossing"] == dict.fromkeys(unsought) | dict.fromkeys(sought, 0)
    by_person = {}
    for sample_id, name in splits.items():
        by_person.setdefault(sample_id.split("/")[1], set()).add(name)
    assert all(len(names) == 1 for names in by_person.values())
    shares = json.loads((tmp_path / "out/certificate.json").read_text())["shares"]["free"]
    for of_class in shares.values():
        assert of_class["test"] == pytest.approx(0.25, abs=0.0101)
        assert of_class["val"] == pytest.approx(0.075, abs=0.0101)
        assert of_class["train"] == pytest.approx(0.675, abs=0.0101)


@pytest.mark.parametrize("seed", range(5))
def test_single_pictures_are_within_a_point_in_small_classes(datasets, params, tmp_path, seed):
    sizes = (400, 40, 120, 100, 1000, 800, 200, 160)
    datasets.add("free", "both", [sample(f"{c}-{n}.png", c) for c, size in enumerate(sizes) for n in range(size)])
    run(datasets, params, tmp_path / "out", seed)
    shares = json.loads((tmp_path / "out/certificate.json").read_text())["shares"]["free"]
    for of_class in shares.values():
        # Half a row is what no grouping can better.
        slack = 0.01 + 0.5 / of_class["rows"]
        assert of_class["test"] == pytest.approx(0.25, abs=slack)
        assert of_class["val"] == pytest.approx(0.075, abs=slack)


def test_same_seed_same_bytes_other_seed_other_split(datasets, params, tmp_path):
    datasets.add("free", "both", people(40, 5))
    first, second, other = (tmp_path / name for name in "abc")
    _, splits = run(datasets, params, first)
    run(datasets, params, second)
    assert folder_md5(folder_files(first)) == folder_md5(folder_files(second))
    assert run(datasets, params, other, seed=2)[1] != splits


def test_official_splits_are_kept_and_validation_is_carved_out_of_training(datasets, params, tmp_path):
    samples = [sample(f"train/{n}.jpg", n % 8, split="training") for n in range(800)]
    samples += [sample(f"val/{n}.jpg", n % 8, split="validation") for n in range(80)]
    datasets.add("affectnet", "both", samples)
    _, splits = run(datasets, params, tmp_path / "out")
    assert {name for sample_id, name in splits.items() if "/val/" in sample_id} == {"test"}
    carved = Counter(name for sample_id, name in splits.items() if "/train/" in sample_id)
    # A point of 800.
    assert carved["val"] == pytest.approx(80, abs=8)


def test_three_official_splits_are_kept_as_they_are(datasets, params, tmp_path):
    samples = [
        sample(f"{n}.jpg", n % 8, split=name) for n, name in enumerate(["Training", "PublicTest", "PrivateTest"] * 16)
    ]
    datasets.add("fer", "both", samples)
    _, splits = run(datasets, params, tmp_path / "out")
    assert Counter(splits.values()) == {"train": 16, "val": 16, "test": 16}
    assert all(splits[f"fer/{n}.jpg#0"] == ("train", "val", "test")[n % 3] for n in range(48))


def test_a_test_dataset_gives_its_official_test_rows_or_all(datasets, params, tmp_path):
    samples = [sample(f"{n}.jpg", n % 7, split="train" if n < 30 else "test") for n in range(40)]
    datasets.add("rafdb", "test", samples).add("ckplus", "test", people(5, 4))
    summary, splits = run(datasets, params, tmp_path / "out")
    assert summary["rejected"] == {"outside_role": 30}
    assert Counter(key.split("/")[0] for key in splits) == {"rafdb": 10, "ckplus": 20}
    assert set(splits.values()) == {"test"}
    summary, splits = run(datasets, params.model_copy(update={"held_out": "all"}), tmp_path / "all")
    assert len(splits) == 60
    assert summary["rejected"] == {}


def test_a_training_dataset_is_never_tested(datasets, params, tmp_path):
    official = [sample(f"o{n}.jpg", n % 8, split=("train", "test")[n % 16 < 4]) for n in range(160)]
    validated = [sample(f"v{n}.jpg", n % 8, split=("training", "validation")[n % 8 == 0]) for n in range(160)]
    datasets.add("plain", "train", people(40, 8)).add("official", "train", official).add(
        "affectnet", "train", validated
    )
    summary, splits = run(datasets, params, tmp_path / "out")
    by_dataset = Counter((key.split("/")[0], name) for key, name in splits.items())
    assert not [key for key in by_dataset if key[1] == "test"]
    assert by_dataset["plain", "train"] + by_dataset["plain", "val"] == 320
    assert by_dataset["plain", "val"] == pytest.approx(32, abs=4)
    assert summary["rejected"] == {"outside_role": 40}
    assert by_dataset["official", "train"] + by_dataset["official", "val"] == 120
    assert by_dataset["official", "val"] == pytest.approx(12, abs=4)
    assert (by_dataset["affectnet", "train"], by_dataset["affectnet", "val"]) == (140, 20)
    rejects = read_table(tmp_path / "out/rejects.parquet").to_pylist()
    assert {row["detail"] for row in rejects} == {
        "its dataset is only trained on, and this is its official test part; role: both tests on it"
    }


def test_a_group_over_two_official_splits_leaves_the_test_set_whole(datasets, params, tmp_path):
    samples = [sample(f"train/{n}.jpg", n % 8, split="train", md5=f"same{n % 4}" if n < 8 else None) for n in range(64)]
    samples += [sample(f"test/{n}.jpg", n % 8, split="test", md5=f"same{n}") for n in range(16)]
    datasets.add("official", "both", samples)
    summary, splits = run(datasets, params, tmp_path / "out")
    assert summary["rejected"] == {"group_spans_splits": 8}
    assert sum(name == "test" for name in splits.values()) == 16
    certificate = json.loads((tmp_path / "out/certificate.json").read_text())
    assert certificate["resolved"]["groups"] == 4
    assert certificate["resolved"]["rows_dropped"] == 8
    assert certificate["resolved"]["first_cases"][0]["kept"] == ["official test"]


def test_a_row_out_of_which_validation_is_carved_validates_with_its_group_and_another_is_dropped(
    datasets, params, tmp_path
):
    validated = [sample(f"{n}.png", n % 8, split="val" if n < 2 else "train", md5=f"m{n}") for n in range(40)]
    datasets.add("whole", "both", [*validated, *(sample(f"t{n}.png", n % 8, split="test") for n in range(8))])
    datasets.add("carved", "train", [sample(f"{n}.png", n % 8, split="train", md5=f"m{n}") for n in range(1)])
    datasets.add("fixed", "train", [sample("1.png", 1, split="train", md5="m1"), sample("v.png", 1, split="val")])
    summary, splits = run(datasets, params, tmp_path / "out")
    assert splits["carved/0.png#0"] == splits["whole/0.png#0"] == "val"
    assert "fixed/1.png#0" not in splits
    assert summary["rejected"] == {"group_spans_splits": 1}


def test_people_and_pictures_of_a_test_dataset_never_train(datasets, params, tmp_path):
    # t/1 is no test row, but it ties the training picture a/0 to the test picture t/0: one person, one picture.
    tied = [
        sample("0.png", 0, split="test", subject="A"),
        sample("1.png", 1, split="train", subject="A", md5="seen twice"),
    ]
    datasets.add("t", "test", tied)
    datasets.add(
        "a", "train", [sample(f"{n}.png", n % 8, split="train", md5="seen twice" if not n else None) for n in range(20)]
    )
    summary, splits = run(datasets, params, tmp_path / "out")
    assert summary["rejected"] == {"group_spans_splits": 1, "outside_role": 1}
    assert "a/0.png#0" not in splits
    assert splits["t/0.png#0"] == "test"


def test_a_face_without_label_still_ties_two_others(datasets, params, tmp_path):
    tied = [sample("0.png", 0, split="train", subject="A"), sample("1.png", None, subject="A", md5="twice")]
    tied += [sample("2.png", 0, split="test", md5="twice"), sample("3.png", 0, split="train")]
    datasets.add("a", "both", tied)
    summary, splits = run(datasets, params, tmp_path / "out")
    assert summary["rows_in"] == 3
    assert "a/0.png#0" not in splits


@pytest.mark.parametrize("table", ["fer2013.csv", "data/train-00000-of-00001.parquet", "train.ARROW"])
def test_people_of_one_picture_stay_together_but_rows_of_one_table_do_not(datasets, params, tmp_path, table):
    crowd = [sample(f"{n // 4}.jpg", n % 8, n=n % 4, md5=f"{n // 4}") for n in range(160)]
    rows = [sample(table, n % 8, n=n, md5="of the table") for n in range(160)]
    datasets.add("emotic", "both", crowd).add("fer", "both", rows)
    summary, splits = run(datasets, params, tmp_path / "out")
    assert summary["groups"] == 40 + 160
    assert all(len({splits[f"emotic/{p}.jpg#{n}"] for n in range(4)}) == 1 for p in range(40))


def test_subjects_of_two_datasets_with_one_name_are_two_people(datasets, params, tmp_path):
    rows = [sample(f"{n}.png", 0, subject="S001") for n in range(2)]
    datasets.add("c", "both", rows).add("d", "both", [sample(f"d{n}.png", 0, subject="S001") for n in range(2)])
    run(datasets, params, tmp_path / "out")
    groups = {row["group_id"] for row in read_table(tmp_path / "out/split.parquet").to_pylist()}
    assert groups == {"subject:c/S001", "subject:d/S001"}


def test_folds_partition_the_people(datasets, params, tmp_path):
    datasets.add("ck", "both", people(40, 8))
    tested = []
    for fold in range(10):
        _, splits = run(datasets, params.model_copy(update={"folds": 10, "fold": fold}), tmp_path / str(fold))
        tested.append({key.split("/")[1] for key, name in splits.items() if name == "test"})
        assert {key.split("/")[1] for key, name in splits.items() if name != "test"}.isdisjoint(tested[-1])
    assert sum(len(names) for names in tested) == 40 == len(set().union(*tested))
    assert {len(names) for names in tested} == {4}


def test_published_folds_take_every_kth_subject(datasets, params, tmp_path):
    datasets.add("ck", "both", people(23, 2))
    settings = params.model_copy(update={"folds": 10, "fold": 3, "fold_order": "subject"})
    _, splits = run(datasets, settings, tmp_path / "out")
    assert {key.split("/")[1] for key, name in splits.items() if name == "test"} == {"p003", "p013"}


CHANGES = {
    "people added": lambda before: {"free": before + people(60, 4, "q")},
    "pictures added": lambda before: {"free": before + [sample(f"more{n}.png", n % 8) for n in range(200)]},
    "people gone": lambda before: {"free": before[:1000]},
    "datasets added": lambda before: {"free": before, "other": people(150, 4, "o"), "another": people(60, 8, "x")},
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_sample_keeps_its_split_when_others_come_or_go(datasets, params, tmp_path, change):
    lots = params.model_copy(update={"tolerance_points": 100.0})
    before = people(300, 4)
    datasets.add("free", "both", before)
    old, old_lots = (run(datasets, given, tmp_path / name)[1] for given, name in ((params, "old"), (lots, "old-lots")))
    after = change(before)
    for name, samples in after.items():
        datasets.add(name, "both", samples)
    new, new_lots = (run(datasets, given, tmp_path / name)[1] for given, name in ((params, "new"), (lots, "new-lots")))
    assert all(new_lots[key] == name for key, name in old_lots.items() if key in new_lots)
    # The shares of each class are kept within a point, for which a few must move; but never for another dataset.
    moved = np.mean([new[key] != name for key, name in old.items() if key in new])
    assert moved == 0 if len(after) > 1 else moved < 0.1


def test_unknown_official_split_is_named(datasets, params, tmp_path):
    datasets.add("a", "train", [sample("x.png", 0, split="holdout")])
    with pytest.raises(DataError, match=r"a/x\.png#0: source_split is 'holdout'; expected one of .*train"):
        run(datasets, params, tmp_path / "out")


def test_no_label_at_all_is_said(datasets, params, tmp_path):
    datasets.add("a", "train", [sample("x.png", None)])
    with pytest.raises(DataError, match="no labelled sample"):
        run(datasets, params, tmp_path / "out")


def test_fold_outside_of_folds_is_wrong_use(datasets, params, tmp_path):
    datasets.add("a", "train", people(5, 1))
    with pytest.raises(ParamsError, match=r"split\.fold"):
        run(datasets, params.model_copy(update={"folds": 5, "fold": 5}), tmp_path / "out")


def test_as_many_folds_as_people_test_one_each(datasets, params, tmp_path):
    datasets.add("a", "both", people(10, 2))
    tested = []
    for fold in range(10):
        _, splits = run(datasets, params.model_copy(update={"folds": 10, "fold": fold}), tmp_path / str(fold))
        tested.append({key.split("/")[1] for key, name in splits.items() if name == "test"})
    assert [len(names) for names in tested] == [1] * 10
    assert len(set().union(*tested)) == 10


@pytest.mark.parametrize("order", ["balanced", "subject"])
def test_more_folds_than_people_are_said_and_not_an_empty_test_set(datasets, params, tmp_path, order):
    datasets.add("a", "both", people(3, 4))
    given = params.model_copy(update={"folds": 10, "fold": 4, "fold_order": order})
    with pytest.raises(DataError, match=r"split\.fold: 4 of split\.folds: 10 tests nobody: there are 3 groups"):
        run(datasets, given, tmp_path / "out")


def test_one_person_is_one_group_in_one_split(datasets, params, tmp_path):
    datasets.add("a", "train", people(1, 5))
    _, splits = run(datasets, params, tmp_path / "out")
    assert len(set(splits.values())) == 1


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("Train-Images", Place.train),
        ("val_set", Place.val),
        ("public_test", Place.val),
        ("PrivateTest", Place.test),
        ("partial-train", Place.train),
    ],
)
def test_split_names_as_folders_have_them(name, place):
    assert _place(name) is place


def test_people_as_folds_leave_one_person_out_at_a_time(datasets, params, tmp_path):
    datasets.add("a", "both", people(3, 4)).add("b", "both", people(1, 4, "q"))
    tested = []
    for fold in range(4):
        given = params.model_copy(update={"folds": "people", "fold": fold})
        _, splits = run(datasets, given, tmp_path / str(fold))
        tested.append({key.rpartition("/")[0] for key, name in splits.items() if name == "test"})
    assert tested == [{"a/p000"}, {"a/p001"}, {"a/p002"}, {"b/q000"}]
    with pytest.raises(DataError, match=r"split\.fold: 4 of split\.folds: people tests nobody: there are 4 groups"):
        run(datasets, params.model_copy(update={"folds": "people", "fold": 4}), tmp_path / "out")


def test_who_is_not_named_cannot_be_left_out(datasets, params, tmp_path):
    datasets.add("a", "both", [*people(3, 4), sample("x.png", 1)])
    with pytest.raises(DataError, match=r"^split\.folds: people: picture:\w{32} names no person; expected a number"):
        run(datasets, params.model_copy(update={"folds": "people"}), tmp_path / "out")
