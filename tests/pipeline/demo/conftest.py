"""One small demo, rendered once for all tests of this folder, in whatever process they run."""

import fcntl
import os
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from pipeline.core.params import DemoParams
from pipeline.demo.stage import run as render

FACES = 160


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    own = tmp_path_factory.getbasetemp()
    out = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "demo" / "raw"
    out.parent.mkdir(exist_ok=True)
    with out.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not out.exists():
            render(out, DemoParams(seed=1, faces=FACES), workers=2)
    return out


@pytest.fixture(scope="session")
def truth(demo: Path) -> list[dict[str, Any]]:
    return pq.read_table(demo / "truth.parquet").to_pylist()
