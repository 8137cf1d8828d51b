"""The committed runs/code and dvc.lock are of the committed code: otherwise a fresh `dvc repro` would change them."""

import json

import pytest
import yaml

from pipeline.core.lineage.code import stage_code
from pipeline.core.lineage.identity import identity
from tests.imports import ROOT

LOCK = {
    name: stage
    for file in ("dvc.lock", "raw/dvc.lock")
    for name, stage in yaml.safe_load((ROOT / file).read_text(encoding="utf-8"))["stages"].items()
}
PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
AGAIN = "run `make repro`, commit dvc.lock and runs/"


@pytest.mark.parametrize("stage", sorted({name.partition("@")[0] for name in LOCK} - {"code"}))
def test_lock_is_of_this_code(stage):
    taken = ROOT / "runs/code" / f"{stage}.json"
    assert json.loads(taken.read_text()) == stage_code(stage, ROOT, PARAMS), f"{stage}: {AGAIN}"
    name = f"runs/code/{stage}.json"
    for step in (step for step in LOCK if step.partition("@")[0] == stage):
        locked = {dep["path"]: dep["md5"] for dep in LOCK[step]["deps"]}
        assert locked[name] == identity(taken), f"{step}: {AGAIN}"
