"""`prep split`, `prep shard` and `prep verify` as typed: a mixture, a true certificate and a broken one."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.core.lineage.identity import file_md5, folder_files
from pipeline.core.lineage.snapshot import Snapshot, file_table, write_snapshot
from pipeline.images import encode_face
from pipeline.shards.read import open_shards
from stages.cli import run
from tests.pipeline.split.conftest import Datasets, sample

ROOT = Path(__file__).parents[2]
ENTRY = "  {name}: {{src: raw/{name}, format: folder, role: {role}}}\n"


def made(name, count, *, subjects=False, split=None):
    """Samples of random pictures; every subject has four of them."""
    random = np.random.default_rng(sum(name.encode()))
    return [
        sample(
            f"{name}{number:03d}.png",
            number % 8,
            subject=f"S{number // 4:03d}" if subjects else None,
            split=split and split[number % len(split)],
            image=encode_face(random.integers(0, 256, (48, 48), np.uint8)),
        )
        for number in range(count)
    ]


def test_a_dataset_of_which_nothing_is_left_is_told_and_all_of_them_an_error(project, capsys):
    """One that is only trained on, whose rows are all of its official test part."""
    project.add("trained", "train", made("trained", 8, split=("test",)))
    assert run(["split"]) == 0
    said = capsys.readouterr().out
    assert "trained: none of 8 rows is left; 8 of them outside_role: trained/trained000.png#0: " in said
    summary = json.loads(Path("data/split/summary.json").read_text())
    assert list(summary["nothing_left"]) == ["trained"]
    for name in ("free", "people", "tested"):
        shutil.rmtree(project.aligned[name])
        shutil.rmtree(project.selected[name])
        shutil.rmtree(project.labels[name])
    text = Path("params.yaml").read_text()
    lines = [line for line in text.splitlines() if not re.match(r"  (free|people|tested): \{src", line)]
    Path("params.yaml").write_text("\n".join(lines))
    shutil.rmtree("data/split")
    assert run(["split"]) == 1
    assert "none of 8 rows is left; 8 of them outside_role" in capsys.readouterr().err
    assert not Path("data/split").exists()


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Four datasets with every role, one of which holds a training picture of another, before the split."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PREP_WORKERS", "1")
    datasets = Datasets(Path("data"))
    free, tested = made("free", 160), made("tested", 40, subjects=True)
    tested[0] |= {"image": free[0]["image"]}
    datasets.add("free", "both", free).add("people", "both", made("people", 160, subjects=True))
    datasets.add("trained", "train", made("trained", 80, split=("train", "train", "train", "test")))
    datasets.add("tested", "test", tested)
    for name, folder in datasets.aligned.items():
        align = {"template": "arcface-112", "size_px": 48, "margin": 0.1, "border": "constant"}
        contract = {"align": align, "equalize": {"method": "none"}}
        for place, stage, holds in (
            (folder, "equalize", contract),
            (datasets.selected[name], "select", {}),
            (datasets.labels[name], "harmonize", {}),
        ):
            write_snapshot(place, Snapshot(stage, name, (), {}, {}, file_table(folder_files(place)), holds))
    before, _, rest = (ROOT / "params.yaml").read_text().partition("datasets:\n")
    entries = "".join(ENTRY.format(name=name, role=role) for name, role in datasets.roles.items())
    Path("params.yaml").write_text(f"{before}datasets:\n{entries}\n{rest[rest.index('demo:') :]}")
    return datasets


def test_a_mixture_goes_through_with_a_certificate_of_zeros(project, capsys):
    assert run(["split"]) == 0
    assert "0 cross (not looked for: sequences, identities)" in capsys.readouterr().out
    certificate = json.loads(Path("data/split/certificate.json").read_text())
    zeros = dict.fromkeys(("groups", "subjects", "files", "pictures", "duplicates", "decided"), 0)
    assert certificate["crossing"] == zeros | {"sequences": None, "identities": None}
    assert certificate["counts"]["subjects"] == 50
    # The training picture that the test dataset holds too; the official test part of what is only trained on.
    assert certificate["counts"]["duplicates"] == 1
    splits = {row["sample_id"]: row["split"] for row in pq.read_table("data/split/split.parquet").to_pylist()}
    assert splits["free/free000.png#0"] == splits["tested/tested000.png#0"] == "test"
    assert {name for key, name in splits.items() if key.startswith("tested/")} == {"test"}
    assert {name for key, name in splits.items() if key.startswith("trained/")} == {"train", "val"}
    assert run(["shard", "--faces", "data/aligned"]) == 0
    assert set(open_shards(Path("data/shards")).splits) == {"train", "val", "test"}
    assert run(["verify", "data/shards/shards.json"]) == 0


def test_what_is_dropped_and_which_class_misses_its_share_is_said(tmp_path, monkeypatch, project, capsys):
    train = [sample(f"a{n}.png", 0, subject="both" if n < 2 else None, split="train") for n in range(8)]
    project.add("parts", "both", [*train, sample("t.png", 0, subject="both", split="test")])
    project.add("one", "both", [sample(f"{n}.png", 4, subject="only one") for n in range(20)])
    path = Path("params.yaml")
    entries = "".join(ENTRY.format(name=name, role="both") for name in ("parts", "one"))
    text = path.read_text().replace("datasets:\n", f"datasets:\n{entries}", 1)
    path.write_text(text.replace("duplicates: near", "duplicates: none"))
    assert run(["split"]) == 0
    lines = capsys.readouterr().out.splitlines()
    (parts,) = (line for line in lines if line.startswith("parts: "))
    assert parts.startswith(
        "parts: dropped of train, because the group is kept whole elsewhere: 25.0% of anger (2 of 8)"
    )
    (one,) = (line for line in lines if line.startswith("one: "))
    assert one.startswith("one: off its share, in points: happy ")


def keep(file):
    path = Path("params.yaml")
    path.write_text(re.sub(r"(?m)^  keep: .*$", f"  keep: {file}", path.read_text()))


def test_an_earlier_split_is_kept_and_verified(project, capsys):
    run(["split"])
    Path("splits").mkdir()
    file = shutil.copy("data/split/split.parquet", "splits/first.parquet")
    before = {row["sample_id"]: row["split"] for row in pq.read_table(file).to_pylist()}
    keep(file)
    # Another seed and other shares would put nearly everyone elsewhere.
    path = Path("params.yaml")
    path.write_text(
        path.read_text().replace("seed: 20", "seed: 21", 1).replace("train_share: 0.75", "train_share: 0.4")
    )
    capsys.readouterr()
    assert run(["split"]) == 0
    assert f"{file}: {len(before)} kept, 0 new, 0 dropped" in capsys.readouterr().out
    assert {row["sample_id"]: row["split"] for row in pq.read_table("data/split/split.parquet").to_pylist()} == before
    snapshot = json.loads(Path("data/split/snapshot.json").read_text())
    assert snapshot["inputs"][-1] == {"path": file, "md5": file_md5(Path(file)), "snapshot": None}
    assert run(["shard", "--faces", "data/aligned"]) == 0
    assert run(["verify", "data/shards/shards.json"]) == 0
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@localhost"]
    for added, told in (([], "no commit yet"), ([file], "commits {}")):
        subprocess.run([*git, "add", *added] if added else [*git, "init", "-q"], check=True)
        subprocess.run([*git, "commit", "-qm", "k", "--allow-empty"], check=True)
        newest = subprocess.check_output([*git, "log", "-1", "--format=%h"], text=True).strip()
        capsys.readouterr()
        assert run(["trace", "data/split/split.parquet"]) == 0
        held = f"{file}  md5 {file_md5(Path(file))}  a split that is kept, in {told.format(newest)}"
        assert held in capsys.readouterr().out
    # The file is changed: its hash and what it had of one sample.
    table = pq.read_table(file)
    moved = next(number for number, name in enumerate(table["split"].to_pylist()) if name == "train")
    splits = [name if number != moved else "test" for number, name in enumerate(table["split"].to_pylist())]
    pq.write_table(table.set_column(1, table.schema.field("split"), pa.array(splits)), file)
    capsys.readouterr()
    assert run(["verify", "data/shards/shards.json"]) == 1
    said = capsys.readouterr().err
    assert f"{file}: not what data/split was made from" in said
    assert f"had {table['sample_id'][moved]} in test, now it is in train" in said


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("data/split.parquet", "expected a file below splits/, which DVC watches, not 'data/split.parquet'"),
        ("splits/../data/split.parquet", "expected a file below splits/"),
        ("splits", "expected a file below splits/"),
        ("splits/none.parquet", r"split.keep: splits/none.parquet: not there; cp data/split/split.parquet"),
    ],
)
def test_a_split_to_keep_lies_where_dvc_watches_it(project, capsys, file, message):
    keep(file)
    assert run(["split"]) == 2
    assert message in capsys.readouterr().err


def test_verify_names_a_row_that_was_put_into_another_set(project, capsys):
    run(["split"])
    run(["shard", "--faces", "data/aligned"])
    train, test = Path("data/shards/parquet/train-00000.parquet"), Path("data/shards/parquet/test-00000.parquet")
    rows = pq.read_table(train)
    names = rows["sample_id"].to_pylist()
    moved = next(number for number, name in enumerate(names) if name.startswith("people/"))
    person = rows["subject_id"][moved].as_py()
    pq.write_table(pa.concat_tables([pq.read_table(test), rows.slice(moved, 1)]), test)
    pq.write_table(rows.take([number for number in range(len(rows)) if number != moved]), train)
    capsys.readouterr()
    assert run(["verify", "data/shards/shards.json"]) == 1
    said = capsys.readouterr().err
    assert f"{names[moved]} is in test, but split.parquet says train" in said
    assert f"subject people/{person} is in test and train" in said


def test_a_dataset_without_labels_is_one_line(project, capsys):
    shutil.rmtree("data/labels/people")
    assert run(["split"]) == 1
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1
    assert "data/labels/people" in error


def test_a_fold_out_of_range_is_wrong_use(project, capsys):
    text = Path("params.yaml").read_text()
    Path("params.yaml").write_text(text.replace(" folds: 0", " folds: 5").replace(" fold: 0", " fold: 5"))
    assert run(["split"]) == 2
    assert "split.fold: 5 of split.folds: 5" in capsys.readouterr().err
