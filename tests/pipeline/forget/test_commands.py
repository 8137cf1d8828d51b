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
