"""A tree of any format, written and read."""

import pytest

from tests.pipeline.ingest.layouts import WRITERS, Read


@pytest.fixture
def read(tmp_path):
    def run(fmt, **options):
        WRITERS[fmt](tmp_path / "raw")
        return Read(tmp_path / "raw", tmp_path / "out", **options)

    return run
