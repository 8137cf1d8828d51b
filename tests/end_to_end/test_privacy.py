"""Nobody is told: every command, with a home of its own, asks for no host and writes nothing outside the project."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import typer
import yaml

from stages.cli import app
from tests.imports import ROOT

pytestmark = pytest.mark.slow

SUBJECT = "S005"
# In the order of the work. A new command needs its line here.
COMMANDS = {
    "demo": [[]],
    "ingest": [["--src", "raw/demo/ckplus"], ["--src", "raw/demo/affectnet"]],
    "align": [["--src", "raw/demo/ckplus"], ["--src", "raw/demo/affectnet"]],
    "equalize": [["--src", "data/aligned/demo-ckplus"], ["--src", "data/aligned/demo-affectnet"]],
    "harmonize": [["--src", "data/samples/demo-ckplus"], ["--src", "data/samples/demo-affectnet"]],
    "split": [[]],
    "shard": [[]],
    "train": [[]],
    "evaluate": [[]],
    "report": [[]],
    "predict": [["raw/demo/ckplus/cohn-kanade-images/S005/001", "--out", "drawn"]],
    "export": [[]],
    "personalize": [["--subject", SUBJECT, "--shots", "1"]],
    "tables": [[]],
    "formats": [[]],
    "models": [[]],
    "trace": [["runs/report/index.html"]],
    "verify": [[]],
}
# Python runs this first in every process, workers too: whatever asks for a host or a connection is written down.
GUARD = """
import os, sys
_EVENTS = {"socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto", "urllib.Request"}
def _hear(event, arguments):
    if event in _EVENTS and not (event == "socket.connect" and isinstance(arguments[1], (str, bytes))):
        with open(os.environ["GUARD_LOG"], "a") as stream:
            stream.write(f"{sys.argv} {event} {arguments}\\n")
sys.addaudithook(_hear)
"""
DRIVER = """
import json, sys, time
from stages.cli import run
if __name__ == "__main__":
    for words in json.loads(sys.argv[1]):
        start = time.monotonic()
        code = run(words)
        print("ran", words[0], code, f"{time.monotonic() - start:.1f} s")
"""


def write_project(folder: Path) -> None:
    values = yaml.safe_load((ROOT / "params.yaml").read_text())
    values["demo"]["faces"] = 64
    values["align"]["size_px"] = 64
    kept = ("demo-affectnet", "demo-ckplus")
    values["datasets"] = {name: values["datasets"][name] for name in kept}
    values["train"] |= {"epochs": 1, "warmup_epochs": 0}
    values["evaluate"] |= {"bootstrap_draws": 100, "saliency_per_class": 1, "mistakes": 1}
    folder.mkdir()
    (folder / "params.yaml").write_text(yaml.safe_dump(values, sort_keys=False))
    (folder / "splits").mkdir()
    shutil.copy(ROOT / "dvc.yaml", folder)


def commands() -> list[str]:
    return list(typer.main.get_command(app).commands)  # type: ignore[attr-defined]


def test_every_command_is_watched():
    assert list(COMMANDS) == commands()


def test_no_command_asks_for_a_host_or_writes_outside_the_project(tmp_path):
    project, home, scratch, guard = (tmp_path / name for name in ("project", "home", "scratch", "guard"))
    write_project(project)
    for folder in (home, scratch, guard):
        folder.mkdir()
    (guard / "sitecustomize.py").write_text(GUARD)
    (guard / "driver.py").write_text(DRIVER)
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "DVC_", "MPL", "HF_"))
    }
    environment |= {
        "HOME": str(home),
        "TMPDIR": str(scratch),
        "PYTHONPATH": f"{guard}{os.pathsep}{ROOT}",
        "GUARD_LOG": str(tmp_path / "asked"),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PREP_WORKERS": "2",
    }
    for command in (
        ["git", "init", "-q"],
        ["dvc", "init", "-q"],
        ["git", "add", "."],
        ["git", "-c", "user.name=t", "-c", "user.email=t@localhost", "commit", "-qm", "x"],
    ):
        subprocess.run(
            command, cwd=project, check=True, env=environment | {"HOME": str(tmp_path), "DVC_NO_ANALYTICS": "1"}
        )
    words = [[name, *arguments] for name, runs in COMMANDS.items() for arguments in runs]
    # What a library asks for in machine code passes Python by; the system's own record has it.
    log = tmp_path / "strace"
    watch = (
        ["strace", "-f", "-qq", "--seccomp-bpf", "-e", "trace=%network", "-o", str(log)]
        if shutil.which("strace")
        else []
    )
    done = subprocess.run(
        [*watch, sys.executable, str(guard / "driver.py"), json.dumps(words)],
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    ran = re.findall(r"^ran (\S+) (\d+) ", done.stdout, re.MULTILINE)
    # No experiment was run, which `prep tables` says, having asked DVC.
    assert ran == [(name, "2" if name == "tables" else "0") for name, *_ in words], (
        done.stdout[-3000:] + done.stderr[-3000:]
    )
    assert not (tmp_path / "asked").exists(), (tmp_path / "asked").read_text()
    if watch:
        lines = log.read_text(errors="replace").splitlines()
        # urllib3 tries whether it may bind to ::1, and so does no more than open a socket.
        asked = [line for line in lines if "AF_INET" in line and re.search(r"(connect|send\w+)\(", line)]
        assert not asked, asked[:5]
    left = [path.relative_to(tmp_path).as_posix() for folder in (home, scratch) for path in folder.rglob("*")]
    assert not left
