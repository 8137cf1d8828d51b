"""The model card, as the Hub's own library reads it, beside the figures of the evaluation that it is of."""

import json

import pytest
import yaml
from huggingface_hub import ModelCard

from models.checkpoint import load_checkpoint
from models.evaluation.stage import run as evaluate
from models.inference.model_card import build_model_card, is_model_card
from pipeline.core.errors import ModelError
from stages.cli import run as prep
from tests.run_inputs import evaluate_params, make_run, make_shards


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A network, its evaluation, and its card."""
    root = tmp_path_factory.mktemp("card")
    shards = make_shards(root, rows=60)
    make_run(shards, root / "run")
    evaluate(shards, root / "run", root / "test", evaluate_params(saliency_per_class=0, mistakes=0), seed=1)
    return root, build_model_card(load_checkpoint(root / "run"), root / "run", "model.onnx", root / "test")


def test_the_header_is_the_hub_s(made):
    root, text = made
    card = ModelCard(text)
    assert card.data.to_dict().keys() >= {"library_name", "pipeline_tag", "license", "tags", "model-index"}
    metrics = json.loads((root / "test/metrics.json").read_text())
    results = {result.metric_type: result.metric_value for result in card.data.eval_results}
    assert results == {name: metrics[name] for name in ("accuracy", "balanced_accuracy", "macro_f1")}
    assert card.data.eval_results[0].dataset_name == "one, two"


def test_figures_have_their_intervals_and_groups_are_told(made):
    root, text = made
    details = json.loads((root / "test/details.json").read_text())
    name, scores = next(one for one in details["per_class"].items() if one[1]["recall"] is not None)
    recall = scores["recall"]
    cells = f"{recall['value']:.3f} [{recall['low']:.3f}, {recall['high']:.3f}]"
    assert f"| {name} | {scores['support']} | {cells} |" in text
    one = next(one for one in details["groups"]["gender"] if one["value"] == "female")
    assert f"| female | {one['rows']} | {one['people']}{', few' * one['few']} | {one['accuracy']:.3f} [" in text
    assert "**Not tested by race**" in text
    for words in ("must not be used for", "2024/1689", "terms not known to this project"):
        assert words in text


def test_an_untested_network_says_so(made):
    root, _ = made
    text = build_model_card(load_checkpoint(root / "run"), root / "run", "model.onnx", None)
    assert "It was not tested" in text
    assert "model-index" not in yaml.safe_load(text.split("---")[1])


def test_the_evaluation_of_another_network_is_refused(made, tmp_path):
    root, _ = made
    (tmp_path / "other").mkdir()
    metrics = json.loads((root / "test/metrics.json").read_text())
    metrics["snapshot"]["trained_on"] = "0" * 64
    (tmp_path / "other/metrics.json").write_text(json.dumps(metrics))
    (tmp_path / "other/details.json").write_text("{}")
    with pytest.raises(ModelError, match="of other shards; run prep evaluate again"):
        build_model_card(load_checkpoint(root / "run"), root / "run", "model.onnx", tmp_path / "other")
    (tmp_path / "other/metrics.json").write_text("[]")
    with pytest.raises(ModelError, match="not an evaluation"):
        build_model_card(load_checkpoint(root / "run"), root / "run", "model.onnx", tmp_path / "other")


def test_another_training_on_the_same_shards_has_no_figures_of_this_one(made, tmp_path, monkeypatch, capsys):
    """The same network, trained again with another seed: its shards and its name are those of the tested one."""
    root, text = made
    again = make_run(root / "shards", tmp_path / "again", seed=2)
    weights = [(folder / "model.safetensors").read_bytes() for folder in (root / "run", again)]
    assert weights[0] != weights[1]
    monkeypatch.chdir(tmp_path)
    for run in (again, again / "model.safetensors"):
        assert prep(["export", "--run", str(run), "--out", "m/a.onnx", "--evaluation", str(root / "test")]) == 1
        assert f"{root}/test: tests another training of proposed than {run}; run prep" in capsys.readouterr().err
    alone = tmp_path / "model.safetensors"  # without a snapshot there is only the network and its shards to go by
    alone.write_bytes(weights[0])
    assert build_model_card(load_checkpoint(alone), alone, "model.onnx", root / "test") == text


def test_export_replaces_its_own_card_and_no_other_text(made, tmp_path, monkeypatch, capsys):
    root, _ = made
    monkeypatch.chdir(tmp_path)
    command = ["export", "--run", str(root / "run"), "--out", str(tmp_path / "m/a.onnx")]
    assert prep([*command, "--evaluation", str(root / "test")]) == 0
    card = tmp_path / "m/README.md"
    assert is_model_card(card)
    assert "`a.onnx`" in card.read_text()
    assert prep(command) == 0
    assert "It was not tested" in card.read_text()
    card.write_text("# My own")
    assert prep(command) == 2
    assert "README.md: not a model card of prep" in capsys.readouterr().err
    assert card.read_text() == "# My own"
