import json
import tarfile
from collections import Counter
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from pipeline.core.emotions import CLASSES
from pipeline.core.errors import DataError
from pipeline.core.lineage.identity import folder_files
from pipeline.core.lineage.snapshot import read_snapshot
from pipeline.core.parts import TAKE_OVER, Resume, kept_parts
from pipeline.core.schema import DETECTIONS, INDEX, LABELS, SPLIT
from pipeline.core.tables import read_table, rows_to_table, write_table
from pipeline.shards import container
from pipeline.shards.balance import cap_tested
from pipeline.shards.container import CONTAINERS
from pipeline.shards.read import iter_shards, open_shards
from pipeline.shards.stage import run as write_shards
from tests.shard_inputs import ALIGN, EQUALIZE, make_inputs, shard_params, write_selected


def write(inputs, out, *, seed=1, workers=1, caps=None, resume=TAKE_OVER, **params):
    given = {"seed": seed, "workers": workers, "test_caps": caps, "resume": resume}
    return write_shards(*inputs.tables, out, shard_params(**params), **given)


def test_shards_of_a_run_that_died_are_taken_over(inputs, tmp_path, monkeypatch):
    """And only by a run of the same inputs and parameters; after the result, nothing of them is kept."""
    real, written, said = container.write_parquet, [], []

    def write_some(path, shard, *rest):
        if len(written) == 2:
            raise KeyboardInterrupt
        written.append(shard)
        real(path, shard, *rest)

    def parquet(function):
        changed = replace(CONTAINERS["parquet"], write=function)
        monkeypatch.setitem(CONTAINERS, "parquet", changed)

    small = {"rows_per_shard": 40}
    parquet(write_some)
    with pytest.raises(KeyboardInterrupt):
        write(inputs, tmp_path / "out", **small)
    parquet(lambda path, shard, *rest: (written.append(shard), real(path, shard, *rest)))
    write(inputs, tmp_path / "out", resume=Resume(say=said.append), **small)
    shards = sorted(path.stem for path in (tmp_path / "out/parquet").iterdir())
    assert said == [f"2 of {len(shards)} parts taken over from an earlier run"]
    assert sorted(written) == shards
    write(inputs, tmp_path / "clean", **small)
    assert folder_files(tmp_path / "out") == folder_files(tmp_path / "clean")
    assert kept_parts(tmp_path) == []
    parquet(write_some)
    del written[:]
    with pytest.raises(KeyboardInterrupt):
        write(inputs, tmp_path / "out", **small)
    parquet(real)
    write(inputs, tmp_path / "out", seed=2, resume=Resume(say=said.append), **small)
    assert len(said) == 1


def index_rows(out):
    return read_table(out / "index.parquet", schema=INDEX).to_pylist()


def test_every_labelled_row_with_a_face_is_in_one_shard_and_the_others_are_named(inputs, shards):
    rows = index_rows(shards)
    missing = read_table(shards / "missing_faces.parquet").to_pylist()
    assert [row["sample_id"] for row in rows] == sorted(row["sample_id"] for row in rows)
    without = {key for key, row in inputs.rows.items() if row["n"] % 25 == 7}
    assert {row["sample_id"] for row in rows} == set(inputs.rows) - without
    assert {row["sample_id"] for row in missing} == without
    assert list(missing[0]) == [
        "sample_id", "dataset", "subject_id", "gender", "age", "race", "label", "split", "group_id", "reason"
    ]  # fmt: skip
    assert {(row["sample_id"], row["gender"]) for row in missing} == {
        (key, inputs.rows[key]["gender"]) for key in without
    }
    assert {row["reason"] for row in missing} == {"no_face"}
    for row in rows:
        truth = inputs.rows[row["sample_id"]]
        assert (row["label"], row["split"], row["dataset"]) == (truth["label"], truth["split"], truth["dataset"])
        assert row["shard"].startswith(row["split"])
        assert row["copy"] == 0


