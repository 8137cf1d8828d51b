"""Every row of the thesis's two tables, trained and tested in its protocol on a few faces of the demo."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from models.evaluation.stage import run as evaluate
from models.registry import ModelEntry, list_models
from models.training.stage import run as train
from pipeline.core.emotions import CLASSES
from pipeline.core.params import Params, read_params
from stages.cli import run as prep
from tests.end_to_end.test_dvc import call, commit
from tests.imports import ROOT

pytestmark = pytest.mark.long

# Those with classes.
DATASETS = ("demo-affectnet", "demo-ckplus", "demo-rafdb", "demo-emotic")
# With and without augmentation: what the thesis did with networks of its own, and with pretrained ones.
PRESETS = {
    "own": ("thesis", "thesis-augmented"),
    "classical": ("thesis", "thesis-augmented"),
    "pretrained": ("thesis-transfer", "thesis-transfer-augmented"),
}
ROWS = [(entry, preset) for entry in list_models() for preset in PRESETS[entry.kind]]


def small_params(entry: ModelEntry, preset: str) -> dict:
    """Return params.yaml for one row: the thesis's preset, but one step a phase, the smallest side, no weights."""
    values = yaml.safe_load((ROOT / "params.yaml").read_text())
    values["demo"]["faces"] = 64
    values["align"]["size_px"] = 80
    values["shard"] |= {"train_per_class": 1}
    for dataset in values["datasets"].values():
        dataset["test_per_class"] = 1
    # Where a network has no gradient, its map takes hundreds of answers, of a quarter of a second by dlib's.
    mistakes = int(entry.name != "descriptor-linear")
    values["evaluate"] |= {"bootstrap_draws": 100, "saliency_per_class": 0, "mistakes": mistakes, "threads": 1}
    values["train"] |= {"model": entry.name, "preset": preset}
    presets = values["train"]["presets"]
    size_px = None if entry.kind == "classical" else max(32, entry.min_size_px)
    presets["thesis"] |= {"epochs": 1, "size_px": size_px, "threads": 1}
    presets["thesis-transfer"] |= {"epochs": 2, "frozen_epochs": 1, "weights": "none"}
    return values


def write_params(folder: Path, values: dict) -> Params:
    (folder / "params.yaml").write_text(yaml.safe_dump(values, sort_keys=False))
    return read_params(folder / "params.yaml")


def outputs(stage: str) -> list[str]:
    """Return what dvc.yaml names as the outputs of a stage, relative to its folder."""
    entry = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"][stage]
    named = [*entry["outs"], *entry.get("metrics", []), *entry.get("plots", [])]
    paths = [next(iter(item)) if isinstance(item, dict) else item for item in named]
    return [path.removeprefix(f"runs/{stage}/") for path in paths]


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Iterator[Path]:
    """The demo's shards, cut down to one face a class to learn from and two to test on."""
    folder = tmp_path_factory.mktemp("rows")
    params = write_params(folder, small_params(*ROWS[0]))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("PREP_WORKERS", "1")
        assert prep(["demo", "--out", "raw/demo"]) == 0
        for name in params.datasets:
            src = str(params.datasets[name].src)
            assert prep(["ingest", "--src", src, "--out", f"data/samples/{name}"]) == 0
            assert prep(["align", "--src", src, "--out", f"data/aligned/{name}"]) == 0
            assert prep(["select", "--src", f"data/aligned/{name}", "--out", f"data/selected/{name}"]) == 0
            assert prep(["equalize", "--src", f"data/aligned/{name}", "--out", f"data/faces/{name}"]) == 0
            assert prep(["harmonize", "--src", f"data/samples/{name}", "--out", f"data/labels/{name}"]) == 0
        assert prep(["split"]) == 0
        assert prep(["shard"]) == 0
        yield folder


@pytest.fixture(scope="module")
def finished() -> dict[tuple[str, str], Path]:
    """Where the parameters and metrics of each row are that has been trained and tested."""
    return {}


@pytest.mark.parametrize(("entry", "preset"), ROWS, ids=[f"{entry.name}-{preset}" for entry, preset in ROWS])
def test_a_row_is_trained_in_the_protocol_and_tested(project, finished, entry, preset):
    params = write_params(project, small_params(entry, preset))
    shards, run, folder = Path("data/shards"), Path("runs/train"), project / "rows" / f"{entry.name}-{preset}"
    trained = train(shards, run, params.train, seed=1)
    evaluate(shards, run, folder, params.evaluate, seed=1)
    # DVC takes a stage that leaves out an output for failed.
    assert [path for path in outputs("train") if not (run / path).exists()] == []
    assert [path for path in outputs("evaluate") if not (folder / path).exists()] == []
    shutil.rmtree(run)  # half a gigabyte, some of them
    assert trained["model"] == entry.name
    assert trained["epochs"] == {"own": 1, "pretrained": 2, "classical": 1}[entry.kind]
    metrics = json.loads((folder / "metrics.json").read_text())
    assert 0 <= metrics["balanced_accuracy"] <= 1
    assert set(metrics["per_class"]) == set(CLASSES)
    assert set(metrics["per_dataset"]) == set(DATASETS)
    shutil.copy(project / "params.yaml", folder)
    finished[entry.name, preset] = folder


def test_both_tables_have_every_row(project, finished):
    """Each row as a commit, as experiments are; `dvc exp show` reads them and `prep tables` fills both tables."""
    if len(finished) < len(ROWS):
        pytest.skip("the tests of the rows were not all run, or not all passed")
    repository = project / "experiments"
    (repository / "runs/evaluate").mkdir(parents=True)
    (repository / "dvc.yaml").write_text("metrics: [runs/evaluate/metrics.json]\nparams: [params.yaml]\n")
    call(repository, "git", "init", "-q")
    call(repository, "dvc", "init", "-q")
    for (name, preset), folder in finished.items():
        shutil.copy(folder / "params.yaml", repository)
        shutil.copy(folder / "metrics.json", repository / "runs/evaluate")
        commit(repository, f"{name} {preset}")
    call(repository, "prep", "tables", "--commits", "0")
    _, without, with_, *_ = (repository / "runs/tables.md").read_text().split("## ")
    for table in (without, with_):
        rows = {
            cells[1].strip(): cells[2:-1] for cells in (line.split("|") for line in table.splitlines()) if cells[1:]
        }
        assert set(rows) == {"network", "---", *(entry.name for entry in list_models())}
        assert rows["network"] == [f" {name} " for name in ("seed", "all", *sorted(DATASETS))]
        assert all(float(cell.split()[0]) <= 1 for entry in list_models() for cell in rows[entry.name][1:])
