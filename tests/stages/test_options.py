"""Options that every command has: what they print and where they run, never what comes out."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from PIL import Image

import stages
from pipeline.core.lineage.code import stage_code
from pipeline.core.lineage.identity import identity
from pipeline.core.lineage.snapshot import read_snapshot
from stages.cli import app, run
from stages.say import is_quiet, one_line, say, show_json
from stages.settings import SETTINGS
from tests.imports import PACKAGES, ROOT

PREP = Path(sys.executable).parent / "prep"
COMMANDS = sorted(command.callback.__name__ for command in app.registered_commands)


def help_of(name: str, capsys) -> str:
    assert run([name, "--help"]) == 0
    return " ".join(capsys.readouterr().out.split())


def test_the_version_is_that_of_the_package(capsys):
    from importlib.metadata import version

    import models
    import pipeline

    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"prep {version('expression-prep')}\n"
    assert {package.__version__ for package in (pipeline, models, stages)} == {version("expression-prep")}
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = pipeline.nothing


def test_every_variable_is_in_a_help_text(capsys):
    """What the code reads of the environment, found in its text, against what the help says."""
    words = {
        word.strip("\"'`.,:;()=")
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        for word in path.read_text().replace("=", " ").split()
        if word.strip("\"'`({[f").startswith("PREP_")
    }
    # What tunes a cluster stands on its page; PREP_ENTERED is a mark that a process leaves for itself.
    names = {"_".join(word.lstrip("\"'`({[f").split("_")[:2]) for word in words} - {"PREP_PART", "PREP_ENTERED"}
    assert {"PREP_WORKERS", "PREP_DEVICE", "PREP_DEBUG"} < names
    assert run(["--help"]) == 0
    said = capsys.readouterr().out + "".join(help_of(name, capsys) for name in COMMANDS)
    assert {name for name in names if f"[env var: {name}]" not in " ".join(said.split())} == set()


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_its_settings_in_its_help(name, capsys):
    said = help_of(name, capsys)
    assert "-q, --quiet" in said
    for setting in SETTINGS.get(name, ()):
        assert f"--{setting.name} {setting.metavar}" in said
        assert f"[env var: {setting.variable}]" in said


@pytest.mark.parametrize("name", sorted(SETTINGS))
def test_a_setting_changes_no_stage(name):
    """What only says where a command runs is not among the code that makes a result stale."""
    code = stage_code(name, ROOT, {})
    assert f"stages/{name}.py" in code
    assert "stages/settings.py" not in code


@pytest.fixture
def seen(monkeypatch):
    """`prep trace`, with what it sees of --quiet in the place of what it does."""
    found: list[bool] = []
    monkeypatch.setattr("stages.trace.walk", lambda _: found.append(is_quiet()) or 1 / 0)
    return found


def test_quiet_holds_for_one_command(seen, capsys):
    for words in (["trace", "x", "--quiet"], ["trace", "x"]):
        assert run(words) == 1
    assert seen == [True, False]


@pytest.mark.parametrize(
    ("arguments", "variable", "value"), [(["--workers", "none"], "", ""), ([], "PREP_WORKERS", "none")]
)
def test_workers_are_checked_wherever_they_are_given(tmp_path, monkeypatch, capsys, arguments, variable, value):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PREP_WORKERS", raising=False)
    if variable:
        monkeypatch.setenv(variable, value)
    (tmp_path / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    (tmp_path / "aligned").mkdir()
    assert run(["equalize", "--src", "aligned", *arguments]) == 2
    assert capsys.readouterr().err == "error: PREP_WORKERS: expected a whole number of at least 1, not 'none'\n"
    assert os.environ.get("PREP_WORKERS") == (value or None)


def test_debug_shows_where(monkeypatch, capsys):
    monkeypatch.setattr("stages.trace.walk", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run(["--debug", "trace", "x"])
    assert run(["trace", "x"]) == 1


NAMES = ["a\xa0b", "\x1b[31m", "\u202egnp", "ü", "\x9b", "\U000e0001", "\udcff", "line\nbreak"]


@pytest.mark.parametrize("name", NAMES)
def test_json_is_json_whatever_a_file_is_called(name, capsys):
    show_json({"path": name})
    said = capsys.readouterr().out
    assert json.loads(said) == {"path": name}
    assert all(character.isprintable() or character == "\n" for character in said)


@pytest.mark.parametrize("arguments", [["formats"], ["formats", "--json"], ["--help"], ["align", "--help"]])
def test_a_reader_that_goes_away_early_ends_a_command_quietly(arguments):
    """As `| head` does: not a byte is read, and the pipe is too small for all."""
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run([PREP, *arguments], stdout=writing, stderr=subprocess.PIPE, check=False, cwd=ROOT)
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")


def test_models_say_the_same_to_programs(capsys):
    assert run(["models"]) == 0
    lines = capsys.readouterr().out.splitlines()[1:]
    assert run(["models", "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    for line, entry in zip(lines, content["models"], strict=False):
        assert line.split()[0] == entry["model"]
        assert f"{entry['size_px']} px" in line
        assert line.endswith(entry["what"])
        assert entry["licence"] is None or f"  {entry['licence']}  " in line
    assert len(content["models"]) == len(lines) - 2


def test_quiet_leaves_errors(capsys):
    @typer.Typer().command()
    def command() -> None:
        say("done")
        say("error", err=True)

    from stages.settings import with_settings

    with_settings(command)(quiet=True)
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "error\n")
    with_settings(command)(quiet=False)
    assert capsys.readouterr().out == "done\n"
    assert one_line("a\nb") == "a\\nb"


@pytest.fixture
def ingested(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    for number, name in enumerate(("happy/a.png", "sad/b.png")):
        path = tmp_path / "raw/mine" / name
        path.parent.mkdir(parents=True)
        Image.new("L", (40, 40), 60 + number).save(path)
    assert run(["ingest", "--src", "raw/mine", "--quiet"]) == 0
    return tmp_path


def test_quiet_says_nothing_of_a_stage_that_went_well(ingested, capfd):
    assert tuple(capfd.readouterr()) == ("", "")
    assert json.loads((ingested / "data/samples/mine/summary.json").read_text())["rows_out"] == 2


def test_trace_and_verify_say_the_same_to_programs(ingested, capfd):
    capfd.readouterr()
    samples = ingested / "data/samples/mine"
    assert run(["trace", "data/samples/mine", "--json"]) == 0
    step = json.loads(capfd.readouterr().out)
    assert (step["stage"], step["snapshot"]) == ("ingest", read_snapshot(samples).id)
    raw = {"path": "raw/mine", "md5": identity(ingested / "raw/mine"), "stage": None, "snapshot": None}
    assert step["inputs"] == [{**raw, "kind": "raw", "commits": None}]
    assert run(["verify", "--json"]) == 0
    folder = {"path": "data/samples/mine", "holds": True, "recorded": True}
    assert json.loads(capfd.readouterr().out) == {"folders": [folder], "problems": []}
    (samples / "summary.json").write_text("{}")
    assert run(["verify", "--json"]) == 1
    content = json.loads(capfd.readouterr().out)
    assert content["folders"] == [{**folder, "holds": False}]
    assert [problem["path"] for problem in content["problems"]] == ["data/samples/mine/summary.json"]