def test_a_face_that_was_turned_away_is_missing_with_the_reason(tmp_path):
    inputs = make_inputs(tmp_path, rows=20)
    seen = pq.read_table(inputs.selected["one"] / "selected.parquet")["sample_id"].to_pylist()
    write_selected(inputs.selected["one"], seen[3:], dict.fromkeys(seen[:3], "blurred"))
    without = {key: row for key, row in inputs.rows.items() if row["n"] % 25 == 7}
    torn = next(key for key, row in without.items() if row["dataset"] == "one")
    statuses = {key: "truncated" if key == torn else "aligned" for key in inputs.rows if key.startswith("one/")}
    rows = [inputs.rows[key] | {"status": status} for key, status in statuses.items()]
    write_table(inputs.faces["one"] / "detections.parquet", rows_to_table(rows, DETECTIONS))
    summary = write(inputs, tmp_path / "out")
    missing = read_table(tmp_path / "out" / "missing_faces.parquet").to_pylist()
    expected = dict.fromkeys(without, "no_face") | {torn: "truncated"} | dict.fromkeys(seen[:3], "blurred")
    assert {row["sample_id"]: row["reason"] for row in missing} == expected
    assert {row["sample_id"] for row in index_rows(tmp_path / "out")} == inputs.rows.keys() - expected.keys()
    assert summary["rejected"] == {"blurred": 3, "no_face": len(expected) - 4, "truncated": 1}
    reasons = {row["sample_id"]: row["reason"] for row in read_table(tmp_path / "out" / "rejects.parquet").to_pylist()}
    assert reasons == expected


def test_a_face_that_was_selected_of_another_alignment_is_an_error(tmp_path):
    inputs = make_inputs(tmp_path, rows=10)
    write_selected(inputs.selected["two"], ["two/other.png#0"])
    with pytest.raises(DataError, match=r"selected/two: 'two/other.png#0' is selected, but there is no such face"):
        write(inputs, tmp_path / "out")


def test_summary_counts_and_rejects(inputs, shards):
    summary = json.loads((shards / "summary.json").read_text())
    rejects = read_table(shards / "rejects.parquet").to_pylist()
    assert summary["rows_in"] == 300
    assert summary["rejected"] == {"no_face": 12}
    assert summary["rows_in"] == summary["rows_out"] + 12
    assert {row["reason"] for row in rejects} == {"no_face"}
    counted = [sum(split.values()) for split in summary["classes"].values()]
    assert sum(counted) == summary["rows_out"]


def test_pictures_and_rows_are_those_of_the_faces(inputs, shards):
    seen = 0
    for file in sorted((shards / "parquet").iterdir()):
        for row in pq.read_table(file).to_pylist():
            truth = inputs.rows[row["sample_id"]]
            assert row["image"]["bytes"] == inputs.pictures[row["sample_id"]]
            assert row["subject_id"] == truth["subject_id"]
            assert row["label_probs"] == truth["label_probs"]
            assert row["valence"] == truth["valence"]
            assert row["has_valence"] == (truth["valence"] is not None)
            assert row["has_dominance"] is False
            assert [row[name] for name in ("gender", "age", "race")] == [truth["gender"], truth["age"], None]
            assert row["age_years"] == truth["age_years"]
            assert row["weight"] == 1
            seen += 1
    assert seen == 288


def test_tar_holds_the_same_rows_as_parquet(inputs, shards):
    for file in sorted((shards / "webdataset").iterdir()):
        rows = pq.read_table(shards / "parquet" / f"{file.stem}.parquet").to_pylist()
        with tarfile.open(file) as archive:
            members = archive.getmembers()
            assert len(members) == 2 * len(rows)
            for row, picture, sidecar in zip(rows, members[::2], members[1::2], strict=True):
                content = json.loads(archive.extractfile(sidecar).read())
                assert archive.extractfile(picture).read() == row["image"]["bytes"]
                assert picture.name == row["image"]["path"]
                assert picture.name.count(".") == 1
                assert "/" not in picture.name
                assert {key: content[key] for key in row if key != "image"} == {
                    key: value for key, value in row.items() if key != "image"
                }
        assert {(member.mtime, member.uid, member.gid, member.uname, member.gname) for member in members} == {
            (0, 0, 0, "", "")
        }


