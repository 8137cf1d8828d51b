"""The commands that are printed, where a stage of DVC's writes the raw tree, and where `dvc add` tracks it."""

import shutil

from pipeline.forget.commands import removal
from pipeline.forget.holder import Holder
from tests.imports import ROOT


def test_a_stage_that_writes_the_raw_tree_does_not_bring_pictures_back(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "raw").mkdir()
    for name in ("dvc.yaml", "dvc.lock", "raw/dvc.yaml", "raw/dvc.lock"):
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "raw/my faces.dvc").write_text("outs: []\n")
    places = ["raw/demo/ckplus/a.png", "raw/my faces/b.png", "raw/other/c.png"]
    said = list(removal([Holder("raw", place, (), "") for place in places]))
    assert said == [
        "rm raw/demo/ckplus/a.png",
        "rm 'raw/my faces/b.png'",
        "rm raw/other/c.png",
        "dvc add 'raw/my faces'",
        "dvc commit --force raw/dvc.yaml:demo",
        "dvc repro",
        "git add decisions 'raw/my faces.dvc' dvc.lock raw/dvc.lock runs",
        "git commit -m 'Withdraw samples'",
        "dvc gc --workspace --force",
        "prep verify --forgotten",
    ]


def test_only_results_that_no_stage_writes_again_are_removed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "raw").mkdir()
    for name in ("dvc.yaml", "dvc.lock", "raw/dvc.yaml", "raw/dvc.lock"):
        shutil.copy(ROOT / name, tmp_path / name)
    for folder in ("runs/report", "runs/mine"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "snapshot.json").write_text("{}")
    # The outputs of the stage `report` are files in its folder, and those of `shard` are a folder.
    staged = ["runs/report", "runs/report/index.html", "runs/evaluate", "data/shards/parquet/test-00000.parquet"]
    strays = {
        "runs/report/stray.jpg": "runs/report/stray.jpg",
        "runs/mine/data/a.jpg": "runs/mine",
        "runs/mine": "runs/mine",
    }
    holders = [Holder(kind, place, (), "") for place in (*staged, *strays) for kind in ("result", "drawn")]
    removed = [line.removeprefix("rm -rf ") for line in removal(holders) if line.startswith("rm")]
    assert removed == ["runs/mine", "runs/report/stray.jpg"]
