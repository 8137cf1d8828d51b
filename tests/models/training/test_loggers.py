"""Loggers besides DVCLive: what each library reads back of a run, without a server and without the network."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from models.training.loggers import SHARDS_TAG, SNAPSHOT_TAG, open_loggers
from pipeline.core.errors import ParamsError
from pipeline.core.params import read_params
from tests.imports import ROOT

TRAIN = read_params(ROOT / "params.yaml").train
SHARDS, SNAPSHOT = "a" * 64, "b" * 64
# Libraries' own uses of what is deprecated.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


def params(*names):
    return TRAIN.model_copy(update={"loggers": ["dvclive", *names]})


def log(names, root):
    with open_loggers(params(*names), root, SHARDS) as loggers:
        for one in loggers:
            one.logger.log_metrics({"val_loss": 1.5}, 0)
            one.logger.log_metrics({"val_loss": 1.25}, 1)
            one.tag(SNAPSHOT_TAG, SNAPSHOT)


def test_dvclive_alone_opens_no_other(tmp_path):
    log([], tmp_path / "logs")
    assert list(tmp_path.iterdir()) == []


def test_mlflow_reads_back_epochs_tags_and_parameters(tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    log(["mlflow"], tmp_path / "logs")
    from mlflow import MlflowClient

    client = MlflowClient((tmp_path / "logs/mlflow").as_uri())
    (run,) = client.search_runs([client.get_experiment_by_name("expression-prep").experiment_id])
    assert run.info.status == "FINISHED"
    assert (run.data.tags[SHARDS_TAG], run.data.tags[SNAPSHOT_TAG]) == (SHARDS, SNAPSHOT)
    assert run.data.params["model"] == TRAIN.model
    history = client.get_metric_history(run.info.run_id, "val_loss")
    assert [(point.step, point.value) for point in history] == [(0, 1.5), (1, 1.25)]
    assert [path.name for path in tmp_path.iterdir()] == ["logs"]
    from mlflow.telemetry.utils import is_telemetry_disabled

    assert is_telemetry_disabled()


def test_mlflow_goes_where_the_environment_says(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "ours").as_uri())
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    log(["mlflow"], tmp_path / "logs")
    assert [path.name for path in tmp_path.iterdir()] == ["ours"]


def test_a_training_that_fails_is_a_failed_run(tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with pytest.raises(ZeroDivisionError), open_loggers(params("mlflow"), tmp_path, SHARDS):
        raise ZeroDivisionError
    (meta,) = (path for path in tmp_path.rglob("meta.yaml") if "run_id" in path.read_text())
    assert "status: 4" in meta.read_text()  # RunStatus.FAILED
    assert not list(tmp_path.rglob(SNAPSHOT_TAG))


def test_tensorboard_reads_back_epochs_and_tags(tmp_path):
    log(["tensorboard"], tmp_path)
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(tmp_path / "tensorboard/version_0"))
    found.Reload()
    assert [(event.step, event.value) for event in found.Scalars("val_loss")] == [(0, 1.5), (1, 1.25)]
    texts = {tag.partition("/")[0]: found.Tensors(tag)[0].tensor_proto.string_val[0] for tag in found.Tags()["tensors"]}
    assert texts == {SHARDS_TAG: SHARDS.encode(), SNAPSHOT_TAG: SNAPSHOT.encode()}


def test_weights_and_biases_stays_offline(tmp_path):
    """In a process of its own, which tells each connection: to its own service by a file at most."""
    code = f"""
import sys
sys.addaudithook(lambda event, given: print("ASKED", event, given) if event == "socket.getaddrinfo" or
                 (event == "socket.connect" and not isinstance(given[1], (str, bytes))) else None)
from pathlib import Path
from tests.models.training.test_loggers import log
log(["wandb"], Path({str(tmp_path)!r}) / "logs")
"""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("WANDB")}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")
    (run,) = (tmp_path / "logs/wandb").glob("offline-run-*")
    (written,) = run.glob("*.wandb")
    content = written.read_bytes()
    for text in (SHARDS_TAG, SHARDS, SNAPSHOT_TAG, SNAPSHOT, "val_loss"):
        assert text.encode() in content, text


@pytest.mark.parametrize("names", ["[]", "[mlflow]", "[dvclive, dvclive]", "[dvclive, sheet]"])
def test_dvclive_is_always_one_of_them_and_each_once(tmp_path, names):
    text = (ROOT / "params.yaml").read_text().replace("loggers: [dvclive]", f"loggers: {names}")
    (tmp_path / "params.yaml").write_text(text)
    with pytest.raises(ParamsError, match=r"train\.loggers"):
        read_params(Path(tmp_path / "params.yaml"))


@pytest.mark.parametrize("name", ["mlflow", "wandb", "tensorboard"])
def test_what_is_not_installed_is_named(tmp_path, monkeypatch, name):
    from pipeline.core.extras import missing_extra

    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ModuleNotFoundError) as caught, open_loggers(params(name), tmp_path, SHARDS):
        pass
    assert str(missing_extra(caught.value)) == (
        f"{name} is not installed; pip install 'expression-prep[loggers]' brings it"
    )
