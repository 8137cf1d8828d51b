"""The two tables, from what `dvc exp show --json` prints."""

import pytest

from pipeline.errors import UsageError
from stages.tables import build_table, read_published, read_runs

PRESETS = {"thesis": {"epochs": 10, "augment": "none"}, "thesis-augmented": {"preset": "thesis", "augment": "thesis"}}


def revision(model, score, *, name=None, metrics=True, **train):
    values = {"model": model, "augment": "strong", "preset": "none", "presets": PRESETS, **train}
    block = {"balanced_accuracy": score, "interval": {"balanced_accuracy": {"low": score - 0.1, "high": score + 0.1}}}
    content = {"data": {**block, "per_dataset": {"ckplus": block}}} if metrics else {"error": {"type": "KeyError"}}
    data = {
        "params": {"params.yaml": {"data": {"train": values}}},
        "metrics": {"runs/evaluate/metrics.json": content},
    }
    return {"rev": "0123456789", "name": name, "data": data}


@pytest.fixture
def shown():
    baseline = revision("proposed", 0.5)
    experiments = [
        {"revs": [revision("vgg16", 0.4, name="newer", preset="thesis")]},
        {"revs": [revision("vgg16", 0.3, name="older", preset="thesis")]},
        {"revs": [revision("vgg19", 0.2, preset="thesis-augmented")]},
        {"revs": [revision("baseline", 0.1, metrics=False)]},
        {"revs": None},
    ]
    # While an experiment runs, the workspace has its parameters beside the metrics of the one before.
    workspace = {**revision("vgg16", 0.9, preset="thesis-augmented"), "rev": "workspace"}
    return [workspace, {**baseline, "experiments": [{"revs": [workspace]}, *experiments]}]


def test_runs_are_read_with_their_presets_and_what_failed_is_passed_over(shown):
    assert [(run.model, run.augment) for run in read_runs(shown)] == [
        ("proposed", "strong"),
        ("vgg16", "none"),
        ("vgg16", "none"),
        ("vgg19", "thesis"),
    ]


def test_the_newest_run_of_a_network_is_its_row(shown):
    runs = [run for run in read_runs(shown) if run.augment == "none"]
    assert build_table(runs, {}).splitlines() == [
        "| network | all | ckplus |",
        "|---|---|---|",
        "| vgg16 | 0.400 (0.300 to 0.500) | 0.400 (0.300 to 0.500) |",
    ]
    assert build_table([], {}) == "No experiment yet.\n"


def test_published_figures_stand_beside_ours(shown, tmp_path):
    path = tmp_path / "published.csv"
    path.write_text("model,augment,dataset,accuracy\nvgg16,none,ckplus,0.61\n")
    runs = [run for run in read_runs(shown) if run.augment == "none"]
    assert "0.400 (0.300 to 0.500), published 0.610 |" in build_table(runs, read_published(path))
    path.write_text("model,augment,dataset,accuracy\nvgg16,none,ckplus,high\n")
    with pytest.raises(UsageError, match=r"published.csv, row 2: expected model,augment,dataset,accuracy"):
        read_published(path)
