"""What each broken link is called, to the letter, on folders written by hand."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.core.errors import LineageError
from pipeline.core.lineage.identity import file_md5
from pipeline.core.lineage.snapshot import Input, Snapshot, read_snapshot, write_snapshot
from pipeline.core.lineage.walk import Node, iter_nodes, owner, raw_inputs, walk
from pipeline.verify.links import Verifier, find_outputs
from tests.pipeline.verify.test_recorded import md5


def folder_identity(folder: Path) -> str:
    """DVC's identity of a folder, written out anew."""
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    listed = [{"md5": md5((folder / name).read_bytes()), "relpath": name} for name in files]
    return md5(json.dumps(listed).encode()) + ".dir"


def make(folder: str, content: bytes, inputs=(), beside=None, stage="some", number="1") -> Path:
    """Write an output folder of one file, the things that lie beside it, and its snapshot."""
    place = Path(folder)
    place.mkdir(parents=True)
    (place / "a.bin").write_bytes(content)
    files = {"a.bin": {"md5": md5(content), "size": len(content)}}
    given = {}
    for name, text in (beside or {}).items():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(text)
        given[name] = {"md5": md5(text), "size": len(text)}
    write_snapshot(place, Snapshot(stage, number, tuple(inputs), {}, {}, files, beside=given))
    return place


@pytest.fixture
def chain(tmp_path, monkeypatch):
    """raw -> one (of a table of the raw files) -> two."""
    monkeypatch.chdir(tmp_path)
    Path("raw").mkdir()
    for name in ("x", "y"):
        Path("raw", name).write_bytes(name.encode())
    make("data/one", b"first", [Input("raw", folder_identity(Path("raw")))], number="11")
    manifest = {"path": ["x", "y"], "md5": [md5(b"x"), md5(b"y")]}
    pq.write_table(pa.table(manifest), "data/one/manifest.parquet")
    write_table_of("data/one")
    make("data/two", b"second", [Input("data/one", folder_identity(Path("data/one")), "11")], number="22")


def write_table_of(folder):
    """Let the snapshot name every file that lies there."""
    known = read_snapshot(Path(folder))
    content = json.loads(Path(folder, "snapshot.json").read_text())
    content["files"] = {
        path.name: {"md5": md5(path.read_bytes()), "size": path.stat().st_size}
        for path in Path(folder).iterdir()
        if path.name != "snapshot.json"
    }
    Path(folder, "snapshot.json").write_text(json.dumps(content))
    return known


def check(folder, locked=None, given=None):
    return {problem.path: problem.detail for problem in Verifier(locked or {}, given).check(Path(folder))}


def test_an_untouched_chain_has_no_problem(chain):
    identities = {name: folder_identity(Path(name)) for name in ("data/one", "data/two", "raw")}
    assert check("data/one", identities, identities) == check("data/two", identities, identities) == {}


def test_files_of_a_folder_are_missing_new_or_changed(chain):
    Path("data/two/a.bin").write_bytes(b"other")
    Path("data/two/b.bin").write_bytes(b"more")
    assert check("data/two") == {
        "data/two/a.bin": f"changed: md5 {md5(b'other')}, not {md5(b'second')}",
        "data/two/b.bin": "was not there when its folder was written",
    }
    Path("data/two/a.bin").unlink()
    assert check("data/two")["data/two/a.bin"] == "missing"


def test_a_withdrawn_file_may_be_missing_but_not_changed(chain):
    gone = Verifier({}, withdrawn={md5(b"second")})
    Path("data/two/a.bin").write_bytes(b"other")
    assert [problem.path for problem in gone.check(Path("data/two"))] == ["data/two/a.bin"]
    Path("data/two/a.bin").unlink()
    assert list(Verifier({}, withdrawn={md5(b"second")}).check(Path("data/two"))) == []
    assert [problem.path for problem in Verifier({}, withdrawn={"0" * 32}).check(Path("data/two"))] == [
        "data/two/a.bin"
    ]


def test_a_snapshot_that_cannot_be_read_says_why_without_its_name_twice(chain):
    Path("data/two/snapshot.json").write_text("{")
    (detail,) = check("data/two").values()
    assert detail.startswith("not a snapshot: ")
    Path("data/two/snapshot.json").unlink()
    assert check("data/two") == {
        "data/two/snapshot.json": "cannot be read: No such file or directory; run the stage that writes data/two"
    }


def test_what_dvc_lock_has_is_told_of_the_file_or_else_of_the_snapshot(chain):
    folder, file = folder_identity(Path("data/two")), md5(b"second")
    assert check("data/two", {"data/two/a.bin": "0"}) == {"data/two/a.bin": f"not what dvc.lock has: {file}, not 0"}
    assert check("data/two", {"data/two": "0.dir"}) == {
        "data/two/snapshot.json": "changed, as every file beside it is as it says; its folder is not what dvc.lock "
        f"has: {folder}, not 0.dir"
    }
    assert check("data/two", {"data/two": folder, "data/two/a.bin": file}) == {}


