"""Every kind of forgery in a small project of DVC's: `prep verify` ends with 1 and names the file itself."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from stages.cli import run
from tests.end_to_end.test_code import call, commit, write_project
from tests.imports import ROOT

pytestmark = pytest.mark.slow

SAMPLES, LABELS = Path("data/samples/ladies"), Path("data/labels/ladies")
METRICS = Path("runs/align/ladies.json")
# What `prep align` does with its metrics, without the networks.
COUNTS = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
from pathlib import Path
from pipeline.core.stage_output import stage_output
with stage_output(Path("data/aligned/ladies"), stage="align", sources=[Path("{SAMPLES}")], params={{}}) as output:
    output.write_json_beside(Path("{METRICS}"), {{"missed": 3}})
    output.finish(rows_in=0, rows_out=0)
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A project whose three stages ran, all of it in git or in DVC's cache."""
    folder = write_project(tmp_path_factory.mktemp("made") / "project")
    (folder / "counts.py").write_text(COUNTS)
    (folder / "splits").mkdir()
    stages = yaml.safe_load((folder / "dvc.yaml").read_text())["stages"]
    metrics = [{METRICS.as_posix(): {"cache": False}}]
    outs = ["data/aligned/ladies"]
    stages["align"] = {"cmd": "python counts.py", "deps": [str(SAMPLES)], "outs": outs, "metrics": metrics}
    (folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}, sort_keys=False))
    call(folder, "git", "init", "-q")
    call(folder, "dvc", "init", "-q")
    call(folder, "dvc", "add", "-q", "raw/ladies")
    call(folder, "dvc", "repro", "-q")
    commit(folder)
    return folder


@pytest.fixture(scope="module")
def project(made) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(made)
        yield made


@pytest.fixture
def named(project, capsys) -> Callable[[], list[str]]:
    """What `prep verify` names; the project is as it was before and after each test."""

    def verify(*arguments: str) -> list[str]:
        capsys.readouterr()
        code = run(["verify", *arguments])
        lines = capsys.readouterr().err.splitlines()
        assert code == (1 if lines else 0), lines
        return [line.partition(": ")[0] for line in lines if not line.startswith("error: ")]

    assert verify() == []
    return verify


def forgeries(content: bytes) -> dict[str, bytes | None]:
    middle = len(content) // 2
    flipped = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
    return {"flipped": flipped, "cut": content[:middle], "longer": content + b" ", "empty": b"", "deleted": None}


