import io
import json
import tarfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.core.lineage.snapshot import Snapshot, write_snapshot
from pipeline.core.schema import INDEX
from pipeline.core.tables import read_table, write_table
from pipeline.images import encode_face
from pipeline.split.certificate import crossing
from pipeline.split.check import check
from pipeline.split.stage import run as split

from .conftest import sample


@pytest.fixture
def folders(datasets, params, tmp_path):
    """A split of 40 people with 4 pictures each, every second picture the same file twice, and its shards."""
    pictures = [
        sample(f"p{person:02d}/{number}.png", (person + number) % 8, subject=f"p{person:02d}", sequence="s")
        for person in range(40)
        for number in range(4)
    ]
    datasets.add("d", "both", pictures)
    split(datasets.aligned, datasets.labels, datasets.roles, tmp_path / "split", params, seed=1, workers=1)
    rows = read_table(tmp_path / "split/split.parquet").to_pylist()
    write_shards(tmp_path / "shards", {row["sample_id"]: row["split"] for row in rows})
    return tmp_path / "split", tmp_path / "shards"


def write_shards(folder, splits, *, index=None):
    (folder / "parquet").mkdir(parents=True, exist_ok=True)
    for name in ("train", "val", "test"):
        ids = sorted(key for key, given in splits.items() if given == name)
        table = {"sample_id": ids, "dataset": ["d"] * len(ids), "subject_id": [key.split("/")[1] for key in ids]}
        write_table(folder / f"parquet/{name}-00000.parquet", pa.table(table))
    rows = [
        {"sample_id": key, "dataset": "d", "label": 0, "split": name, "shard": f"{name}-00000", "copy": 0}
        for key, name in sorted((index or splits).items())
    ]
    write_table(folder / "index.parquet", pa.Table.from_pylist(rows, schema=INDEX))


def promised(split_folder):
    rows = read_table(split_folder / "split.parquet").to_pylist()
    return {row["sample_id"]: row["split"] for row in rows}


def test_a_true_certificate_holds(folders):
    assert check(*folders) == []


def test_one_moved_sample_is_named_with_all_that_it_ties(folders):
    split_folder, shards = folders
    splits = promised(split_folder)
    moved = next(key for key, name in splits.items() if name == "train")
    person = moved.split("/")[1]
    write_shards(shards, splits | {moved: "test"})
    problems = check(split_folder, shards)
    assert any(f"{moved} is in test, but split.parquet says train" in line for line in problems)
    assert any(f"person d/{person} is in test and train" in line for line in problems)
    assert any(f"group subject:d/{person} is in test and train" in line for line in problems)
    assert any(f"sequence d/{person}/s is in test and train" in line for line in problems)


def as_tars(shards, *, torn=False):
    """The same rows as tars alone, written by Python's tarfile."""
    (shards / "webdataset").mkdir()
    for file in sorted((shards / "parquet").iterdir()):
        with tarfile.open(shards / f"webdataset/{file.stem}.tar", "w") as archive:
            for number, row in enumerate(read_table(file).to_pylist()):
                for suffix, content in ((".jpg", b"picture"), (".json", b"{" if torn else json.dumps(row).encode())):
                    member = tarfile.TarInfo(f"{file.stem}-{number}{suffix}")
                    member.size = len(content)
                    archive.addfile(member, io.BytesIO(content))
        file.unlink()


def test_tars_alone_are_counted_as_parquet_is(folders):
    split_folder, shards = folders
    splits = promised(split_folder)
    moved = next(key for key, name in splits.items() if name == "train")
    write_shards(shards, splits | {moved: "test"})
    problems = check(split_folder, shards)
    as_tars(shards)
    assert check(split_folder, shards) == problems != []


def test_a_torn_tar_is_named(folders):
    split_folder, shards = folders
    as_tars(shards, torn=True)
    assert check(split_folder, shards) == [
        f"{shards}/webdataset/test-00000.tar: not a readable tar of samples; write the shards again"
    ]


def test_a_shard_that_the_index_does_not_know_is_named(folders):
    split_folder, shards = folders
    splits = promised(split_folder)
    key = next(iter(splits))
    write_shards(shards, splits, index={other: name for other, name in splits.items() if other != key})
    assert check(split_folder, shards) == [
        f"{shards}: {key} ({splits[key]}) is in a shard but not in the index; write the shards again"
    ]


