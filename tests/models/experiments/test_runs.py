"""A set of experiments in a small DVC project of one stage: run, read, resumed, refused and interrupted."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from models.experiments.matrix import run
from models.experiments.runs import find_done, plan_experiment
from pipeline.core.errors import DataError, ParamsError, UsageError
from tests.imports import ROOT

DVC = """stages:
  evaluate:
    cmd: {python} toy.py
    deps: [toy.py, raw/faces.txt]
    params: [seed, datasets, shard]
    outs: [runs/evaluate/details.json]
"""
NAMES = ("demo-affectnet", "demo-ckplus")


def call(*command):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def commit(message):
    call("git", "add", ".")
    call("git", "-c", "user.name=t", "-c", "user.email=t@localhost", "commit", "-qm", message)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Make the project once: DVC takes seconds to begin one."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "raw").mkdir()
    (folder / "raw/faces.txt").write_text("whole")
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["datasets"] = {name: params["datasets"][name] | {"role": "both"} for name in NAMES}
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    shutil.copy(Path(__file__).with_name("toy.py"), folder)
    (folder / "dvc.yaml").write_text(DVC.format(python=sys.executable))
    (folder / ".gitignore").write_text("/runs/\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        call("git", "init", "-q")
        call(sys.executable, "-m", "dvc", "init", "-q")
        commit("toy")
    return folder


@pytest.fixture
def project(made, tmp_path, monkeypatch):
    shutil.copytree(made, tmp_path / "project", symlinks=True)
    monkeypatch.chdir(tmp_path / "project")
    return tmp_path / "project"


def experiments():
    return sorted(line.rpartition("/")[2] for line in call("git", "for-each-ref", "refs/exps/*/*/*").splitlines())


@pytest.mark.slow
def test_what_is_done_is_read_and_the_rest_runs(project):
    said = []
    # What is not committed is part of the experiments, and stays as it is here.
    mine = Path("params.yaml").read_text().replace("seed: 20", "seed: 7")
    Path("params.yaml").write_text(mine)
    result = run(Path("runs/matrix"), [], start=True, say=said.append)
    assert [line.partition(":")[0] for line in said] == ["1 of 2", "2 of 2"]
    assert result["rows"] == [*NAMES, "all others"]
    assert result["missing"] == {}
    cells = {(cell["row"], cell["tested"]): cell for cell in result["cells"]}
    assert cells["all others", NAMES[1]]["commit"] == cells[NAMES[0], NAMES[1]]["commit"]
    assert {row: cells[row, NAMES[0]]["accuracy"]["value"] for row in NAMES} == dict(
        zip(NAMES, (0.1, 0.2), strict=True)
    )
    assert call("git", "status", "--porcelain") == " M params.yaml\n"
    assert Path("params.yaml").read_text() == mine
    assert (
        find_done(plan_experiment("matrix-demo-ckplus", ["shard.train_on=[demo-ckplus]"])).read_json(
            "runs/evaluate/details.json"
        )["seed"]
        == 7
    )
    assert not list(Path(".dvc/tmp/exps").glob("*/tmp*"))
    before = experiments()
    assert len(before) == 2
    assert run(Path("runs/matrix"), [], start=True, say=said.append) == result
    assert len(said) == 2
    # Other parameters are other experiments, and the earlier ones stay.
    with pytest.raises(DataError, match=r"^matrix-demo-affectnet-\w{10}: not run yet; "):
        run(Path("runs/matrix"), ["seed=3"], start=False, say=said.append)
    assert experiments() == before
    assert (project / "runs/matrix/matrix.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.long
def test_one_that_fails_is_said_with_its_words_and_the_others_are_measured(project):
    Path("raw/faces.txt").write_text("broken")
    commit("broken")
    result = run(Path("runs/matrix"), [], start=True, say=lambda _: None)
    ((name, why),) = result["missing"].items()
    assert name.startswith("matrix-demo-ckplus-")
    assert why == "demo-ckplus: no face to learn from"
    unmeasured = [(cell["row"], cell["tested"]) for cell in result["cells"] if "accuracy" not in cell]
    assert unmeasured == [(NAMES[1], NAMES[0]), (NAMES[1], NAMES[1]), ("all others", NAMES[0])]
    assert "no face to learn from" in Path("runs/matrix/matrix.md").read_text()
    said = []
    Path("raw/faces.txt").write_text("whole")
    commit("mended")
    assert run(Path("runs/matrix"), [], start=True, say=said.append)["missing"] == {}
    assert len(said) == 2  # the raw file is another one, so none of the earlier results counts


@pytest.mark.faults
def test_an_interrupt_loses_only_the_experiment_that_ran(project):
    command = [sys.executable, "-m", "stages", "matrix", "-S", "seed=99"]
    process = subprocess.Popen(
        command, env=os.environ | {"PYTHONPATH": str(ROOT)}, stderr=subprocess.PIPE, text=True, stdout=subprocess.PIPE
    )
    log = Path("runs/logs/experiments")
    for _ in range(600):
        time.sleep(0.2)
        if any("toy.py" in path.read_text() for path in log.glob("matrix-demo-ckplus-*.log")):
            break
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert [name.rpartition("-")[0] for name in experiments()] == ["matrix-demo-affectnet"]
    assert not list(Path(".dvc/tmp/exps").glob("*/tmp*"))
    assert call("git", "status", "--porcelain") == ""
    assert find_done(plan_experiment("matrix-demo-affectnet", ["seed=99", "shard.train_on=[demo-affectnet]"]))


def test_values_that_params_may_not_have_are_refused_before_anything_runs(project):
    with pytest.raises(
        ParamsError, match=r"^params\.yaml with shard\.train_on=\[demo-rafdb\]: shard.train_on: no dataset"
    ):
        plan_experiment("x", ["shard.train_on=[demo-rafdb]"])
    with pytest.raises(UsageError, match=r"^-S shard\.nothing=1: "):
        plan_experiment("x", ["shard.nothing=1"])
    assert not Path("runs").exists()


def test_the_name_changes_with_what_an_experiment_is_made_of(project):
    one = plan_experiment("matrix-a,b", ["seed=3"])
    assert one.name.startswith("matrix-a-b-")
    assert plan_experiment("matrix-a,b", ["seed=3", "train.epochs=7"]).name == one.name  # which no stage here reads
    assert plan_experiment("matrix-a,b", ["seed=4"]).name != one.name
    Path("raw/faces.txt").write_text("other")
    assert plan_experiment("matrix-a,b", ["seed=3"]).name != one.name
    assert find_done(one) is None
