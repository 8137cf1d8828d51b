"""As a user without a name, as in a container that is run with a number: no command needs a name or a home."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.imports import ROOT

pytestmark = pytest.mark.long

# A user and group that no file names, in a namespace of their own: files stay this process's.
NOBODY = ("unshare", "--user", "--map-user=54321", "--map-group=54321")
NAMES = ("HOME", "USER", "LOGNAME", "LNAME", "USERNAME")
COMMANDS = (
    "demo",
    "ingest --src raw/demo/rafdb",
    "align --src raw/demo/rafdb",
    "select --src data/aligned/rafdb",
    "equalize --src data/aligned/rafdb",
    "harmonize --src data/samples/rafdb",
    "split",
    "shard",
    "train",
    "evaluate",
    "doubt",
    "report",
    "predict raw/demo/rafdb --json",
    "export",
    "models",
    "formats",
    "trace runs/report/index.html",
    "verify",
    "tables",
)
DRIVER = f"""
import getpass, os
from stages.cli import run
if __name__ == "__main__":
    try:
        raise SystemExit(f"has a name: {{getpass.getuser()}}")
    except (KeyError, OSError):
        pass
    for line in {COMMANDS!r}:
        # Without a repository there is no experiment: DVC says so, and that is all that is asked here.
        if (code := run(line.split())) != (2 if line == "tables" else 0):
            raise SystemExit(f"prep {{line}}: {{code}}")
"""


@pytest.fixture(scope="module")
def environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in NAMES}
    if not shutil.which("unshare") or subprocess.run([*NOBODY, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no user namespace can be made here")
    return {**kept, "PYTHONPATH": str(ROOT), "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


def test_every_command_runs_for_a_user_without_a_name_or_home(environment, tmp_path):
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["datasets"] = {"rafdb": {**params["datasets"]["demo-rafdb"], "role": "both"}}
    for section, values in {"demo": {"faces": 96}, "align": {"size_px": 64}, "train": {"epochs": 1}}.items():
        params[section] |= values
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    (tmp_path / "driver.py").write_text(DRIVER)
    command = [*NOBODY, sys.executable, "driver.py"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_dvc_runs_for_a_user_without_a_name_as_the_image_has_it(environment, tmp_path):
    """What docs/containers.md says: HOME may be any folder that can be written, USER anything."""
    given = environment | {"HOME": str(tmp_path / "home"), "USER": "prep", "DVC_NO_ANALYTICS": "1"}
    (tmp_path / "home").mkdir()
    (tmp_path / "project").mkdir()
    (tmp_path / "project/dvc.yaml").write_text("stages: {one: {cmd: echo 1 > a, outs: [a]}}\n")
    for line in ("dvc init -q --no-scm", "dvc repro -q", "dvc status"):
        command = [*NOBODY, *line.split()]
        done = subprocess.run(command, cwd=tmp_path / "project", env=given, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "project/a").read_text() == "1\n"
