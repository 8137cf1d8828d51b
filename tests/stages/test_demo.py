"""`prep demo`: options in, raw trees out, one line said."""

from pathlib import Path

import pytest
import typer
import yaml
from typer.testing import CliRunner

from stages.demo import demo

PARAMS = Path(__file__).parents[2] / "params.yaml"


@pytest.fixture
def project(tmp_path, monkeypatch):
    params = yaml.safe_load(PARAMS.read_text(encoding="utf-8"))
    params["demo"]["faces"] = 64
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PREP_WORKERS", "1")
    return tmp_path


def test_the_trees_are_written_where_out_says_and_one_line_says_so(project):
    app = typer.Typer()
    app.command()(demo)
    result = CliRunner().invoke(app, ["--out", "raw/other"], catch_exceptions=False)
    assert result.exit_code == 0
    assert result.stdout.startswith("raw/other: ")
    assert result.stdout.count("\n") == 1
    assert {path.name for path in (project / "raw" / "other").iterdir() if path.is_dir()} == {
        *("affectnet", "ckplus", "rafdb", "emotic", "afewva"),
    }
