"""Nobody is told: every command, and each use as a library, with a home of its own, asks for no host and writes nothing
outside the project."""

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import typer
import yaml

from stages.cli import app
from tests.imports import ROOT

long = pytest.mark.long

SUBJECT = "S005"
# In the order of the work. A new command needs its line here.
COMMANDS = {
    "code": [[]],
    "demo": [[]],
    "ingest": [["--src", "raw/demo/ckplus"], ["--src", "raw/demo/affectnet"]],
    "decide": [["--src", "data/samples/demo-ckplus"], ["--src", "data/samples/demo-affectnet"]],
    "align": [["--src", "raw/demo/ckplus"], ["--src", "raw/demo/affectnet"]],
    "select": [["--src", "data/aligned/demo-ckplus"], ["--src", "data/aligned/demo-affectnet"]],
    "equalize": [["--src", "data/aligned/demo-ckplus"], ["--src", "data/aligned/demo-affectnet"]],
    "harmonize": [["--src", "data/samples/demo-ckplus"], ["--src", "data/samples/demo-affectnet"]],
    "split": [[]],
    "shard": [[]],
    "train": [[]],
    "evaluate": [[]],
    "doubt": [[]],
    "report": [[]],
    "review": [["--as", "ann", "--idle-minutes", "0.01"]],
    "fiftyone": [["export", "--dataset", "demo-ckplus"]],
    "predict": [["raw/demo/ckplus/cohn-kanade-images/S005/001", "--out", "drawn"]],
    "export": [[]],
    "personalize": [["--subject", SUBJECT, "--shots", "1"]],
    "folds": [["--folds", "2", "--no-run"]],
    "matrix": [["--no-run"]],
    "sheet": [[], ["--augmented"]],
    "tables": [[]],
    "forget": [["--dataset", "demo-ckplus", "--subject", SUBJECT, "--as", "ann"]],
    "inspect": [["raw/demo/ckplus"]],
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
# What a program of somebody else's calls, the network before all else, as models of any name come from there.
LIBRARY = """
import os, sys
from pathlib import Path
REPORTING = {"dvc", "dvclive", "huggingface_hub", "lightning", "onnxruntime", "timm"}
SWITCHES = ("ORT_DISABLE_TELEMETRY", "HF_HUB_DISABLE_TELEMETRY", "DVC_NO_ANALYTICS", "DO_NOT_TRACK")
class Watch:
    def find_spec(self, name, path=None, target=None):
        if name in REPORTING and any(os.environ.get(switch) != "1" for switch in SWITCHES):
            sys.exit(f"{name} is imported before its reports are off")
sys.meta_path.insert(0, Watch())
if __name__ == "__main__":
    from models.training import module
    from models import create_model
    from models.checkpoint import load_checkpoint
    from models.data.loader import ShardLoader
    from models.inference.predictor import Predictor
    create_model("resnet18", 8)
    loader = ShardLoader("data/shards", "train", batch_size=4, shuffle=True, seed=1, workers=2)
    print(sum(len(batch) for batch in loader) == loader.rows)
    picture = next(Path("raw/demo/ckplus").rglob("*.png"))
    print(len(Predictor(load_checkpoint(Path("runs/train"))).predict([picture.read_bytes()])))
    print(sorted(REPORTING & sys.modules.keys()))
"""


def write_project(folder: Path) -> None:
    values = yaml.safe_load((ROOT / "params.yaml").read_text())
    values["demo"]["faces"] = 64
    values["align"]["size_px"] = 64
    kept = ("demo-affectnet", "demo-ckplus")
    values["datasets"] = {name: values["datasets"][name] for name in kept}
    values["train"] |= {"epochs": 1, "warmup_epochs": 0}
    values["evaluate"] |= {"bootstrap_draws": 100, "saliency_per_class": 1, "mistakes": 1}
    values["personalize"] |= {"min_test": 1, "one_moment": 1.0}
    folder.mkdir()
    (folder / "params.yaml").write_text(yaml.safe_dump(values, sort_keys=False))
    (folder / "splits").mkdir()
    (folder / "decisions").mkdir()
    shutil.copy(ROOT / "dvc.yaml", folder)


def commands() -> list[str]:
    return list(typer.main.get_command(app).commands)  # type: ignore[attr-defined]


def test_every_command_is_watched():
    assert list(COMMANDS) == commands()


@dataclass(frozen=True)
class Watched:
    """A project, and what it takes to start a process there that is watched."""

    place: Path

    def start(self, script: str, *arguments: str) -> str:
        """Run a script of Python and return what it printed; nobody was asked, and nothing is left outside."""
        log = self.place / "strace"
        # What a library asks for in machine code passes Python by; the system's own record has it.
        watch = ["strace", "-f", "-qq", "--seccomp-bpf", "-e", "trace=%network", "-o", str(log)]
        command = [sys.executable, str(self.place / "guard" / script), *arguments]
        done = subprocess.run(
            [*(watch if shutil.which("strace") else []), *command],
            cwd=self.place / "project",
            env=self.environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        assert not (self.place / "asked").exists(), (self.place / "asked").read_text()
        if log.exists():
            lines = log.read_text(errors="replace").splitlines()
            # urllib3 tries whether it may bind to ::1, and so does no more than open a socket.
            asked = [line for line in lines if "AF_INET" in line and re.search(r"(connect|send\w+)\(", line)]
            assert not asked, asked[:5]
        left = [path for folder in ("home", "scratch") for path in (self.place / folder).rglob("*")]
        assert not left
        return done.stdout

    def environment(self) -> dict[str, str]:
        """Return that of a new account, in which nothing is switched off."""
        ours = ("XDG_", "DVC_", "MPL", "HF_", "ORT_", "ITERATIVE_", "DO_NOT_TRACK", "TORCHINDUCTOR_")
        return {name: value for name, value in os.environ.items() if not name.startswith(ours)} | {
            "HOME": str(self.place / "home"),
            "TMPDIR": str(self.place / "scratch"),
            "PYTHONPATH": f"{self.place / 'guard'}{os.pathsep}{ROOT}",
            "GUARD_LOG": str(self.place / "asked"),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PREP_WORKERS": "2",
        }


@pytest.fixture(scope="module")
def watched(tmp_path_factory) -> Watched:
    found = Watched(tmp_path_factory.mktemp("watched"))
    project = found.place / "project"
    write_project(project)
    for name, scripts in {
        "home": {},
        "scratch": {},
        "guard": {"sitecustomize.py": GUARD, "driver.py": DRIVER, "library.py": LIBRARY},
    }.items():
        (found.place / name).mkdir()
        for script, text in scripts.items():
            (found.place / name / script).write_text(text)
    for command in (
        ["git", "init", "-q"],
        ["dvc", "init", "-q"],
        ["git", "add", "."],
        ["git", "-c", "user.name=t", "-c", "user.email=t@localhost", "commit", "-qm", "x"],
    ):
        own = {"HOME": str(found.place), "DVC_NO_ANALYTICS": "1"}
        subprocess.run(command, cwd=project, check=True, env=found.environment() | own)
    return found


@long
def test_no_command_asks_for_a_host_or_writes_outside_the_project(watched):
    words = [[name, *arguments] for name, runs in COMMANDS.items() for arguments in runs]
    printed = watched.start("driver.py", json.dumps(words))
    # No experiment was run, which these say, having asked DVC.
    none = {"tables": "2", "folds": "1", "matrix": "1"}
    expected = [(name, none.get(name, "0")) for name, *_ in words]
    assert re.findall(r"^ran (\S+) (\d+) ", printed, re.MULTILINE) == expected, printed[-3000:]


@long
def test_no_use_as_a_library_asks_for_a_host_or_writes_outside_the_project(watched):
    if not (watched.place / "project/runs/train").is_dir():
        pytest.skip("the commands, whose results are used, did not all run")
    lines = watched.start("library.py").splitlines()
    assert lines == ["True", "1", "['huggingface_hub', 'lightning', 'onnxruntime', 'timm']"]


@long
def test_the_guard_hears_a_process_that_asks(watched):
    (watched.place / "guard/asker.py").write_text("import socket\nsocket.getaddrinfo('localhost', 80)\n")
    with pytest.raises(AssertionError, match="getaddrinfo"):
        watched.start("asker.py")
    (watched.place / "asked").unlink()