@pytest.mark.parametrize(("kept", "left_out"), [("parquet", "webdataset"), ("webdataset", "parquet")])
def test_one_container_alone_has_the_same_bytes_and_the_same_id(inputs, shards, tmp_path, kept, left_out):
    out = tmp_path / "out"
    write(inputs, out, containers=[kept])
    both = {file.path: file.md5 for file in folder_files(shards)}
    files = {file.path: file.md5 for file in folder_files(out)}
    assert files.keys() == {path for path in both if not path.startswith(left_out)}
    assert {path for path in files if files[path] != both[path]} == {
        "snapshot.json",
        "shards.json",
        "croissant.json",
        # The card's header lists Parquet files, so it differs only without them.
        *(["README.md"] if left_out == "parquet" else []),
    }
    assert read_snapshot(out).id == read_snapshot(shards).id
    assert json.loads((out / "shards.json").read_text())["containers"] == [kept]


def test_the_order_of_containers_does_not_matter_and_none_is_an_error():
    assert shard_params(containers=["webdataset", "parquet", "webdataset"]).containers == ["parquet", "webdataset"]
    for wrong in ([], ["zip"]):
        with pytest.raises(ValidationError, match="containers"):
            shard_params(containers=wrong)


def test_who_reads_parquet_says_which_key_brings_it(inputs, tmp_path):
    write(inputs, tmp_path / "out", containers=["webdataset"])
    folder = open_shards(tmp_path / "out")
    assert list(folder.splits) == ["test", "train", "val"]
    with pytest.raises(DataError, match=r"out: holds webdataset alone.* put parquet into shard\.containers"):
        next(iter_shards(folder, "train"))


def test_shards_that_do_not_say_their_containers_have_both(shards, tmp_path):
    manifest = json.loads((shards / "shards.json").read_text())
    assert manifest.pop("containers") == ["parquet", "webdataset"]
    (tmp_path / "shards.json").write_text(json.dumps(manifest))
    assert open_shards(tmp_path).containers == ("parquet", "webdataset")


def test_contract_and_snapshot_travel_inside_every_shard(inputs, shards):
    snapshot = read_snapshot(shards)
    assert snapshot.contract["align"] == ALIGN
    assert snapshot.contract["equalize"] == EQUALIZE
    assert snapshot.contract["taxonomy"] == {
        "one": {"name": "one", "version": 1},
        "two": {"name": "two", "version": 1},
    }
    for file in sorted((shards / "parquet").iterdir()):
        metadata = pq.read_schema(file).metadata
        assert metadata[b"prep.snapshot"].decode() == snapshot.id
        assert json.loads(metadata[b"prep.contract"]) == snapshot.contract
    for file in sorted((shards / "webdataset").iterdir()):
        with tarfile.open(file) as archive:
            content = json.loads(archive.extractfile(archive.getmembers()[-1]).read())
        assert (content["snapshot"], content["contract"]) == (snapshot.id, snapshot.contract)


def test_same_bytes_for_every_number_of_workers_and_again(inputs, shards, tmp_path):
    write(inputs, tmp_path / "three", workers=3)
    write(inputs, tmp_path / "again")
    expected = folder_files(shards)
    assert folder_files(tmp_path / "three") == expected
    assert folder_files(tmp_path / "again") == expected


