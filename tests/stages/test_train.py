"""`prep train`: the line it ends with says which network was trained, and how."""

import json

import pytest
import yaml

from stages.cli import run
from tests.imports import ROOT
from tests.models.training_inputs import make_training_shards


@pytest.mark.parametrize(("model", "preset"), [("proposed", "thesis-augmented"), ("baseline", "thesis")])
def test_the_preset_says_how_and_the_model_stays_the_one_that_was_asked_for(
    model, preset, tmp_path, monkeypatch, capsys
):
    values = yaml.safe_load((ROOT / "params.yaml").read_text())
    values["train"] |= {"model": model, "preset": preset}
    values["train"]["presets"]["thesis"] |= {"size_px": 32, "epochs": 1, "threads": 1}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(values))
    monkeypatch.chdir(tmp_path)
    make_training_shards(tmp_path, rows=24)
    assert run(["train", "--src", "shards", "--out", "out"]) == 0
    augment = "thesis" if preset == "thesis-augmented" else "none"
    assert f"train: {model} (preset {preset}, augment {augment}, 32 px), " in capsys.readouterr().out
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert (summary["model"], summary["preset"], summary["augment"]) == (model, preset, augment)
