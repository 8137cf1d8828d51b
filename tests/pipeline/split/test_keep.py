"""An earlier split that is kept: nobody leaves the set he was in, however the datasets grow."""

import json

import numpy as np
import pyarrow as pa
import pytest

from pipeline.core.errors import DataError, ParamsError, TableError
from pipeline.core.schema import SPLIT
from pipeline.core.tables import read_table, write_table
from pipeline.split.stage import run as split

from .conftest import Datasets, sample


def run(datasets, params, out, *, keep=None, seed=1):
    given = params.model_copy(update={"keep": keep and str(keep)})
    summary = split(datasets.aligned, datasets.labels, datasets.roles, out, given, seed=seed, workers=1)
    rows = read_table(out / "split.parquet").to_pylist()
    return summary, {row["sample_id"]: row["split"] for row in rows}


class World:
    """Datasets of all roles that grow at random: samples, people, copies and whole datasets are added."""

    def __init__(self, seed):
        self.random = np.random.default_rng(seed)
        self.samples = {name: [] for name in ("people", "pictures", "official", "trained", "tested")}
        self.roles = dict.fromkeys(self.samples, "both") | {"trained": "train", "tested": "test"}
        self.number = 0
        self.grow(150)

    def grow(self, count):
        for _ in range(count):
            name = str(self.random.choice(list(self.samples)))
            self.number += 1
            subject = f"S{self.random.integers(1 + self.number // 6)}" if name in ("people", "tested", "new") else None
            official = ("train", "val", "test")[self.random.integers(3)] if name == "official" else None
            copied = self._copied() if self.random.random() < 0.1 else None
            label = int(self.random.integers(8)) if self.random.random() < 0.95 else None
            path = f"{self.random.integers(1000):03d}-{self.number}.png"
            self.samples[name].append(sample(path, label, subject=subject, split=official, md5=copied))

    def _copied(self):
        every = [entry for samples in self.samples.values() for entry in samples]
        return every[self.random.integers(len(every))]["source_md5"] if every else None

    def add_dataset(self, name):
        self.samples = {name: [], **self.samples}
        self.roles[name] = "both"

    def write(self, folder):
        datasets = Datasets(folder)
        for name, samples in self.samples.items():
            datasets.add(name, self.roles[name], samples)
        return datasets


@pytest.mark.parametrize("seed", range(6))
def test_no_kept_sample_changes_its_split_however_datasets_grow(params, tmp_path, seed):
    world = World(seed)
    _, before = run(world.write(tmp_path / "0/in"), params, tmp_path / "0/out")
    for step, count in ((1, 60), (2, 200)):
        if step == 2:
            world.add_dataset("another")
            world.add_dataset("new")
        world.grow(count)
        keep = tmp_path / f"{step - 1}/out/split.parquet"
        # Not even another seed moves one.
        summary, after = run(
            world.write(tmp_path / f"{step}/in"), params, tmp_path / f"{step}/out", keep=keep, seed=step
        )
        assert not [key for key, name in after.items() if before.get(key, name) != name]
        assert not any(summary["crossing"].values())
        held = sum(key in before for key in after)
        said = summary["keep"]
        assert (said["kept"], said["new"]) == (held, len(after) - held)
        assert said["conflicts"] + said["unused"] == len(before) - held
        assert set(after.values()) == {"train", "val", "test"}
        rejected = {row["sample_id"]: row for row in read_table(tmp_path / f"{step}/out/rejects.parquet").to_pylist()}
        lost = [key for key in before if key not in after]
        assert (
            sum(rejected[key]["detail"].startswith(f"was in {before[key]}, but ") for key in lost) == said["conflicts"]
        )
        before = after


def write_splits(path, splits):
    rows = [{"sample_id": key, "split": name, "group_id": key} for key, name in splits.items()]
    write_table(path, pa.Table.from_pylist(rows, schema=SPLIT))
    return path