def test_another_seed_is_another_order_and_another_snapshot(inputs, shards, tmp_path):
    write(inputs, tmp_path / "other", seed=2)
    assert read_snapshot(tmp_path / "other").id != read_snapshot(shards).id
    first = pq.read_table(shards / "parquet/train-00000.parquet")["sample_id"].to_pylist()
    other = pq.read_table(tmp_path / "other/parquet/train-00000.parquet")["sample_id"].to_pylist()
    assert first != other
    assert pq.read_table(tmp_path / "other/parquet/test-00000.parquet")["sample_id"].equals(
        pq.read_table(shards / "parquet/test-00000.parquet")["sample_id"]
    )


def test_training_rows_are_mixed_in_every_shard(shards):
    for number in range(4):
        datasets = pq.read_table(shards / f"parquet/train-{number:05d}.parquet")["dataset"].to_pylist()
        assert 5 < datasets.count("one") < len(datasets) - 5


@pytest.mark.parametrize("processes", [2, 3, 5, 8])
def test_whole_shards_give_every_process_the_same_number_of_rows(inputs, tmp_path, processes):
    summary = write(inputs, tmp_path / "out", world_size=processes)
    rows = [len(pq.read_table(file)) for file in sorted((tmp_path / "out/parquet").glob("train-*"))]
    assert len(rows) % processes == 0
    assert len(set(rows)) == 1
    assert summary["rejected"].get("uneven", 0) < len(rows)
    assert sum(rows) + summary["rejected"].get("uneven", 0) == 168
    for split in ("val", "test"):
        shares = [pq.read_metadata(file).num_rows for file in (tmp_path / "out/parquet").glob(f"{split}-*")]
        assert max(shares) - min(shares) <= 1
        assert sum(shares) == 60


def test_cap_keeps_at_most_so_many_training_rows_of_each_class(inputs, tmp_path):
    summary = write(inputs, tmp_path / "out", balance="cap", train_per_class=10)
    assert max(summary["classes"]["train"].values()) == 10
    for split in ("val", "test"):
        assert summary["classes"][split] == dict(
            zip(CLASSES, np.bincount(labels_of(inputs, split), minlength=8), strict=True)
        )
    assert summary["rejected"]["over_cap"] + summary["rejected"]["no_face"] + summary["rows_out"] == 300


def labels_of(inputs, split):
    """The labels of the rows of a split that have a face: one of 25 has none."""
    return [row["label"] for row in inputs.rows.values() if row["split"] == split and row["n"] % 25 != 7]


def test_a_protocol_draws_from_the_labelled_test_rows_found_or_not(inputs, tmp_path):
    """Else a missed face would count as wrong in full, and a found one only as far as the cap lets it."""
    every = inputs.rows.values()
    tested = sorted(key for key, row in inputs.rows.items() if row["dataset"] == "one" and row["split"] == "test")
    places = [list(map(inputs.rows[key].get, ("split", "dataset"))) for key in tested]
    labels = np.array([inputs.rows[key]["label"] for key in tested])
    mask = cap_tested(labels, [split for split, _ in places], tested, [name for _, name in places], {"one": 2}, 1)
    kept = {key for key, out in zip(tested, mask, strict=True) if not out}
    summary = write(inputs, tmp_path / "out", caps={"one": 2})
    whole = {row["sample_id"] for row in every if row["dataset"] == "two" and row["split"] == "test"}
    found = {row["sample_id"] for row in index_rows(tmp_path / "out") if row["split"] == "test"}
    missing = read_table(tmp_path / "out/missing_faces.parquet").to_pylist()
    assert found | {row["sample_id"] for row in missing if row["split"] == "test"} == kept | whole
    assert summary["rejected"]["over_cap"] == mask.sum() > 0
    assert summary["rows_in"] == summary["rows_out"] + sum(summary["rejected"].values()) == 300


def test_every_row_knows_its_group(inputs, tmp_path):
    write(inputs, tmp_path / "out")
    rows = [*index_rows(tmp_path / "out"), *read_table(tmp_path / "out/missing_faces.parquet").to_pylist()]
    groups = {row["sample_id"]: row["group_id"] for row in read_table(inputs.split / "split.parquet").to_pylist()}
    assert {row["sample_id"]: row["group_id"] for row in rows} == groups


