"""One small demo, rendered once for all tests of this folder."""

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from pipeline.core.params import DemoParams
from pipeline.demo.stage import run as render

FACES = 160


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("demo") / "raw"
    render(out, DemoParams(seed=1, faces=FACES), workers=2)
    return out


@pytest.fixture(scope="session")
def truth(demo: Path) -> list[dict[str, Any]]:
    return pq.read_table(demo / "truth.parquet").to_pylist()
