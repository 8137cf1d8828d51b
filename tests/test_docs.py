"""The pages: built strictly, all of them reached, nothing in them loaded from the network; README short."""

import re
import subprocess
import sys
from importlib.util import find_spec

import pytest
import yaml
from typer.main import get_command

from pipeline.core.catalog import CATALOG, UNREAD
from pipeline.ingest.registry import READERS
from stages.cli import app
from tests.imports import ROOT

_LOADED = re.compile(
    r"""<(?:script|img|link|iframe|source)\b[^>]*?(?:src|href)=["']?(?:https?:)?//[^>]*>|url\(["']?(?:https?:)?//"""
)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    if find_spec("mkdocs") is None:
        pytest.skip("mkdocs is not installed here")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


def test_pages_load_nothing_from_the_network(site):
    texts = [path for kind in ("html", "css") for path in site.rglob(f"*.{kind}")]
    assert len(texts) > 25
    assert {path.name: found for path in texts if (found := _LOADED.findall(path.read_text()))} == {}


def test_every_text_is_a_page(site):
    texts = [*ROOT.glob("docs/*.md"), *ROOT.glob("benchmarks/*.md")]
    names = {path.stem for path in texts} | {"index", "architecture", "contributing", "changelog"}
    assert names <= {path.stem for path in site.rglob("*.html")}


def test_readme_is_short():
    assert len((ROOT / "README.md").read_text().split()) < 700


def test_every_format_is_on_its_page():
    page = (ROOT / "docs" / "datasets.md").read_text()
    for reader in READERS:
        entry = CATALOG[reader.name]
        assert f"| `{reader.name}` | {entry.dataset} | {entry.gives} |\n" in page
    assert all(f"- {dataset}: {why}\n" in page for dataset, why in UNREAD.items())


def test_the_class_numbers_on_their_page_are_the_code_s():
    from pipeline.core.emotions import AFFECTNET, CLASSES

    rows = re.findall(r"^\| (\w+) \| (\d) \| (\d) \|$", (ROOT / "docs" / "harmonize.md").read_text(), re.MULTILINE)
    assert rows == [(name, str(number), str(AFFECTNET[name])) for number, name in enumerate(CLASSES)]


def test_every_switch_of_the_environment_is_on_its_page():
    code = "".join(
        path.read_text() for name in ("pipeline", "models", "stages") for path in (ROOT / name).rglob("*.py")
    )
    page = (ROOT / "docs" / "gpu.md").read_text()
    # PREP_ENTERED is a mark that a process on a node leaves for itself.
    read = set(re.findall(r"PREP_[A-Z_]+", code)) - {"PREP_ENTERED"}
    cells = re.findall(r"^\| (`PREP_[^|]+)\|", page, re.MULTILINE)
    assert read == {name for cell in cells for name in re.findall(r"PREP_[A-Z_]+", cell)}


def test_every_command_and_exit_code_is_on_its_page():
    page = (ROOT / "docs" / "commands.md").read_text()
    command = get_command(app)
    assert re.findall(r"^\| `prep ([a-z]+)` \|", page, re.MULTILINE) == list(command.commands)
    codes = dict(re.findall(r"^\| (\d+) \| (.+) \|$", page, re.MULTILINE))
    assert command.epilog == "Exit codes: " + "; ".join(f"{code} {meaning}" for code, meaning in codes.items()) + "."


def test_the_demos_numbers_in_readme_are_those_of_the_recorded_run():
    metrics = yaml.safe_load((ROOT / "runs" / "evaluate" / "metrics.json").read_text())
    shown = re.findall(
        r"^runs/evaluate/metrics.json  ([a-z_0-9]+) +([\d.]+)", (ROOT / "README.md").read_text(), re.MULTILINE
    )
    assert len(shown) == 3
    assert {name: f"{metrics[name]:.5f}" for name, _ in shown} == {name: f"{float(value):.5f}" for name, value in shown}
