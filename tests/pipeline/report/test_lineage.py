"""Whose figures the page has: those of the given network on the given shards, and of no other."""

import shutil

import pyarrow.parquet as pq
import pytest

from models.evaluation.stage import run as evaluate
from pipeline.core.errors import LineageError
from pipeline.report.card import build_card
from pipeline.shards.stage import run as write_shards
from tests.run_inputs import evaluate_params, make_run
from tests.shard_inputs import shard_params

PARAMS = evaluate_params(saliency_per_class=0, mistakes=0, map_faces=0)


@pytest.fixture(scope="module")
def trained(shards, tmp_path_factory):
    """Two trainings of one network on the same shards, and the evaluation of the first."""
    root = tmp_path_factory.mktemp("trained")
    for seed in (1, 2):
        make_run(shards, root / f"run{seed}", seed=seed)
    evaluate(shards, root / "run1", root / "test", PARAMS, seed=1)
    return root


def test_its_own_evaluation_is_told(shards, trained):
    tested = pq.read_table(trained / "test/predictions.parquet").num_rows
    assert tested > 0
    for run in (trained / "run1", None):
        assert build_card(shards, run, trained / "test")["metrics"]["rows"] == tested
    assert "metrics" not in build_card(shards, trained / "run2")


def test_the_figures_of_another_training_are_not_told(shards, trained):
    with pytest.raises(LineageError, match=f"^{trained}/test: tests another network than {trained}/run2; run prep "):
        build_card(shards, trained / "run2", trained / "test")


def test_an_evaluation_from_before_the_network_was_trained_again_is_refused(shards, trained, tmp_path):
    make_run(shards, tmp_path / "run")
    evaluate(shards, tmp_path / "run", tmp_path / "test", PARAMS, seed=1)
    build_card(shards, tmp_path / "run", tmp_path / "test")
    shutil.rmtree(tmp_path / "run")
    make_run(shards, tmp_path / "run", seed=2)
    here = tmp_path.name  # what is near the checkout is named from there
    for run in (tmp_path / "run", None):
        with pytest.raises(LineageError, match=f"/{here}/run: was made anew since .*/{here}/test was"):
            build_card(shards, run, tmp_path / "test")


def test_figures_on_other_shards_are_not_told(shards, trained, tmp_path):
    root = shards.parent
    tables = [{"one": root / name} for name in ("faces", "selected", "labels")]
    write_shards(*tables, root / "split", tmp_path / "other", shard_params(rows_per_shard=1), seed=2, workers=1)
    with pytest.raises(LineageError, match=f"^{trained}/test: its test is not that of {tmp_path}/other; run prep "):
        build_card(tmp_path / "other", trained / "run1", trained / "test")
