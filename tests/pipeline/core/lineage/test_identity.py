import hashlib
import json
import os
from pathlib import Path

import pytest

from pipeline.core.errors import LineageError, SourceError
from pipeline.core.lineage.identity import FileIdentity, file_md5, folder_files, folder_md5, identity
from pipeline.ingest.trees.folder import FolderTree

NAMES = ("b.txt", "a.txt", "sub/deep/c.txt", "sub-2/d.txt", "Ünïcode näme.txt", "sub/.hidden", ".DS_Store", "sub.x/e")


def plant(folder: Path) -> None:
    for number, name in enumerate(NAMES):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"%d\r\n" % number)


# DVC's own dependencies warn about each other.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_folder_identity_is_dvcs_own(tmp_path, monkeypatch):
    from dvc.repo import Repo

    monkeypatch.chdir(tmp_path)
    plant(tmp_path / "tree")
    Repo.init(str(tmp_path), no_scm=True).close()
    with Repo(str(tmp_path)) as repo:
        (stage,) = repo.add(["tree"])
        assert identity(tmp_path / "tree") == stage.outs[0].hash_info.value


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_file_identity_is_dvcs_own(tmp_path, monkeypatch):
    from dvc.repo import Repo

    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.csv").write_bytes(b"a,b\r\n1,2\r\n")
    Repo.init(str(tmp_path), no_scm=True).close()
    with Repo(str(tmp_path)) as repo:
        (stage,) = repo.add(["x.csv"])
        assert identity(tmp_path / "x.csv") == stage.outs[0].hash_info.value


def test_leftovers_of_an_interrupted_run_do_not_count(tmp_path):
    plant(tmp_path)
    before = identity(tmp_path)
    (tmp_path / ".affectnet.partial").mkdir()
    (tmp_path / ".affectnet.partial" / "part-00000.parquet").write_bytes(b"half")
    assert identity(tmp_path) == before
    ignored = (Path(__file__).parents[4] / ".dvcignore").read_text().splitlines()
    assert ".*.partial" in ignored


def test_files_are_sorted_and_measured(tmp_path):
    plant(tmp_path)
    files = folder_files(tmp_path)
    assert [file.path for file in files] == sorted(NAMES)
    assert all(file.size == (tmp_path / file.path).stat().st_size for file in files)
    assert json.dumps([file.md5 for file in files])


@pytest.mark.parametrize("names", [[], ["a"], sorted([*NAMES, 'q"uote', "back\\slash", "tab\t", "\udcff.jpg", "🙂"])])
def test_folder_identity_is_that_of_the_whole_text(names):
    files = [FileIdentity(name, n, f"{n:032x}") for n, name in enumerate(names)]
    text = json.dumps([{"md5": file.md5, "relpath": file.path} for file in files])
    assert folder_md5(iter(files)) == hashlib.md5(text.encode(), usedforsecurity=False).hexdigest() + ".dir"


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(LineageError, match="gone: cannot be read"):
        file_md5(tmp_path / "gone")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_what_dvc_passes_over_does_not_count(tmp_path, monkeypatch):
    from dvc.repo import Repo

    monkeypatch.chdir(tmp_path)
    plant(tmp_path / "tree")
    for name in (".git/HEAD", "sub/.hg/x", "sub-2/.git", "__pycache__/x.pyc", ".old.partial/x", "hg/.hg"):
        (tmp_path / "tree" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "tree" / name).write_bytes(b"x")
    Repo.init(str(tmp_path), no_scm=True).close()
    (tmp_path / ".dvcignore").write_bytes((Path(__file__).parents[4] / ".dvcignore").read_bytes())
    with Repo(str(tmp_path)) as repo:
        (stage,) = repo.add(["tree"])
        dvcs = stage.outs[0].hash_info.value
    assert identity(tmp_path / "tree") == dvcs
    tree = FolderTree("tree")
    assert tree.identity() == dvcs
    assert tree.names() == sorted((*NAMES, "hg/.hg"))


def test_a_link_loop_and_a_pipe_end(tmp_path):
    plant(tmp_path)
    before = identity(tmp_path)
    (tmp_path / "sub" / "up").symlink_to(tmp_path)
    (tmp_path / "self").symlink_to("self")
    os.mkfifo(tmp_path / "pipe")
    assert identity(tmp_path) == before


@pytest.mark.parametrize("name", ["sub/.dvcignore", "sub/.dvc/config"])
def test_a_raw_tree_of_which_dvc_would_leave_out_more_is_refused(tmp_path, name):
    plant(tmp_path)
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("*.txt\n")
    with pytest.raises(SourceError, match=r"sub/\.dvc.*: with it DVC passes over files of this tree"):
        FolderTree(str(tmp_path)).names()