def test_an_input_is_missing_or_another_than_dvc_has(chain):
    made_from = folder_identity(Path("raw"))
    assert check("data/one", {}, {"raw": "0.dir"}) == {"raw": f"DVC has 0.dir, but data/one was made from {made_from}"}
    for name in ("x", "y"):
        Path("raw", name).unlink()
    Path("raw").rmdir()
    assert check("data/one") == {"raw": "missing; data/one was made from it"}


def test_of_a_raw_tree_the_files_that_changed_are_named_by_the_manifest(chain):
    Path("raw/x").write_bytes(b"z")
    Path("raw/new").write_bytes(b"n")
    Path("raw/y").unlink()
    assert check("data/one") == {
        "raw/new": "was not there when its folder was written",
        "raw/x": f"changed: md5 {md5(b'z')}, not {md5(b'x')}",
        "raw/y": "missing",
    }


def test_without_a_manifest_the_raw_tree_is_named(chain):
    before = folder_identity(Path("raw"))
    Path("data/one/manifest.parquet").unlink()
    write_table_of("data/one")
    Path("raw/x").write_bytes(b"z")
    after = folder_identity(Path("raw"))
    assert check("data/one") == {"raw": f"not what data/one was made from: {after}, not {before}"}


def test_a_raw_file_is_named_itself(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("raw.zip").write_bytes(b"x")
    make("data/one", b"first", [Input("raw.zip", md5(b"x"))])
    pq.write_table(pa.table({"path": ["raw.zip"], "md5": [md5(b"x")]}), "data/one/manifest.parquet")
    write_table_of("data/one")
    assert check("data/one") == {}
    Path("raw.zip").write_bytes(b"y")
    assert check("data/one") == {"raw.zip": f"not what data/one was made from: {md5(b'y')}, not {md5(b'x')}"}


def test_of_an_earlier_output_the_file_that_changed_is_named_or_its_snapshot(chain):
    before = folder_identity(Path("data/one"))
    Path("data/one/a.bin").write_bytes(b"forged")
    assert check("data/two") == {"data/one/a.bin": f"changed: md5 {md5(b'forged')}, not {md5(b'first')}"}
    write_table_of("data/one")
    after = folder_identity(Path("data/one"))
    assert check("data/two") == {
        "data/one/snapshot.json": "changed, as every file beside it is as it says; its folder is not what data/two was "
        f"made from: {after}, not {before}"
    }
    Path("data/one/snapshot.json").write_text("{}")
    assert check("data/two")["data/one/snapshot.json"].startswith("not a snapshot: ")
    Path("data/one/snapshot.json").unlink()
    (found,) = check("data/two").items()
    assert found == ("data/one", f"not what data/two was made from: {folder_identity(Path('data/one'))}, not {before}")


def test_what_lies_beside_is_checked_as_well(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make("data/one", b"1", beside={"runs/one.json": b"{}"})
    assert check("data/one") == {}
    Path("runs/one.json").write_bytes(b"[]")
    assert check("data/one") == {"runs/one.json": f"changed: md5 {md5(b'[]')}, not {md5(b'{}')}"}
    Path("runs/one.json").unlink()
    assert check("data/one") == {"runs/one.json": "missing"}


def rest(locked=None, outputs=("data/one",), passed_over=()):
    found = Verifier(locked or {}).check_rest(
        [Path(name) for name in outputs], [Path("data"), Path("runs")], [Path(name) for name in passed_over]
    )
    return {problem.path: problem.detail for problem in found}


def test_the_rest_is_what_dvc_lock_names_and_what_no_stage_wrote(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make("data/one", b"1", beside={"runs/one.json": b"{}"})
    assert rest() == {}
    for name in ("data/.gitignore", "runs/.gitignore", "runs/kept/a", "runs/file", "data/b", "runs/c"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_bytes(b"s")
    locked = {"runs/file": md5(b"s"), "data/one": "of the folder itself, checked elsewhere", "data/one/a.bin": "so too"}
    stray = "a stray: no stage wrote it; remove it, or keep it elsewhere"
    assert rest(locked, passed_over=["runs/kept"]) == {"data/b": stray, "runs/c": stray}
    assert rest({"runs/file": "0", "runs/kept": "1.dir", "gone": "2"}, passed_over=["runs/c", "data/b"]) == {
        "runs/file": f"not what dvc.lock has: {md5(b's')}, not 0",
        "runs/kept": f"not what dvc.lock has: {folder_identity(Path('runs/kept'))}, not 1.dir",
        "gone": "missing; dvc.lock has 2",
    }
    Path("data/one/snapshot.json").write_text("{")
    assert set(rest(passed_over=["runs/c", "data/b", "runs/file", "runs/kept"])) == {"runs/one.json"}


def test_each_file_is_hashed_once_however_many_links_lead_to_it(chain, monkeypatch):
    from pipeline.core.lineage import identity
    from pipeline.verify import links as verify

    hashed = []
    for module in (identity, verify):
        monkeypatch.setattr(module, "file_md5", lambda path: hashed.append(path.as_posix()) or file_md5(path))
    verifier = Verifier({"data/one": folder_identity(Path("data/one")), "data/one/a.bin": md5(b"first")})
    for folder in ("data/one", "data/two", "data/one"):
        assert list(verifier.check(Path(folder))) == []
    assert len(hashed) == len(set(hashed)) == 2 + 3 + 2


def test_outputs_are_found_and_what_an_interrupted_run_left_is_not(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("runs/z", "data/b/c", "data/a", "data/.d.partial"):
        make(name, b"1")
    assert find_outputs([Path("runs"), Path("data")]) == [Path("data/a"), Path("data/b/c"), Path("runs/z")]
    assert find_outputs([Path("none")]) == []


def test_the_way_back_has_every_step_once_with_its_names(chain):
    one, raw = folder_identity(Path("data/one")), folder_identity(Path("raw"))
    make("data/three", b"3", [Input("data/two", folder_identity(Path("data/two")), "22"), Input("data/one", one, "11"),
                              Input("raw", raw)], stage="last", number="33")  # fmt: skip
    found = walk(Path("data/three/a.bin"))
    source = Node("raw", raw, None, None, ())
    first = Node("data/one", one, "some", "11", (source,))
    second = Node("data/two", folder_identity(Path("data/two")), "some", "22", (first,))
    assert found == Node("data/three/a.bin", None, "last", "33", (second, first, source))
    assert [node.path for node in iter_nodes(found)] == ["data/three/a.bin", "data/two", "data/one", "raw"]
    assert raw_inputs(Path("data/three")) == {"raw": raw}
    assert owner(Path("data/three/a.bin")) == Path("data/three")
    assert owner(Path("data/three")) == Path("data/three")
    assert owner(Path("raw/x")) is None


def test_a_step_that_was_made_anew_is_named_whichever_way_it_shows(chain):
    again = r"^data/one: was made anew since data/two was; run dvc repro, or dvc checkout$"
    content = json.loads(Path("data/one/snapshot.json").read_text())
    Path("data/one/snapshot.json").write_text(json.dumps({**content, "id": "12"}))
    with pytest.raises(LineageError, match=again):
        walk(Path("data/two"))
    Path("data/one/snapshot.json").write_text(json.dumps(content))
    # Two results that were made from two states of one folder.
    make("data/three", b"3", [Input("data/two", "2", "22"), Input("data/one", "another", "11")])
    with pytest.raises(LineageError, match=r"^data/one: was made anew since data/three was; run dvc repro, or dvc che"):
        walk(Path("data/three"))
    for path in ("data/one/a.bin", "data/one/manifest.parquet", "data/one/snapshot.json"):
        Path(path).unlink()
    with pytest.raises(
        LineageError, match=r"^data/one: missing, and data/two was made from it; run dvc checkout, or d"
    ):
        walk(Path("data/two"))
    with pytest.raises(LineageError, match=r"^data/nothing: nothing is there$"):
        walk(Path("data/nothing"))
    with pytest.raises(
        LineageError, match=r"^raw: not the output of a stage; no snapshot.json in its folder or above$"
    ):
        walk(Path("raw"))


def test_where_dvc_knows_the_files_behind_an_identity_they_are_named(chain):
    """Of a raw tree, and of an output, whose snapshots and manifests may be forged as well."""
    trees = {
        folder_identity(Path(name)): {
            path.relative_to(name).as_posix(): md5(path.read_bytes())
            for path in Path(name).rglob("*")
            if path.is_file()
        }
        for name in ("raw", "data/one", "data/two")
    }
    locked = dict(zip(("raw", "data/one", "data/two"), trees, strict=True))
    Path("raw/x").write_bytes(b"z")
    Path("data/one/a.bin").write_bytes(b"forged")
    write_table_of("data/one")

    def told(folder, has):
        asked = []
        verifier = Verifier(
            {"data/one": locked["data/one"]} if has else {}, None, lambda one: asked.append(one) or trees.get(one)
        )
        return {problem.path: problem.detail for problem in verifier.check(Path(folder))}, asked

    changed = f"changed: md5 {md5(b'forged')}, not {md5(b'first')}"
    found, asked = told("data/two", has=False)
    assert asked == [locked["data/one"]]
    assert found.keys() == {"data/one/a.bin", "data/one/snapshot.json"}
    assert found["data/one/a.bin"] == changed
    # A snapshot that is not the locked one is no witness against what lies beside it.
    found, asked = told("data/one", has=True)
    assert asked == [locked["data/one"]]
    assert found.keys() == {"data/one/a.bin", "data/one/snapshot.json"}
    found, asked = told("data/one", has=False)
    assert asked == [locked["raw"]]
    assert found == {"raw/x": f"changed: md5 {md5(b'z')}, not {md5(b'x')}"}
    assert [problem.path for problem in Verifier({}).differs(Path("raw/x"), "0", "no")] == ["raw/x"]
    (problem,) = Verifier({}).differs(Path("raw"), "0.dir", "not so")
    assert problem.detail == f"not so: {folder_identity(Path('raw'))}, not 0.dir"
