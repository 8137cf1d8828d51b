"""The rules of the house: which room may import which, what every stage looks like, what `prep --help` may load."""

import importlib
import inspect
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

import models
from tests.imports import PACKAGES, ROOT, imported_names, imported_rooms, room_of

# Room -> the rooms that it stands on. One that is not listed may not be imported; nothing leads upwards or in a circle.
# A new arrow is a decision: it goes in here, and with a reason into ARCHITECTURE where it is not plain.
ROOMS = {
    "pipeline": "core ingest labels shards",  # `pipeline.frames`, for people who import this
    "pipeline/core": "",
    "pipeline/images": "core",
    "pipeline/geometry": "core",
    "pipeline/demo": "core",
    "pipeline/labels": "core",
    "pipeline/verify": "core",
    "pipeline/video": "core",
    "pipeline/ingest": "core video",
    "pipeline/decisions": "core",
    "pipeline/align": "core images geometry video ingest",
    "pipeline/select": "core",
    "pipeline/equalize": "core images",
    "pipeline/split": "core images geometry",
    "pipeline/shards": "core geometry",
    "pipeline/doubt": "core images geometry split",
    "pipeline/report": "core images ingest",
    "pipeline/fiftyone": "core images ingest decisions",
    "pipeline/forget": "core decisions images ingest verify",
    "pipeline/review": "core images video ingest decisions",
    "models/core": "core",
    "models/networks": "core models/core",
    "models/data": "core shards models/core",
    "models/classical": "core align models/core models/data",
    "models": "core models/core models/networks models/classical",
    "models/evaluation": "core doubt geometry shards report models models/core models/classical models/data",
    "models/training": "core images shards report models models/core models/networks models/classical models/data "
    "models/evaluation",
    "models/inference": "core images geometry align equalize report models models/core models/data",
    "models/personal": "core shards models models/core models/classical models/data models/evaluation",
    "models/experiments": "core verify models/evaluation",
    "stages": "core demo ingest decisions align select equalize labels split shards doubt report review fiftyone "
    "forget verify models models/training models/evaluation models/inference models/personal "
    "models/experiments",
}
FILES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
DVC = yaml.safe_load((ROOT / "dvc.yaml").read_text())
DVC["stages"] |= yaml.safe_load((ROOT / "raw/dvc.yaml").read_text())["stages"]
STAGES = sorted(set(DVC["stages"]) - {"code"})
# The room of a stage where it has another name than the command.
STAGE_ROOMS = {
    "pipeline": "core ingest labels shards",  # `pipeline.frames`, for people who import this
    "decide": "pipeline.decisions",
    "harmonize": "pipeline.labels",
    "shard": "pipeline.shards",
    "train": "models.training",
    "evaluate": "models.evaluation",
}
MAX_STAGE_LINES = 12


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def stands_on(room: str) -> set[str]:
    return {name if name.startswith("models") else f"pipeline/{name}" for name in ROOMS[room].split()}


def test_a_room_imports_what_it_stands_on():
    missing = {name_of(file): imported_rooms(file) - stands_on(room_of(file)) for file in FILES}
    assert {name: sorted(rooms) for name, rooms in missing.items() if rooms} == {}, "see ROOMS"


def test_no_room_stands_on_itself_and_each_arrow_is_used():
    order: list[str] = []
    while len(order) < len(ROOMS):
        free = [room for room in ROOMS if room not in order and stands_on(room) <= set(order)]
        assert free, f"in a circle: {sorted(set(ROOMS) - set(order))}"
        order += free
    for room in ROOMS:
        used = {other for file in FILES if room_of(file) == room for other in imported_rooms(file)}
        assert used == stands_on(room), f"{room}: {sorted(used ^ stands_on(room))}"


def test_nothing_imports_the_tests():
    assert [name_of(file) for file in FILES if any(name.startswith("tests") for name in imported_names(file))] == []


def test_what_is_imported_by_its_name_alone_is_imported_from_where_it_is():
    """`models.Predictor` is found when it is asked for, so no import says which code comes with it."""
    lazy = {f"models.{name}" for name in models.LAZY}
    assert [name_of(file) for file in FILES if lazy & imported_names(file)] == []