def faults(content: bytes) -> dict[str, bytes | None]:
    """What changes the meaning of code; the wording of a comment does not."""
    return {"longer": content + b"\nNEW: 1\n", "cut": content[: len(content) // 2], "deleted": None}


def put(path: Path, content: bytes | None) -> None:
    path.unlink(missing_ok=True)  # never written into: it may be a link to DVC's cache
    if content is not None:
        path.write_bytes(content)


def files(*folders: Path | str) -> list[Path]:
    found = (path for folder in folders for path in Path(folder).rglob("*"))
    return sorted(path for path in found if path.is_file() and path.name != ".gitignore")


def test_each_file_is_named_itself(named):
    results = files("data", "runs")
    assert {"labels.parquet", "manifest.parquet", "snapshot.json", "ladies.json"} <= {path.name for path in results}
    code = [
        Path(name)
        for name in ("pipeline/labels/taxonomies/kdef.yaml", "pipeline/core/stage_output.py", "stages/ingest.py")
    ]
    whole = {LABELS / "labels.parquet", LABELS / "snapshot.json", METRICS}
    for number, path in enumerate([*results, *files("raw")[:2], *code]):
        content = path.read_bytes()
        kinds = list((faults(content) if path in code else forgeries(content)).items())
        # Each kind on some, as each run takes a tenth of a second.
        for kind, forged in kinds if path in whole else [kinds[number % len(kinds)]]:
            put(path, forged)
            assert named() == [path.as_posix()], kind
        put(path, content)


def test_two_files_that_are_swapped_are_both_named(named):
    for one, other in (files("raw")[:2], [SAMPLES / "summary.json", LABELS / "summary.json"]):
        contents = one.read_bytes(), other.read_bytes()
        put(one, contents[1])
        put(other, contents[0])
        assert sorted(named()) == sorted([one.as_posix(), other.as_posix()])
        put(one, contents[0])
        put(other, contents[1])


@pytest.mark.parametrize(
    "name",
    [
        "raw/ladies/AF01/more.JPG",
        "data/stray.parquet",
        "data/labels/ladies/.hidden",
        "data/labels/ladies/part-00001.parquet",
        "runs/align/other.json",
        "pipeline/labels/taxonomies/other.yaml",
    ],
)
def test_a_stray_is_named(named, name):
    Path(name).write_bytes(b"x")
    assert named() == [name]
    Path(name).unlink()


def test_a_whole_folder_that_no_stage_wrote_is_named(named, project, capsys):
    shutil.copytree(LABELS, "data/labels/gentlemen")
    shutil.copytree(LABELS, "runs/own")
    stages = Path("dvc.yaml").read_text()
    lock = Path("dvc.lock").read_text()
    # A later stage that takes the folder of all labels, as `split` does.
    more = yaml.safe_load(stages)
    more["stages"]["split"] = {"cmd": "echo", "deps": ["data/labels"]}
    Path("dvc.yaml").write_text(yaml.safe_dump(more, sort_keys=False))
    shutil.move("data/labels/gentlemen", "aside")
    call(project, "dvc", "repro", "-q")
    shutil.move("aside", "data/labels/gentlemen")
    assert named() == ["data/labels/gentlemen/snapshot.json"]
    shutil.rmtree("data/labels/gentlemen")
    run(["verify"])
    assert "holds   runs/own  (dvc.lock does not have it)" in capsys.readouterr().out
    shutil.rmtree("runs/own")
    Path("dvc.yaml").write_text(stages)
    Path("dvc.lock").write_text(lock)


def leaves(content: object, *keys: str | int) -> Iterator[tuple[str | int, ...]]:
    entries = enumerate(content) if isinstance(content, list) else getattr(content, "items", tuple)()
    if not isinstance(content, dict | list):
        yield keys
    for key, value in entries:
        yield from leaves(value, *keys, key)


def forge(value: object) -> object:
    if isinstance(value, bool) or value is None:
        return "x" if value is None else not value
    return value + 1 if isinstance(value, int | float) else f"{str(value)[1:]}{str(value)[0]}x"


def test_no_value_of_the_lock_can_be_edited(named):
    lock = Path("dvc.lock")
    content = lock.read_text()
    found = [place for place in leaves(yaml.safe_load(content)) if {"schema", "harmonize@ladies"} & set(place)]
    # Of a stage's entries one for each thing that is said of them, files and folders.
    places = {tuple(0 if isinstance(key, int) else key for key in place): place for place in found}.values()
    assert {place[-1] for place in places} >= {"schema", "cmd", "path", "md5", "size", "nfiles", "hash", "compound"}
    for place in places:
        edited = yaml.safe_load(content)
        inner = edited
        for key in place[:-1]:
            inner = inner[key]
        inner[place[-1]] = forge(inner[place[-1]])
        lock.write_text(yaml.safe_dump(edited, sort_keys=False))
        assert run(["verify"]) == 1, place
    lock.write_text(content)


def test_no_entry_and_no_stage_can_be_taken_out_of_the_lock(named):
    lock = Path("dvc.lock")
    content = lock.read_text()
    stages = yaml.safe_load(content)["stages"]
    for name in stages:
        # `code` is made of nothing: it always runs.
        entries = (("outs", 0),) if name == "code" else (("deps", 0), ("deps", -1), ("outs", 0))
        for kind, number in ((None, 0), *entries):
            edited = yaml.safe_load(content)
            if kind is None:
                del edited["stages"][name]
            else:
                del edited["stages"][name][kind][number]
            lock.write_text(yaml.safe_dump(edited, sort_keys=False))
            assert "dvc.lock" in named(), (name, kind, number)
    lock.write_text(content)


def test_a_dataset_that_was_taken_out_is_no_forgery(named, project, capsys):
    """DVC keeps its stages in dvc.lock for good."""
    kept = {name: Path(name).read_text() for name in ("params.yaml", "dvc.lock")}
    cached = set(files(".dvc/cache/files"))
    params = yaml.safe_load(kept["params.yaml"])
    shutil.copytree("raw/ladies", "raw/twins")
    params["datasets"]["twins"] = params["datasets"]["ladies"] | {"src": "raw/twins"}
    Path("params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    call(project, "dvc", "repro", "-q", "ingest@twins")
    for folder in ("raw/twins", "data/samples/twins"):
        shutil.rmtree(folder)
    Path("params.yaml").write_text(kept["params.yaml"])
    capsys.readouterr()
    assert run(["verify"]) == 0
    said = capsys.readouterr().err
    assert said == "note: dvc.lock still has ingest@twins, which dvc.yaml no longer has\n"
    for name, text in kept.items():
        Path(name).write_text(text)
    for path in set(files(".dvc/cache/files")) - cached:
        path.unlink()


def test_parameters_that_are_not_those_of_the_lock_are_named(named, capsys):
    params = Path("params.yaml")
    text = params.read_text()
    edited = yaml.safe_load(text)
    edited["harmonize"]["compound"] = "reject"
    params.write_text(yaml.safe_dump(edited, sort_keys=False))
    assert named() == ["params.yaml"]
    run(["verify"])
    said = capsys.readouterr().err
    assert "harmonize.compound is 'reject', but harmonize@ladies ran with 'distribution'" in said
    params.write_text(text)


def test_a_snapshot_that_agrees_with_a_forged_file_does_not_hide_it(named):
    """The md5 in the snapshot is edited along: DVC's list of the folder still has the true one."""
    path, snapshot = LABELS / "summary.json", LABELS / "snapshot.json"
    contents = path.read_bytes(), snapshot.read_bytes()
    forged = contents[0].replace(b"7", b"8")
    put(path, forged)
    entry = json.loads(contents[1])
    from pipeline.core.lineage.identity import file_md5

    entry["files"]["summary.json"] = {"md5": file_md5(path), "size": len(forged)}
    put(snapshot, json.dumps(entry).encode())
    assert named() == [snapshot.as_posix(), path.as_posix()]
    put(path, contents[0])
    put(snapshot, contents[1])


def test_a_forged_object_of_the_cache_is_named(named):
    """`dvc checkout` would bring it back, and believes what it finds there."""
    objects = files(".dvc/cache/files")
    lists = [path for path in objects if path.suffix == ".dir"]
    assert len(lists) == 5
    for path in objects:
        content, mode = path.read_bytes(), path.stat().st_mode
        put(path, forgeries(content)["flipped" if path in lists else "longer"])
        assert named() == [path.as_posix()]
        put(path, None)  # one that is gone is only not there: `dvc gc`, a clone
        assert path not in lists or named() == []
        put(path, content)
        path.chmod(mode)


def test_a_record_of_dvc_add_that_was_edited_is_said(named):
    record = Path("raw/ladies.dvc")
    text = record.read_text()
    md5 = yaml.safe_load(text)["outs"][0]["md5"]
    record.write_text(text.replace(md5, f"{md5[1:-4]}{md5[0]}.dir"))
    assert named() == ["raw/ladies"]
    record.write_text("outs: 3\n")
    assert run(["verify"]) == 1
    record.write_text(text)


def test_a_cache_elsewhere_is_found(named, project):
    shutil.move(".dvc/cache", "elsewhere")
    call(project, "dvc", "config", "--local", "cache.dir", "elsewhere")
    path = files("elsewhere/files")[0]
    content = path.read_bytes()
    put(path, content + b" ")
    assert [Path(name).resolve() for name in named()] == [path.resolve()]
    put(path, content)
    shutil.move("elsewhere", ".dvc/cache")
    Path(".dvc/config.local").unlink()


def test_without_the_cache_a_forged_file_is_still_named(named):
    shutil.move(".dvc/cache", "aside")
    path = LABELS / "labels.parquet"
    content = path.read_bytes()
    put(path, forgeries(content)["flipped"])
    assert named() == [path.as_posix()]
    put(path, content)
    assert named() == []
    shutil.move("aside", ".dvc/cache")


def test_one_result_is_checked_with_the_code_and_parameters_behind_it(named):
    path = Path("stages/harmonize.py")
    content = path.read_bytes()
    put(path, content + b"\nNEW = 1\n")
    assert named(str(LABELS)) == [path.as_posix()]
    assert named(str(SAMPLES)) == []
    put(path, content)
