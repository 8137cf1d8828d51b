"""A chain of three real outputs: raw -> samples -> faces -> shards, then every link broken in turn."""

import shutil
from pathlib import Path

import pytest

from pipeline.core.errors import LineageError
from pipeline.core.lineage.identity import folder_files, folder_md5, identity
from pipeline.core.lineage.walk import iter_nodes, raw_inputs, walk
from pipeline.core.schema import MANIFEST, SPLIT
from pipeline.core.stage_output import Source, stage_output
from pipeline.core.tables import rows_to_table
from pipeline.verify.links import Verifier, find_outputs

RAW, SAMPLES, FACES, RUN = Path("raw/a"), Path("data/samples/a"), Path("data/faces/a"), Path("runs/train")


def write(out: Path, stage: str, sources, text: str, manifest=()) -> None:
    with stage_output(out, stage=stage, sources=sources, params={}) as output:
        rows = [{"sample_id": text, "split": "train", "group_id": "g"}]
        output.write_table("part-00000.parquet", rows_to_table(rows, SPLIT))
        if manifest:
            rows = [{"path": file.path, "size": file.size, "md5": file.md5} for file in manifest]
            output.write_table("manifest.parquet", rows_to_table(rows, MANIFEST))
        output.path("model.bin").write_text(text)
        output.finish(rows_in=1, rows_out=1)


@pytest.fixture
def chain(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (RAW / "images").mkdir(parents=True)
    for name in ("x.jpg", "y.jpg"):
        (RAW / "images" / name).write_bytes(name.encode() * 50)
    files = folder_files(RAW)
    write(SAMPLES, "ingest", [Source(RAW, folder_md5(files))], "samples", files)
    write(FACES, "align", [SAMPLES, RAW], "faces")
    write(RUN, "train", [FACES], "model")
    return tmp_path


def problems(locked=None, given=None) -> dict[str, str]:
    verifier = Verifier(locked or {}, given)
    return {
        problem.path: problem.detail
        for folder in find_outputs([Path("data"), Path("runs")])
        for problem in verifier.check(folder)
    }


def test_an_untouched_chain_holds(chain):
    assert problems({"runs/train": identity(RUN), "data/faces/a": identity(FACES)}) == {}


@pytest.mark.parametrize(
    "name",
    [
        "raw/a/images/x.jpg",
        "data/samples/a/part-00000.parquet",
        "data/faces/a/part-00000.parquet",
        "runs/train/model.bin",
    ],
)
def test_one_flipped_byte_is_named(chain, name):
    path = Path(name)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))
    found = problems()
    assert name in found
    assert "changed" in found[name]


@pytest.mark.parametrize("name", ["raw/a/images/y.jpg", "data/faces/a/part-00000.parquet"])
def test_a_lost_file_is_named(chain, name):
    Path(name).unlink()
    assert problems()[name] == "missing"


def test_a_file_too_many_is_named(chain):
    (RAW / "images" / "z.jpg").write_bytes(b"z")
    (FACES / "part-00001.parquet").write_bytes(b"z")
    assert {"raw/a/images/z.jpg", "data/faces/a/part-00001.parquet"} <= set(problems())


def test_a_lost_raw_tree_is_named(chain):
    shutil.rmtree(RAW)
    assert "missing" in problems()["raw/a"]


def test_a_rewritten_snapshot_is_found_by_the_next_link(chain):
    path = FACES / "snapshot.json"
    path.write_text(path.read_text().replace('"stage": "align"', '"stage": "magic"'))
    assert "data/faces/a/snapshot.json" in problems()


@pytest.mark.parametrize("by", ["file", "list"])
def test_a_snapshot_that_accuses_an_innocent_file_is_named_alone(chain, by):
    """DVC has the snapshot on record by itself, or in its list of the folder's files."""
    path = FACES / "snapshot.json"
    tree = {file.path: file.md5 for file in folder_files(FACES)}
    locked = {path.as_posix(): identity(path)} if by == "file" else {FACES.as_posix(): identity(FACES)}
    innocent = tree["model.bin"]
    path.write_text(path.read_text().replace(innocent, innocent[::-1]))
    verifier = Verifier(locked, tree=lambda md5: tree if md5 in locked.values() else None)
    found = [problem for folder in (FACES, RUN) for problem in verifier.check(folder)]
    assert {problem.path for problem in found} == {path.as_posix()}