def test_a_certificate_that_states_a_crossing_is_named(folders):
    path = folders[0] / "certificate.json"
    content = json.loads(path.read_text())
    content["crossing"]["subjects"] = 2
    path.write_text(json.dumps(content))
    assert check(*folders) == [f"{path}: states that 2 subjects cross"]


def test_a_missing_index_is_one_line(folders):
    (folders[1] / "index.parquet").unlink()
    problems = check(*folders)
    assert len(problems) == 1
    assert "index.parquet" in problems[0]


def test_crossing_by_hand():
    names = ["a", "b", None, "a", "b", None]
    assert crossing(names, ["train", "val", "train", "test", "val", "test"]) == {"a": ["test", "train"]}


def test_a_torn_shard_is_named(folders):
    (folders[1] / "parquet/val-00000.parquet").write_bytes(b"PAR1 torn")
    problems = check(*folders)
    assert len(problems) == 1
    assert "val-00000.parquet: not a readable Parquet file" in problems[0]


def test_a_class_whose_groups_are_too_large_is_said(datasets, params, tmp_path):
    datasets.add("d", "both", [sample(f"{n}.png", 0, subject="only one") for n in range(20)])
    split(datasets.aligned, datasets.labels, datasets.roles, tmp_path / "out", params, seed=1, workers=1)
    certificate = json.loads((tmp_path / "out/certificate.json").read_text())
    off = certificate["off_by_more_than_tolerance"]
    assert list(off) == ["d"]
    assert list(off["d"]) == ["anger"]
    (reached,) = (name for name, share in certificate["shares"]["d"]["anger"].items() if share == 1.0)
    asked = {"train": 0.675, "val": 0.075, "test": 0.25}
    assert off["d"]["anger"] == {name: pytest.approx((name == reached) - share) for name, share in asked.items()}


def test_a_missed_share_of_validation_is_said_of_official_training_rows_too(datasets, params, tmp_path):
    rows = [sample(f"{n}.png", 0, subject="only one", split="train") for n in range(20)]
    datasets.add("d", "train", rows + [sample(f"o{n}.png", 1, split="train") for n in range(100)])
    split(datasets.aligned, datasets.labels, datasets.roles, tmp_path / "out", params, seed=1, workers=1)
    certificate = json.loads((tmp_path / "out/certificate.json").read_text())
    assert certificate["off_by_more_than_tolerance"] == {"d": {"anger": {"train": 0.1, "val": -0.1}}}


def test_what_is_dropped_is_counted_by_split_and_class(datasets, params, tmp_path):
    """Of 10 training pictures of anger 2 are of people in the test part, of 20 of fear 1; happy loses none."""
    train = [sample(f"a{n}.png", 0, subject=f"T{n}" if n < 2 else None, split="train") for n in range(10)]
    train += [sample(f"f{n}.png", 3, subject="T2" if n < 1 else None, split="train") for n in range(20)]
    train += [sample(f"h{n}.png", 4, split="train") for n in range(5)]
    tested = [sample(f"t{n}.png", 0, subject=f"T{n}", split="test") for n in range(3)]
    datasets.add("d", "both", train + tested)
    done = split(datasets.aligned, datasets.labels, datasets.roles, tmp_path / "out", params, seed=1, workers=1)
    lost = {"anger": {"dropped": 2, "of": 10, "share": 0.2}, "fear": {"dropped": 1, "of": 20, "share": 0.05}}
    assert done["dropped"] == {"d": {"train": lost}}
    certificate = json.loads((tmp_path / "out/certificate.json").read_text())
    assert certificate["resolved"]["by_class"] == done["dropped"]


@pytest.mark.parametrize("duplicates", ["near", "identical"])
def test_it_says_which_changes_were_looked_for(datasets, params, tmp_path, duplicates):
    pictures = [encode_face(np.random.default_rng(n).integers(0, 256, (64, 64), np.uint8)) for n in range(8)]
    datasets.add("d", "both", [sample(f"{n}.png", n % 8, image=picture) for n, picture in enumerate(pictures)])
    contract = {"align": {"margin": 0.1}}
    write_snapshot(datasets.aligned["d"], Snapshot("align", "made", (), {}, {}, {}, contract))
    chosen = params.model_copy(update={"duplicates": duplicates})
    split(datasets.aligned, datasets.labels, datasets.roles, tmp_path / "split", chosen, seed=1, workers=1)
    policy = json.loads((tmp_path / "split/certificate.json").read_text())["policy"]
    assert any("mirrored" in change for change in policy["changes_looked_for"]) == (duplicates == "near")


