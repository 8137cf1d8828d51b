"""The command line as its victim sees it: exit codes, one line on stderr, nothing else."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from stages.cli import app, run
from stages.entry import INTERRUPTED
from tests.imports import ROOT

PREP = Path(sys.executable).parent / "prep"


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    return tmp_path


def said(capsys) -> str:
    captured = capsys.readouterr()
    assert captured.out == ""
    assert len(captured.err.splitlines()) == 1, captured.err
    return captured.err


def test_no_command_prints_the_help(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["prep"])
    from stages.cli import main

    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 0
    assert "Usage: prep" in capsys.readouterr().out


@pytest.mark.parametrize("name", sorted(command.callback.__name__ for command in app.registered_commands))
def test_every_command_has_a_help_text(name, capsys):
    assert run([name, "--help"]) == 0
    printed = capsys.readouterr().out
    assert f"Usage: prep {name}" in printed
    assert len(printed.splitlines()[2].strip()) > 20


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["algin"], "algin"),
        (["align"], "--src"),
        (["align", "--sorce", "x"], "--sorce"),
        (["ingest", "--src", "x", "--format", "fer2014"], "fer2014"),
    ],
)
def test_wrong_use_is_one_line_and_exit_2(project, capsys, arguments, word):
    (project / "x").mkdir()
    assert run(arguments) == 2
    assert word in said(capsys)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("size_px: 224", "size_px: many"), "params.yaml: align.size_px"),
        (("size_px: 224", "size_px: 224\n  sise: 1"), "params.yaml: align.sise: unknown key"),
        (("method: clahe", "method: magic"), "params.yaml: equalize.method"),
        (("seed: 20\n", ""), "params.yaml: seed: missing"),
        (("seed: 20", "seed: [20"), "params.yaml: not YAML"),
    ],
)
def test_wrong_parameters_are_one_line_and_exit_2(project, capsys, change, message):
    text = (project / "params.yaml").read_text()
    assert change[0] in text
    (project / "params.yaml").write_text(text.replace(*change, 1))
    assert run(["split"]) == 2
    assert message in said(capsys)


def test_no_project_here_says_so(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run(["split"]) == 2
    assert "params.yaml: cannot be read: No such file or directory; run prep from the project's root" in said(capsys)


@pytest.mark.parametrize("command", ["ingest", "align"])
def test_a_missing_or_empty_tree_is_one_line_and_exit_1(project, capsys, command):
    assert run([command, "--src", "raw/none"]) == 1
    assert "raw/none" in said(capsys)
    (project / "raw" / "none").mkdir(parents=True)
    assert run([command, "--src", "raw/none"]) == 1
    assert "raw/none" in said(capsys)


def test_verify_says_that_dvc_lock_is_missing(project, capsys):
    (project / "data" / "x").mkdir(parents=True)
    text = '{"stage": "a", "id": "b", "inputs": [], "params": {}, "tools": {}, "files": {}}'
    (project / "data" / "x" / "snapshot.json").write_text(text)
    assert run(["verify"]) == 0
    assert "dvc.lock is missing" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["split", "shard", "train", "evaluate", "doubt", "report", "verify"])
def test_a_stage_before_its_inputs_is_one_line_and_exit_1(project, capsys, command):
    assert run([command]) == 1
    assert "error: " in said(capsys)


def test_an_unforeseen_error_is_one_line_unless_asked(project, capsys, monkeypatch):
    monkeypatch.setattr("stages.trace.walk", lambda _: 1 / 0)
    assert run(["trace", "x"]) == 1
    assert said(capsys) == "error: unforeseen ZeroDivisionError: division by zero; PREP_DEBUG=1 shows where\n"
    monkeypatch.setenv("PREP_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        run(["trace", "x"])


def test_a_reader_that_goes_away_leaves_no_complaint():
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run([PREP, "formats"], stdout=writing, stderr=subprocess.PIPE, check=False, cwd=ROOT)
    os.close(writing)
    assert done.stderr == b""


@pytest.fixture
def interruptible():
    """A shell that runs the tests in the background starts them with SIGINT ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_an_interruption_is_one_line_and_130(project, capsys, monkeypatch, interruptible):
    def interrupt(_):
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr("stages.trace.walk", interrupt)
    assert run(["trace", "x"]) == 130
    assert capsys.readouterr().err.strip() == f"error: {INTERRUPTED}"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_prep_says_one_line(project, number):
    code = f"""
import os, signal, sys, stages.trace
signal.signal(signal.SIGINT, signal.default_int_handler)
stages.trace.walk = lambda _: os.kill(os.getpid(), {int(number)})
sys.argv = ["prep", "trace", "x"]
from stages.entry import main
main()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.strip()) == (130, f"error: {INTERRUPTED}")


def test_an_interruption_while_importing_is_one_line(project):
    code = """
import sys
class Interrupting:
    def find_spec(self, name, *rest):
        if name == "typer":
            raise KeyboardInterrupt
sys.meta_path.insert(0, Interrupting())
from stages.entry import main
main()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (130, f"error: {INTERRUPTED}\n")


@pytest.mark.parametrize(
    ("command", "path", "maker"),
    [
        ("equalize --src data/aligned/rafdb --out data/faces/rafdb", "data/aligned/rafdb", "align"),
        ("select --src data/aligned/rafdb --out data/selected/rafdb", "data/aligned/rafdb", "align"),
        ("harmonize --src data/samples/rafdb --out data/labels/rafdb", "data/samples/rafdb", "ingest"),
        ("split", "data/aligned/demo-affectnet", "align"),
        ("shard", "data/split", "split"),
        ("train", "data/shards", "shard"),
        ("evaluate", "data/shards", "shard"),
        ("doubt", "data/split", "split"),
        ("report", "data/shards", "shard"),
        ("personalize --subject s --shots 2", "data/shards", "shard"),
    ],
)
def test_what_is_missing_is_said_with_the_command_that_makes_it(project, capsys, command, path, maker):
    assert run(command.split()) == 1
    assert capsys.readouterr().err.strip() == f"error: {path}: not there; run prep {maker} first, or dvc repro"


def test_a_process_short_of_memory_says_so(project):
    """The limit is the system's, and so is what each library makes of it."""
    code = """
import errno, resource, cv2, numpy as np, pyarrow as pa, stages.trace
from stages.cli import run
def fail():
    raise OSError(errno.ENOMEM, "Cannot allocate memory")
dot = np.zeros((9, 9, 3), np.uint8)
resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
for want in (
    lambda _: bytearray(1 << 34), lambda _: np.zeros(1 << 34), lambda _: pa.allocate_buffer(1 << 34),
    lambda _: cv2.resize(dot, (1 << 16, 1 << 16)), lambda _: fail(),
):
    stages.trace.walk = want
    print(run(["trace", "x"]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.split()) == (0, ["1"] * 5)
    lines = done.stderr.splitlines()
    assert len(lines) == 5
    assert all(line.startswith("error: out of memory; the previous results are as they were") for line in lines)