def test_a_group_that_joins_two_kept_splits_leaves_the_test_set_whole(datasets, params, tmp_path):
    joined = [sample(f"{n}.png", 0, subject="S") for n in range(4)]
    datasets.add("d", "both", [*joined, *(sample(f"o{n}.png", 0) for n in range(20))])
    names = dict(zip((f"d/{n}.png#0" for n in range(3)), ("train", "test", "val"), strict=True))
    keep = write_splits(tmp_path / "keep.parquet", names | {"d/gone.png#0": "train"})
    summary, splits = run(datasets, params, tmp_path / "out", keep=keep)
    assert {key: splits.get(key) for key in (*names, "d/3.png#0")} == {
        "d/0.png#0": None, "d/1.png#0": "test", "d/2.png#0": None, "d/3.png#0": "test"
    }  # fmt: skip
    certificate = json.loads((tmp_path / "out/certificate.json").read_text())
    assert certificate["keep"] == {"file": keep.as_posix(), "kept": 1, "new": 21, "conflicts": 2, "unused": 1}
    assert summary["rejected"] == {"group_spans_splits": 2}
    details = {row["sample_id"]: row["detail"] for row in read_table(tmp_path / "out/rejects.parquet").to_pylist()}
    assert details["d/0.png#0"] == "was in train, but subject:d/S is in test, which is kept whole"


@pytest.mark.parametrize(("role", "before"), [("test", "train"), ("train", "test")])
def test_a_changed_role_drops_what_was_elsewhere_rather_than_moving_it(datasets, params, tmp_path, role, before):
    datasets.add("d", role, [sample(f"{n}.png", n % 8) for n in range(40)])
    keep = write_splits(tmp_path / "keep.parquet", {f"d/{n}.png#0": before for n in range(10)})
    summary, splits = run(datasets, params, tmp_path / "out", keep=keep)
    assert summary["keep"]["conflicts"] == 10
    assert len(splits) == 30
    assert not {f"d/{n}.png#0" for n in range(10)} & set(splits)


def test_new_samples_fill_the_shares_that_kept_ones_leave(datasets, params, tmp_path):
    datasets.add("d", "both", [sample(f"{n:04d}.png", 0) for n in range(1000)])
    keep = write_splits(tmp_path / "keep.parquet", {f"d/{n:04d}.png#0": "train" for n in range(500)})
    _, splits = run(datasets, params, tmp_path / "out", keep=keep)
    names = list(splits.values())
    assert names.count("test") == pytest.approx(250, abs=10)
    assert names.count("val") == pytest.approx(75, abs=10)
    certificate = json.loads((tmp_path / "out/certificate.json").read_text())
    assert certificate["off_by_more_than_tolerance"] == {}


def test_a_file_that_is_no_split_is_one_line(datasets, params, tmp_path):
    datasets.add("d", "both", [sample("0.png", 0)])
    twice = pa.Table.from_pylist([{"sample_id": "d/0.png#0", "split": "train", "group_id": "g"}] * 2, schema=SPLIT)
    write_table(tmp_path / "twice.parquet", twice)
    (tmp_path / "torn.parquet").write_bytes(b"PAR1 torn")
    write_splits(tmp_path / "named.parquet", {"d/0.png#0": "dev"})
    write_table(tmp_path / "other.parquet", pa.table({"sample_id": ["d/0.png#0"]}))
    for name, error, message in (
        ("twice", DataError, r"twice\.parquet: 'd/0\.png#0' is there twice"),
        ("named", DataError, r"named\.parquet: 'd/0\.png#0' has the split 'dev'; expected one of train, val, test"),
        ("torn", TableError, r"torn\.parquet"),
        ("other", TableError, r"other\.parquet: no column 'split'"),
    ):
        with pytest.raises(error, match=message):
            run(datasets, params, tmp_path / "out", keep=tmp_path / f"{name}.parquet")
        assert not (tmp_path / "out").exists()


def test_folds_and_a_kept_split_exclude_each_other(datasets, params, tmp_path):
    datasets.add("d", "both", [sample(f"{n}.png", 0) for n in range(9)])
    keep = write_splits(tmp_path / "keep.parquet", {"d/0.png#0": "train"})
    with pytest.raises(ParamsError, match=r"split\.keep: .* has one test set, split\.folds: 3"):
        run(datasets, params.model_copy(update={"folds": 3}), tmp_path / "out", keep=keep)