def test_what_was_not_looked_for_is_null_and_not_none_found(datasets, params, tmp_path):
    def crossing_of(name, **changes):
        given = params.model_copy(update=changes)
        split(datasets.aligned, datasets.labels, datasets.roles, tmp_path / name, given, seed=1, workers=1)
        certificate = json.loads((tmp_path / name / "certificate.json").read_text())
        counts = certificate["counts"]
        assert {kind for kind in counts if counts[kind] is None} == {
            kind for kind, count in certificate["crossing"].items() if count is None
        }
        return certificate["crossing"]

    picture = encode_face(np.zeros((8, 8), np.uint8))
    datasets.add("d", "both", [sample(f"{n}.png", n % 8, image=picture) for n in range(40)])
    contract = {"align": {"margin": 0.1}}
    write_snapshot(datasets.aligned["d"], Snapshot("align", "made", (), {}, {}, {}, contract))
    always = {"groups": 0, "files": 0, "pictures": 0, "decided": 0}
    nothing = dict.fromkeys(("subjects", "sequences", "duplicates", "identities"))
    assert crossing_of("nobody") == always | nothing
    assert crossing_of("identical", duplicates="identical") == always | nothing | {"duplicates": 0}
    datasets.add("e", "both", [sample(f"{n}.png", n % 8, subject="S", sequence="1", image=picture) for n in range(4)])
    assert crossing_of("named") == always | nothing | {"subjects": 0, "sequences": 0}


def test_as_many_people_as_pictures_are_unknown_and_not_none_that_cross(datasets, params, tmp_path):
    named = [sample(f"img{n}.png", n % 8, subject=f"img{n}") for n in range(40)]
    datasets.add("d", "both", [*named, sample("img0.png", 0, n=1, subject="img0")])  # two faces of one picture

    def certificate(name):
        split(datasets.aligned, datasets.labels, datasets.roles, tmp_path / name, params, seed=1, workers=1)
        rows = read_table(tmp_path / name / "split.parquet").to_pylist()
        shards = tmp_path / f"{name} shards"
        write_shards(shards, {row["sample_id"]: row["split"] for row in rows})
        assert check(tmp_path / name, shards) == []
        return json.loads((tmp_path / name / "certificate.json").read_text())

    alone = certificate("alone")
    assert (alone["crossing"]["subjects"], alone["counts"]["subjects"]) == (None, None)
    datasets.add("e", "both", [sample(f"{n}.png", n % 8, subject=f"S{n // 2}") for n in range(20)])
    both = certificate("both")
    assert (both["crossing"]["subjects"], both["counts"]["subjects"]) == (0, 10)


@pytest.mark.parametrize(
    ("kind", "stated", "said"),
    [
        ("groups", None, "does not state how many groups cross"),
        ("pictures", None, "does not state how many pictures cross"),
        ("subjects", None, "does not state how many subjects cross"),
        ("files", "none", "does not state how many files cross"),
        ("files", False, "does not state how many files cross"),
        ("sequences", 3, "states that 3 sequences cross"),
    ],
)
def test_a_certificate_must_state_what_was_looked_for(folders, kind, stated, said):
    path = folders[0] / "certificate.json"
    content = json.loads(path.read_text())
    assert content["crossing"]["identities"] is None
    content["crossing"][kind] = stated
    path.write_text(json.dumps(content))
    (line,) = check(*folders)
    assert line.startswith(f"{path}: {said}")


def test_a_sample_without_links_is_not_left_out_of_the_count(folders):
    split_folder, shards = folders
    write_shards(shards, promised(split_folder))
    path = split_folder / "links.parquet"
    links = pq.read_table(path)
    pq.write_table(links.slice(0, 0), path)
    (problem,) = check(split_folder, shards)
    assert f"{path}: {len(links)} written samples are not in it" in problem
    (split_folder / "certificate.json").write_text('{"crossing": []}')
    assert any("not a certificate" in line for line in check(split_folder, shards))