def test_oversampling_copies_training_rows_only(inputs, tmp_path):
    summary = write(inputs, tmp_path / "out", balance="oversample", max_copies=3)
    rows = index_rows(tmp_path / "out")
    assert {row["split"] for row in rows if row["copy"]} == {"train"}
    assert len({(row["sample_id"], row["copy"]) for row in rows}) == len(rows) == summary["rows_written"]
    assert summary["rows_out"] == 288
    counts = list(summary["classes"]["train"].values())
    assert max(counts) == min(counts)


def test_weights_are_written(inputs, tmp_path):
    write(inputs, tmp_path / "out", balance="weights")
    tables = [pq.read_table(file) for file in (tmp_path / "out/parquet").glob("train-*")]
    table = pa.concat_tables(tables)
    weights, labels = table["weight"].to_numpy(), table["label"].to_numpy()
    sums = [weights[labels == label].sum() for label in range(8)]
    assert np.allclose(sums, len(table) / 8, rtol=1e-5)


@pytest.mark.parametrize("policy", ["weights", "undersample", "oversample"])
def test_what_is_said_of_the_classes_is_of_the_rows_that_processes_left(inputs, tmp_path, policy):
    changes = {"balance": policy, "balance_over": "dataset_and_class", "train_per_class": 19}
    summary = write(inputs, tmp_path / "out", world_size=9, rows_per_shard=10, **changes)
    table = pa.concat_tables([pq.read_table(file) for file in sorted((tmp_path / "out/parquet").glob("train-*"))])
    # 9 processes do not share what the policy chose.
    assert len(table) < sum(write(inputs, tmp_path / "one", **changes)["quotas"]["train"].values())
    found = Counter(
        f"{dataset}/{CLASSES[label]}"
        for dataset, label in zip(table["dataset"].to_pylist(), table["label"].to_pylist(), strict=True)
    )
    assert summary["quotas"]["train"] == found
    of_class = Counter(CLASSES[label] for label in table["label"].to_pylist())
    assert summary["classes"]["train"] == dict.fromkeys(CLASSES, 0) | of_class
    listed = Counter((row["split"], CLASSES[row["label"]]) for row in index_rows(tmp_path / "out"))
    assert {name: listed["train", name] for name in of_class} == of_class
    records = json.loads((tmp_path / "out/croissant.json").read_text())["recordSet"]
    (counts,) = (entry["data"] for entry in records if "class_counts" in entry["@id"])
    key = "class_counts/{}".format
    of_train = [row for row in counts if row[key("split")] == "train"]
    assert Counter({f"{row[key('dataset')]}/{row[key('class')]}": row[key("rows")] for row in of_train}) == found
    if policy == "weights":
        keys = [f"{row['dataset']}/{CLASSES[row['label']]}" for row in table.select(["dataset", "label"]).to_pylist()]
        weights = dict(zip(keys, table["weight"].to_pylist(), strict=True))
        assert {key: weights[key] * found[key] for key in found} == pytest.approx(
            dict.fromkeys(found, len(table) / len(found)), rel=1e-5
        )


