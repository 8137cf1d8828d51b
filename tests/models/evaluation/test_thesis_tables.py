"""The two tables, from what `dvc exp show --json` prints."""

import json
from dataclasses import replace

import pytest

from models.evaluation.thesis_tables import build_page, build_table, choose_runs, read_runs
from pipeline.core.errors import UsageError
from stages.cli import run


def revision(model, score, *, metrics=True, augment="none", shards="aa11"):
    block = {"balanced_accuracy": score, "interval": {"balanced_accuracy": {"low": score - 0.1, "high": score + 0.1}}}
    measured = {
        **block,
        "per_dataset": {"ckplus": block},
        "network": {"model": model} | ({"augment": augment} if augment else {}),
        "seeds": {"training": 7, "bootstrap": 1},
        "snapshot": {"shards": shards},
        "data": {"raw/ckplus": "5d41.dir"},
    }
    content = {"data": measured} if metrics else {"error": {"type": "KeyError"}}
    return {"rev": "0123456789", "data": {"metrics": {"runs/evaluate/metrics.json": content}}}


@pytest.fixture
def shown():
    baseline = revision("proposed", 0.5, augment="strong")
    experiments = [
        # Until it is done, an experiment shows the metrics of the commit that it began with.
        {"revs": [revision("vgg16", 0.8)], "executor": {"state": "running"}},
        {"revs": [revision("vgg16", 0.4)], "executor": {"state": "success"}},
        {"revs": [revision("vgg16", 0.3)], "executor": None},
        {"revs": [revision("vgg19", 0.2, augment="thesis")]},
        {"revs": [revision("baseline", 0.1, metrics=False)]},
        {"revs": [revision("compact", 0.7, shards="bb22")]},
        {"revs": [revision("hog-svm", 0.6, augment=None, shards="bb22")]},
        {"revs": None},
    ]
    workspace = {**revision("vgg16", 0.9, augment="thesis"), "rev": "workspace"}
    return [workspace, {**baseline, "experiments": [{"revs": [workspace]}, *experiments]}]


def test_finished_runs_are_read_with_what_they_measured(shown):
    assert [(run.model, run.augment, run.shards) for run in read_runs(shown)] == [
        ("proposed", "strong", "aa11"),
        ("vgg16", "none", "aa11"),
        ("vgg16", "none", "aa11"),
        ("vgg19", "thesis", "aa11"),
        ("compact", "none", "bb22"),
        ("hog-svm", None, "bb22"),
    ]


def test_one_table_is_of_one_snapshot(shown):
    runs = list(read_runs(shown))
    assert [run.model for run in choose_runs(runs, "bb")] == ["compact", "hog-svm"]
    assert build_page(choose_runs(runs, "bb")).count("| hog-svm |") == 2
    assert len(choose_runs(runs, "aa11")) == 4
    with pytest.raises(UsageError, match=r"cc33: no experiment on these shards; there are some on aa11, bb22"):
        choose_runs(runs, "cc33")
    page = build_page(choose_runs(runs, "aa11"))
    assert "shards `aa11`" in page
    assert "`raw/ckplus` 5d41.dir" in page
    without, augmented = page.split("## With augmentation")
    assert "| vgg16 |" in without
    assert "| vgg19 |" not in without
    assert "| vgg19 |" in augmented
    assert "compact" not in page


def test_the_newest_run_of_a_network_is_its_row(shown):
    runs = [run for run in read_runs(shown) if run.augment == "none" and run.shards == "aa11"]
    assert build_table(runs).splitlines() == [
        "| network | seed | all | ckplus |",
        "|---|---|---|---|",
        "| vgg16 | 7 | 0.400 (0.300 to 0.500) | 0.400 (0.300 to 0.500) |",
    ]
    assert build_table([]) == "No experiment yet.\n"


def test_a_network_that_was_validated_on_the_test_set_has_a_row_of_its_own(shown):
    runs = [run for run in read_runs(shown) if run.model == "vgg16"]
    seen = {**runs[1].metrics, "network": {**runs[1].metrics["network"], "validated_on": "test"}}
    rows = build_table([runs[0], replace(runs[1], metrics=seen)]).splitlines()[2:]
    assert [row.split(" | ")[0] for row in rows] == ["| vgg16", "| vgg16 (validated on the test set)"]


def test_tables_say_the_same_to_programs(shown, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("models.evaluation.thesis_tables.read_experiments", lambda commits: shown)
    assert run(["tables", "--snapshot", "aa11", "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    chosen = choose_runs(list(read_runs(shown)), "aa11")
    assert [run["model"] for run in content["experiments"]] == [run.model for run in chosen]
    assert [run["metrics"] for run in content["experiments"]] == [run.metrics for run in chosen]
    assert (content["file"], content["left_out"]) == ("runs/tables.md", 2)
    assert (tmp_path / "runs/tables.md").read_text() == build_page(chosen)
