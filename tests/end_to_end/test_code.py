"""The code that runs is that of the working folder: a second clone, a worktree, an experiment in DVC's queue.

`prep` is installed once, from the checkout under test; every project here has packages of its own beside it.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml

from tests.imports import PACKAGES, ROOT

pytestmark = pytest.mark.slow

TAXONOMY = "pipeline/labels/taxonomies/kdef.yaml"
# KDEF's codes, and what its manual says they mean, as the eight classes count: anger 0 to surprise 7.
CODES = {"AF": 3, "AN": 0, "DI": 2, "HA": 4, "NE": 5, "SA": 6, "SU": 7}
SWAPPED = CODES | {"HA": 6, "SA": 4}


def call(folder: Path, *command: str, code: int = 0) -> str:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "PYTHONPATH": str(ROOT), "DVC_NO_ANALYTICS": "1", "PREP_WORKERS": "1"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == code, f"{command}: {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout + done.stderr


def commit(folder: Path) -> None:
    call(folder, "git", "add", ".")
    call(folder, "git", "-c", "user.name=t", "-c", "user.email=t@localhost", "commit", "-qm", "x")


def write_tracked(folder: Path) -> None:
    """Write the project with its pictures in DVC and all else committed."""
    call(write_project(folder), "git", "init", "-q")
    call(folder, "dvc", "init", "-q")
    call(folder, "dvc", "add", "-q", "raw/ladies")
    commit(folder)


def write_project(folder: Path) -> Path:
    """Write a project of one dataset, seven pictures of a lady of KDEF, with the stages up to `harmonize`."""
    for package in PACKAGES:
        shutil.copytree(ROOT / package, folder / package)
    for name in (".dvcignore", ".gitignore"):
        shutil.copy(ROOT / name, folder)
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["datasets"] = {"ladies": {"src": "raw/ladies", "format": "kdef", "role": "both"}}
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    kept = {name: stages[name] for name in ("code", "ingest", "decide", "harmonize")}
    (folder / "decisions").mkdir()
    (folder / "decisions/README.md").write_text("none so far\n")
    (folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": kept}, sort_keys=False))
    for code in CODES:
        path = folder / "raw/ladies/AF01" / f"AF01{code}S.JPG"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(code.encode())
    return folder


def swap(folder: Path) -> None:
    """Let the taxonomy of KDEF call happy sad, and the other way round."""
    path = folder / TAXONOMY
    text = path.read_text()
    other = {"happy": "sad", "sad": "happy"}
    swapped = re.sub(r"(?<=class: )(happy|sad)\b", lambda found: other[found[1]], text)
    assert swapped != text
    path.write_text(swapped)


def labels(folder: Path) -> dict[str, int]:
    rows = pq.read_table(folder / "data/labels/ladies/labels.parquet").to_pylist()
    return {row["sample_id"][-9:-7]: row["label"] for row in rows}


def harmonize(folder: Path) -> dict[str, int]:
    call(folder, "prep", "ingest", "--src", "raw/ladies", "--out", "data/samples/ladies")
    call(folder, "prep", "harmonize", "--src", "data/samples/ladies", "--out", "data/labels/ladies")
    return labels(folder)


def test_a_second_clone_has_its_own_labels_and_a_bare_folder_those_of_the_installed_code(tmp_path):
    clone = write_project(tmp_path / "clone")
    bare = write_project(tmp_path / "bare")
    for package in PACKAGES:
        shutil.rmtree(bare / package)
    (bare / "models").mkdir()  # somebody's weights
    swap(clone)
    assert harmonize(clone) == SWAPPED
    assert harmonize(bare) == CODES


def test_a_moved_folder_has_its_own_labels(tmp_path):
    folder = write_project(tmp_path / "before")
    swap(folder)
    assert harmonize(folder.rename(tmp_path / "after")) == SWAPPED


def test_workers_run_the_code_of_the_working_folder(tmp_path):
    folder = write_project(tmp_path)
    (folder / "pipeline/whereabouts.py").write_text(
        "def one(job): return f'{job} {__file__}'\ndef part(job, units): return one(job)\n"
    )
    with (folder / "stages/formats.py").open("a") as stream:
        stream.write(
            "\n\ndef formats() -> None:\n"
            "    from pipeline import whereabouts\n"
            "    from pipeline.core.parallel import pool, supervised\n"
            "    print(*pool.map_ordered(whereabouts.one, [1, 2], 2), sep='\\n')\n"
            "    print(*supervised.map_parts(whereabouts.part, [3, 4], 2, int, deadline_s=600), sep='\\n')\n"
        )
    place = folder / "pipeline/whereabouts.py"
    assert call(folder, "prep", "formats").splitlines() == [f"{job} {place}" for job in (1, 2, 3, 4)]


@pytest.mark.parametrize("lost", ["models/__init__.py", "stages", "pipeline"])
def test_a_folder_with_half_the_packages_is_refused_in_one_line(tmp_path, lost):
    folder = write_project(tmp_path)
    shutil.rmtree(folder / lost) if (folder / lost).is_dir() else (folder / lost).unlink()
    said = call(folder, "prep", "formats", code=2)
    assert len(said.splitlines()) == 1
    assert all(place in said for place in (f"error: {tmp_path}: ", str(ROOT), lost.partition("/")[0]))


@pytest.mark.long
def test_a_worktree_has_the_labels_of_its_branch(tmp_path):
    main = write_project(tmp_path / "main")
    call(main, "git", "init", "-q")
    call(main, "dvc", "init", "-q")
    commit(main)
    tree = tmp_path / "tree"
    call(main, "git", "worktree", "add", "-q", "-b", "other", str(tree))
    shutil.copytree(main / "raw", tree / "raw", dirs_exist_ok=True)
    swap(tree)
    for folder, expected in ((main, CODES), (tree, SWAPPED)):
        call(folder, "dvc", "repro", "-q")
        assert labels(folder) == expected
        call(folder, "prep", "verify")


@pytest.mark.long
def test_an_edit_that_waits_in_the_queue_is_what_runs(tmp_path):
    write_tracked(tmp_path)
    swap(tmp_path)
    call(tmp_path, "dvc", "exp", "run", "-q", "--queue", "--name", "swapped")
    call(tmp_path, "git", "checkout", "-q", TAXONOMY)
    call(tmp_path, "dvc", "exp", "run", "-q", "--run-all")
    call(tmp_path, "dvc", "exp", "apply", "-q", "swapped")
    assert labels(tmp_path) == SWAPPED
    # And what is recorded is true: the same by hand, with the code that the lock names.
    call(tmp_path, "prep", "verify")
    call(tmp_path, "dvc", "repro", "-q", "--force")
    assert labels(tmp_path) == SWAPPED
    call(tmp_path, "git", "checkout", "-q", TAXONOMY)
    call(tmp_path, "dvc", "repro", "-q")
    assert labels(tmp_path) == CODES


def test_wording_runs_nothing_again_and_behaviour_does(tmp_path):
    write_tracked(tmp_path)
    call(tmp_path, "dvc", "repro", "-q")
    commit(tmp_path)
    table = tmp_path / "pipeline/core/tables.py"
    table.write_text(table.read_text().replace('"""', '"""Reworded. ', 1) + "\n# a comment\n")
    said = call(tmp_path, "dvc", "repro")
    assert re.findall(r"^> prep (\w+)", said, re.MULTILINE) == ["code"]
    assert call(tmp_path, "git", "status", "--porcelain").split() == ["M", "pipeline/core/tables.py"]
    call(tmp_path, "prep", "verify")
    table.write_text(table.read_text() + "\nNEW = 1\n")
    assert f"{table.relative_to(tmp_path)}: not the code that" in call(tmp_path, "prep", "verify", code=1)
    said = call(tmp_path, "dvc", "repro")
    assert re.findall(r"^> prep (\w+)", said, re.MULTILINE) == ["code", "ingest", "decide", "harmonize"]
    call(tmp_path, "prep", "verify")


def test_an_edit_while_dvc_runs_is_an_error_and_not_a_result(tmp_path):
    write_project(tmp_path)
    call(tmp_path, "git", "init", "-q")
    call(tmp_path, "dvc", "init", "-q")
    stages = yaml.safe_load((tmp_path / "dvc.yaml").read_text())
    stages["stages"]["edit"] = {
        "cmd": "echo 'NEW = 1' >> pipeline/core/tables.py && touch edited", "deps": ["data/samples"], "outs": ["edited"]
    }  # fmt: skip
    stages["stages"]["harmonize"]["do"]["deps"].append("edited")
    (tmp_path / "dvc.yaml").write_text(yaml.safe_dump(stages, sort_keys=False))
    said = call(tmp_path, "dvc", "repro", code=255)
    assert "error: pipeline/core/tables.py: not the code that prep code recorded" in said
    assert not (tmp_path / "data/labels").exists()


@pytest.mark.long
def test_the_demo_is_rendered_only_where_a_dataset_lies_in_it(tmp_path):
    write_tracked(tmp_path)
    shutil.copy(ROOT / "raw/dvc.yaml", tmp_path / "raw")
    commit(tmp_path)
    assert "prep demo" not in call(tmp_path, "dvc", "repro")
    assert labels(tmp_path) == CODES
    assert not (tmp_path / "raw/demo").exists()
    assert not (tmp_path / "raw/dvc.lock").exists()
    assert "raw/demo" not in call(tmp_path, "prep", "verify")
    params = yaml.safe_load((tmp_path / "params.yaml").read_text())
    params["datasets"]["rendered"] = {"src": "raw/demo/rafdb", "format": "rafdb", "role": "test"}
    params["demo"]["faces"] = 64
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    assert call(tmp_path, "dvc", "repro").count("> prep demo") == 1
    assert pq.read_metadata(tmp_path / "data/labels/rendered/labels.parquet").num_rows
    locked = yaml.safe_load((tmp_path / "raw/dvc.lock").read_text())["stages"]["demo"]
    assert {dep["path"] for dep in locked["deps"]} == {"runs/code/demo.json"}
    call(tmp_path, "git", "add", ".")
    assert "raw/dvc.lock" in call(tmp_path, "git", "status", "--porcelain")
    assert "holds   raw/demo" in call(tmp_path, "prep", "verify")
    (tmp_path / "raw/demo/truth.parquet").write_bytes(b"x")
    assert "raw/demo/truth.parquet" in call(tmp_path, "prep", "verify", code=1)