def test_datasets_preprocessed_in_different_ways_are_refused(tmp_path):
    inputs = make_inputs(tmp_path, rows=10)
    path = inputs.faces["two"] / "snapshot.json"
    path.write_text(path.read_text().replace('"clahe"', '"hist"'))
    with pytest.raises(DataError, match=r"faces/two: equalize is .*hist.*clahe"):
        write(inputs, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_sample_of_the_split_without_label_is_an_error(tmp_path):
    inputs = make_inputs(tmp_path, rows=10)
    with pytest.raises(DataError, match=r"split\.parquet: 'two/.*' has no label"):
        write_shards(
            inputs.faces,
            inputs.selected,
            {"one": inputs.labels["one"]},
            inputs.split,
            tmp_path / "out",
            shard_params(),
            seed=1,
            workers=1,
        )


def test_a_group_in_two_splits_and_a_doubled_sample_are_errors(tmp_path):
    inputs = make_inputs(tmp_path, rows=10)
    path = inputs.split / "split.parquet"
    rows = pq.read_table(path).to_pylist()
    grouped = [{**row, "group_id": "twin" if row["split"] != "val" else row["group_id"]} for row in rows]
    pq.write_table(pa.Table.from_pylist(grouped, SPLIT), path)
    with pytest.raises(DataError, match=r"split\.parquet: the group 'twin' is in more than one split"):
        write(inputs, tmp_path / "out")
    pq.write_table(pa.Table.from_pylist([*rows, rows[0]], SPLIT), path)
    with pytest.raises(DataError, match=r"split\.parquet: 'one/.*' is there twice"):
        write(inputs, tmp_path / "out")


def test_a_valence_that_is_not_a_number_is_not_given(tmp_path):
    inputs = make_inputs(tmp_path, rows=10)
    path = inputs.labels["one"] / "labels.parquet"
    table = pq.read_table(path)
    broken = pa.array([float("nan")] * len(table), pa.float32())
    pq.write_table(table.set_column(table.column_names.index("valence"), table.schema.field("valence"), broken), path)
    write(inputs, tmp_path / "out")
    rows = pq.read_table(tmp_path / "out/parquet/train-00000.parquet").to_pylist()
    assert [row["valence"] for row in rows] == [None] * len(rows)
    assert not any(row["has_valence"] for row in rows)


def test_a_class_that_a_dataset_lacks_is_said(tmp_path):
    inputs = make_inputs(tmp_path, rows=60)
    path = inputs.labels["two"] / "labels.parquet"
    rows = [{**row, "label": 4 if row["label"] == 1 else row["label"]} for row in pq.read_table(path).to_pylist()]
    pq.write_table(pa.Table.from_pylist(rows, LABELS), path)
    summary = write(inputs, tmp_path / "out")
    assert summary["missing_classes"]["train"] == {"two": ["contempt"]}
    assert {row["dataset"] for row in index_rows(tmp_path / "out") if row["label"] == 1} == {"one"}


def test_more_processes_than_training_rows_is_an_error(tmp_path):
    inputs = make_inputs(tmp_path, rows=4)
    with pytest.raises(DataError, match=r"shard\.world_size = 64"):
        write(inputs, tmp_path / "out", world_size=64)


def test_one_dataset_trains_and_validates_and_all_are_tested(inputs, tmp_path):
    summary = write(inputs, tmp_path / "out", train_on=["two"])
    kept = {(row["dataset"], row["split"]) for row in index_rows(tmp_path / "out")}
    assert kept == {("two", "train"), ("two", "val"), ("two", "test"), ("one", "test")}
    missing = read_table(tmp_path / "out/missing_faces.parquet").to_pylist()
    others = {key for key, row in inputs.rows.items() if row["dataset"] == "one" and row["split"] != "test"}
    assert {row["sample_id"] for row in missing} == {
        key for key, row in inputs.rows.items() if row["n"] % 25 == 7 and key not in others
    }
    assert summary["rejected"]["outside_role"] == len(others)
    rejects = read_table(tmp_path / "out/rejects.parquet").to_pylist()
    assert {row["sample_id"] for row in rejects if row["reason"] == "outside_role"} == others
    assert summary["rows_in"] == summary["rows_out"] + sum(summary["rejected"].values()) == len(inputs.rows)
    whole = write(inputs, tmp_path / "whole")
    assert whole["classes"]["test"] == summary["classes"]["test"]
    assert open_shards(tmp_path / "whole").snapshot_id != open_shards(tmp_path / "out").snapshot_id


def test_a_dataset_without_training_rows_cannot_train(inputs, tmp_path):
    with pytest.raises(DataError, match=r"^shard\.train_on: three has no training row with a face"):
        write(inputs, tmp_path / "out", train_on=["one", "three"])