# What the fingerprint of a stage's code cannot follow: names that are put together, and docstrings that do something.
HIDDEN = {
    "import_module": {"pipeline/__init__.py", "pipeline/align/cascade.py", "models/__init__.py", "stages/entry.py"},
    "__import__": set(),
    "__doc__": set(),
    "importlib.resources": set(),
}


@pytest.mark.parametrize("word", HIDDEN)
def test_no_code_or_data_is_reached_unseen(word):
    own = ROOT / "pipeline/core/lineage/code.py"
    assert {name_of(path) for path in FILES if path != own and word in path.read_text()} == HIDDEN[word]


@pytest.mark.parametrize("file", [file for file in FILES if "__file__)" in file.read_text()], ids=name_of)
def test_data_is_named_by_one_text_beside_the_module(file):
    """`with_name("taxonomies")` is what the fingerprint finds; a name made of parts it would not."""
    used = re.findall(r"Path\(__file__\)(\S*)", file.read_text())
    others = {
        "pipeline/core/lineage/code.py",  # asks where the packages are, as does
        "stages/entry.py",
        "pipeline/core/lineage/source.py",  # asks for its own text
    }
    assert name_of(file) in others or all(re.match(r'\.with_name\("[\w.]+"\)', use) for use in used)


def test_all_that_is_printed_goes_one_way():
    """Names of files and labels are others' words, and `stages.say` keeps them from steering a terminal."""
    printing = [path for path in FILES if any(word in path.read_text() for word in ("typer.echo(", "click.echo("))]
    assert [name_of(path) for path in printing] == ["stages/say.py"]


def test_help_loads_no_heavy_module():
    code = (
        "import sys; from stages.cli import run; run(['--help']); "
        "print([name for name in ('torch', 'dlib', 'cv2', 'lightning', 'dvc') if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stderr.strip() == "[]"
    assert "Usage: prep" in done.stdout


def stage_body(name: str) -> dict:
    stage = DVC["stages"][name]
    return stage.get("do", stage)


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_is_run_by_one_function_of_one_shape(name):
    run = importlib.import_module(f"{STAGE_ROOMS.get(name, f'pipeline.{name}')}.stage").run
    given = inspect.signature(run).parameters
    positional = [one.name for one in given.values() if one.kind is one.POSITIONAL_OR_KEYWORD]
    assert positional[-2:] == ["out", "params"], f"{name}: the inputs, then out, then params; the rest by keyword"
    assert "progress" in given
    assert inspect.signature(run).return_annotation == dict[str, Any], f"{name}: the summary is what it returns"


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_depends_on_what_its_code_means(name):
    assert f"runs/code/{name}.json" in stage_body(name)["deps"]
    assert not [dep for dep in stage_body(name)["deps"] if dep.partition("/")[0] in PACKAGES]


def test_a_stage_is_described_in_twelve_lines():
    text = (ROOT / "dvc.yaml").read_text().partition("\nplots:\n")[0].partition("\nstages:\n")[2]
    blocks = [*text.strip("\n").split("\n\n"), (ROOT / "raw/dvc.yaml").read_text().partition("\nstages:\n")[2]]
    assert len(blocks) == len(DVC["stages"])
    assert max(len(block.splitlines()) for block in blocks) <= MAX_STAGE_LINES


@pytest.mark.parametrize("name", STAGES)
def test_stage_calls_its_own_command_without_repeating_parameters(name):
    words = stage_body(name)["cmd"].split()
    assert words[:2] == ["prep", name]
    assert {word for word in words if word.startswith("--")} <= {"--src", "--out"}


@pytest.mark.parametrize("name", STAGES)
def test_metrics_and_plots_stay_in_git_and_out_of_the_cache(name):
    body = stage_body(name)
    for kind in ("metrics", "plots"):
        for entry in body.get(kind, []):
            ((path, options),) = entry.items()
            # Pictures show faces: they stay in the cache and out of git.
            assert options["cache"] is (Path(path).suffix not in {".json", ".csv"}), f"{name}: {path}"