def test_a_snapshot_that_is_not_one_is_named(chain):
    (RUN / "snapshot.json").write_text("{}")
    assert "not a snapshot" in problems()["runs/train/snapshot.json"]


def test_dvc_lock_must_agree(chain):
    assert "not 0.dir" in problems({"runs/train": "0.dir"})["runs/train/snapshot.json"]


def test_what_dvc_has_of_a_raw_tree_must_agree(chain):
    assert problems(given={"raw/a": identity(RAW), "stages/align.py": "0"}) == {}
    assert "DVC has 0.dir, but" in problems(given={"raw/a": "0.dir"})["raw/a"]


def test_walk_leads_to_the_raw_bytes(chain):
    node = walk(RUN / "model.bin")
    assert [step.path for step in iter_nodes(node)] == [
        "runs/train/model.bin",
        "data/faces/a",
        "data/samples/a",
        "raw/a",
    ]
    assert raw_inputs(RUN) == {"raw/a": identity(RAW)}


def test_walk_refuses_a_step_that_was_made_anew(chain):
    write(FACES, "align", [SAMPLES, RAW], "other faces")
    with pytest.raises(LineageError, match="data/faces/a: was made anew since runs/train was; run dvc repro"):
        walk(RUN)


def test_walk_refuses_what_no_stage_wrote(chain):
    with pytest.raises(LineageError, match="not the output of a stage"):
        walk(RAW)
    with pytest.raises(LineageError, match="nothing is there"):
        walk(Path("no/such"))


METRICS = Path("runs/align/a.json")


@pytest.fixture
def metrics(chain):
    with stage_output(Path("data/aligned/a"), stage="align", sources=[SAMPLES], params={}) as output:
        output.write_json_beside(METRICS, {"missed": 3})
        output.finish(rows_in=0, rows_out=0)
    assert problems() == {}
    return METRICS


def rest(locked=None) -> dict[str, str]:
    roots = [Path("data"), Path("runs")]
    found = Verifier(locked or {}).check_rest(find_outputs(roots), roots, [Path("runs/export")])
    return {problem.path: problem.detail for problem in found}


@pytest.mark.parametrize("content", [b"", b'{"missed": 3', b'{"missed": 4}\n', None])
def test_metrics_outside_the_folder_are_named(metrics, content):
    metrics.unlink() if content is None else metrics.write_bytes(content)
    assert list(problems()) == ["runs/align/a.json"]


@pytest.mark.parametrize("fails", [OSError(28, "no space left"), KeyboardInterrupt()])
def test_metrics_of_a_run_that_fails_are_not_replaced(metrics, fails):
    before = metrics.read_bytes()
    with (
        pytest.raises((LineageError, Exception, KeyboardInterrupt)),
        stage_output(Path("data/aligned/a"), stage="align", sources=[SAMPLES], params={}) as output,
    ):
        output.write_json_beside(METRICS, {"missed": 9})
        raise fails
    assert metrics.read_bytes() == before
    assert [path.name for path in metrics.parent.iterdir()] == ["a.json"]


def test_strays_are_named_and_what_is_known_is_not(metrics):
    assert rest() == {}
    for name in ("data/stray.txt", "runs/align/b.json", "runs/export/model.onnx", "data/.x.partial"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_text("x")
    assert list(rest()) == ["data/stray.txt", "runs/align/b.json"]


def test_what_dvc_lock_names_outside_the_folders_is_checked(metrics):
    extra = Path("runs/plot.csv")
    extra.write_text("a")
    locked = {"runs/plot.csv": identity(extra), "runs/gone.csv": "0"}
    assert list(rest(locked)) == ["runs/gone.csv"]
    extra.write_text("b")
    assert "runs/plot.csv" in rest(locked)
