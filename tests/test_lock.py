"""The committed dvc.lock is of the committed code: otherwise a fresh `dvc repro` would change it."""

import pytest
import yaml

from pipeline.core.lineage.identity import identity
from tests.imports import PACKAGES, ROOT

LOCK = yaml.safe_load((ROOT / "dvc.lock").read_text(encoding="utf-8"))["stages"]


@pytest.mark.parametrize("stage", LOCK)
def test_lock_is_of_this_code(stage):
    for dep in LOCK[stage]["deps"]:
        if dep["path"].split("/")[0] in PACKAGES:
            md5 = identity(ROOT / dep["path"])
            assert md5 == dep["md5"], f"{dep['path']}: run `make repro`, commit dvc.lock and runs/"
