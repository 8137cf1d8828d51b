"""Ingest from end to end: recognition, errors of one line, identity, the same bytes on every run, the command."""

import io
import json
import os
import random
import resource
import shutil
import struct
import threading
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
import scipy.io

from pipeline.core.catalog import UNREAD
from pipeline.core.errors import LineageError, PrepError, SourceError, UsageError
from pipeline.core.lineage.identity import identity
from pipeline.core.lineage.snapshot import read_snapshot
from pipeline.core.params import IngestParams, Params, TableDataset, read_params
from pipeline.ingest.dataset_options import DatasetOptions
from pipeline.ingest.overview import inspect_tree
from pipeline.ingest.parsing import matlab
from pipeline.ingest.parsing.matlab import read_mat
from pipeline.ingest.parsing.subjects import subject_of
from pipeline.ingest.registry import READERS, open_pictures, open_tree
from pipeline.ingest.trees.folder import FolderTree
from pipeline.verify.links import Verifier
from stages.cli import run
from tests.pipeline.ingest.layouts import (
    PARAMS,
    WRITERS,
    Read,
    put,
    write_affectnet,
    write_ckplus,
    write_folder,
    write_rafdb,
)

ROOT = Path(__file__).resolve().parents[3]
DATA = ROOT.parent / "shared" / "data"


def files_of(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_same_bytes_on_every_run_and_with_any_number_of_workers(tmp_path, monkeypatch):
    write_affectnet(tmp_path / "raw")
    monkeypatch.setenv("PREP_WORKERS", "1")
    Read(tmp_path / "raw", tmp_path / "one")
    monkeypatch.setenv("PREP_WORKERS", "4")
    Read(tmp_path / "raw", tmp_path / "two")
    assert files_of(tmp_path / "one") == files_of(tmp_path / "two")


def test_input_of_the_snapshot_is_dvcs_identity_and_verify_names_the_changed_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_rafdb(tmp_path / "raw")
    Read("raw", tmp_path / "out")
    assert read_snapshot(Path("out")).inputs[0].md5 == identity(Path("raw"))
    assert list(Verifier({}).check(Path("out"))) == []
    put(tmp_path / "raw", "Image/original/train_00003.jpg", b"another")
    problems = list(Verifier({}).check(Path("out")))
    assert [problem.path for problem in problems] == ["raw/Image/original/train_00003.jpg"]


def test_tree_that_changes_while_it_is_read_is_an_error(tmp_path):
    write_rafdb(tmp_path / "raw")
    tree = open_tree(str(tmp_path / "raw"))
    tree.identity()
    assert tree.moved() is None
    put(tmp_path / "raw", "Image/original/train_00003.jpg", b"another size")
    assert tree.moved() == "Image/original/train_00003.jpg"


@pytest.mark.parametrize("packed", [False, True])
def test_a_change_that_keeps_size_and_time_is_noticed_and_a_touch_is_none(tmp_path, packed):
    write_rafdb(tmp_path / "raw")
    file = tmp_path / "raw/Image/original/train_00003.jpg"
    if packed:
        file = Path(shutil.make_archive(str(tmp_path / "packed"), "zip", tmp_path / "raw"))
    tree = open_tree(str(file if packed else tmp_path / "raw"))
    tree.identity()
    file.touch()
    assert tree.moved() is None
    before = file.stat()
    with file.open("r+b") as stream:
        stream.write(b"x" * 9)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (file.stat().st_size, file.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    assert tree.moved() == (str(file) if packed else "Image/original/train_00003.jpg")


def test_ingest_checks_for_changes_at_the_end(tmp_path, monkeypatch):
    write_rafdb(tmp_path / "raw")
    monkeypatch.setattr(FolderTree, "moved", lambda tree: "Image/original/train_00003.jpg")
    with pytest.raises(LineageError, match=r"train_00003.jpg changed while it was being read"):
        Read(tmp_path / "raw", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("fmt", "says"),
    [
        ("auto", r"no known layout\. It has 1 file, a\.txt of text, and no picture: add the pictures; prep inspect"),
        ("rafdb", r"not rafdb: looked for EmoLabel/list_patition_label\.txt"),
        ("folder", r"not folder: looked for two or more class folders"),
    ],
)
def test_unknown_layout_says_what_was_looked_for(fmt, says, tmp_path):
    put(tmp_path / "raw", "a.txt")
    with pytest.raises(SourceError, match=says):
        Read(tmp_path / "raw", tmp_path / "out", fmt=fmt)


def test_two_candidates_are_an_error_that_names_both(tmp_path):
    write_folder(tmp_path / "raw")
    put(tmp_path / "raw", "labels.csv", "path,label\ntrain/happy/a.jpg,happy\n")
    with pytest.raises(SourceError, match=r"fits more than one format; choose: --format folder: .*; --format csv: "):
        Read(tmp_path / "raw", tmp_path / "out")
    assert Read(tmp_path / "raw", tmp_path / "out", fmt="csv").summary["rows_out"] == 1
    found = inspect_tree(
        str(tmp_path / "raw"), IngestParams(**PARAMS), dataset="d", fmt="auto", options=DatasetOptions()
    )
    assert (found["entry"]["format"], found["clues"]) == ("folder", [])


@pytest.mark.parametrize("name", ["train.csv", "list.txt"])
def test_list_of_all_pictures_is_read_and_not_their_class_folders(name, tmp_path):
    rows = {f"train/{folder}/{n}.jpg": folder.casefold() for folder in ("Angry", "Happy", "Sad") for n in (1, 2)}
    for path in rows:
        put(tmp_path / "raw", path)
    between, lines = (",", ["image,label"]) if name.endswith(".csv") else (" ", [])
    lines += [f"{path}{between}{label}" for path, label in rows.items()]
    put(tmp_path / "raw", name, "\n".join(lines))
    assert Read(tmp_path / "raw", tmp_path / "out").labels() == rows
    text = "\n".join(lines)
    for code, label in enumerate(("angry", "happy", "sad")):  # the folders say what codes do not
        text = text.replace(f"{between}{label}", f"{between}{code}")
    put(tmp_path / "raw", name, text)
    with pytest.raises(SourceError, match="fits more than one format; choose: --format folder"):
        Read(tmp_path / "raw", tmp_path / "out")
    put(tmp_path / "raw", name, "\n".join(lines))
    put(tmp_path / "raw", "test/Sad/1.jpg")  # in no row, so that a person chooses
    with pytest.raises(SourceError, match="fits more than one format; choose: --format folder"):
        Read(tmp_path / "raw", tmp_path / "out")


def test_two_datasets_in_one_tree_are_an_error_that_names_both(tmp_path):
    write_rafdb(tmp_path / "raw" / "rafdb")
    write_ckplus(tmp_path / "raw" / "ck")
    with pytest.raises(SourceError, match=r"--format ckplus: ck/.*--format rafdb: rafdb/"):
        Read(tmp_path / "raw", tmp_path / "out")
    write_rafdb(tmp_path / "raw" / "again")
    with pytest.raises(SourceError, match=r"holds rafdb twice: again/.*; rafdb/"):
        Read(tmp_path / "raw", tmp_path / "out", fmt="rafdb")


def test_basic_and_compound_in_one_tree(tmp_path):
    WRITERS["rafdb"](tmp_path / "raw" / "basic")
    WRITERS["rafdb_compound"](tmp_path / "raw" / "compound")
    for fmt, rows in (("rafdb", 8), ("rafdb_compound", 12)):
        assert Read(tmp_path / "raw", tmp_path / "out", fmt=fmt).summary["rows_out"] == rows
    with pytest.raises(SourceError, match=r"--format rafdb_compound"):
        Read(tmp_path / "raw", tmp_path / "out")


def test_missing_and_empty(tmp_path):
    with pytest.raises(SourceError, match=r"gone: nothing is there"):
        Read(tmp_path / "gone", tmp_path / "out")
    (tmp_path / "raw").mkdir()
    with pytest.raises(SourceError, match=r"raw: empty"):
        Read(tmp_path / "raw", tmp_path / "out")
    with pytest.raises(UsageError, match=r"format 'rafDB': unknown; one of auto, affectnet"):
        Read(tmp_path / "raw", tmp_path / "out", fmt="rafDB")


@pytest.mark.parametrize("fmt", ["rafdb", "fer2013"])
def test_layout_without_a_single_row(fmt, tmp_path):
    WRITERS[fmt](tmp_path / "raw")
    table = next(
        path for path in (tmp_path / "raw").rglob("*") if path.suffix in {".txt", ".csv"} and "nnot" not in str(path)
    )
    table.write_text("emotion,pixels,Usage\n" if fmt == "fer2013" else "")
    with pytest.raises(SourceError, match=r"without a single row"):
        Read(tmp_path / "raw", tmp_path / "out", fmt=fmt)


@pytest.mark.parametrize("content", [b"", b"MATLAB 5.0 MAT-file", b"\x89HDF\r\n\x1a\n" * 40, bytes(600)])
def test_unreadable_mat_is_one_line(content, tmp_path):
    put(tmp_path / "raw", "Annotations/Annotations.mat", content)
    with pytest.raises(PrepError, match=r"Annotations\.mat") as caught:
        Read(tmp_path / "raw", tmp_path / "out")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("seed", [1, 2])
def test_damaged_mat_is_one_line(seed, tmp_path):
    WRITERS["emotic"](tmp_path)
    whole = (tmp_path / "Annotations/Annotations.mat").read_bytes()
    length = struct.unpack_from("<I", whole, 132)[0]
    variable, rand = bytearray(zlib.decompress(whole[136 : 136 + length])), random.Random(seed)
    for _ in range(8):
        variable[rand.randrange(len(variable))] = rand.choice([0, 255, 1, 6, 9])
    packed = zlib.compress(bytes(variable))
    with pytest.raises(SourceError, match=r"^a\.mat: not a readable mat file: [^\n]*$"):
        read_mat(whole[:128] + struct.pack("<II", 15, len(packed)) + packed, ("train",), "a.mat")


def test_mat_that_kills_its_reader_is_one_line(tmp_path, monkeypatch):
    reader = put(tmp_path, "python", "#!/bin/sh\ncat > /dev/null\nkill -SEGV $$\n")
    reader.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(reader))
    with pytest.raises(SourceError, match=r"^a\.mat: not a readable mat file: its reader died of signal 11$"):
        read_mat(b"", (), "a.mat")


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("exit 3", "no reason given"),
        ("echo one >&2; echo two >&2; exit 1", "two"),
        (f"echo {'x' * 300} >&2; exit 1", "x" * 200),
    ],
)
def test_mat_whose_reader_fails_says_its_last_line(script, says, tmp_path, monkeypatch):
    reader = put(tmp_path, "python", f"#!/bin/sh\ncat > /dev/null\n{script}\n")
    reader.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(reader))
    with pytest.raises(SourceError) as caught:
        read_mat(b"", (), "a.mat")
    assert str(caught.value) == f"a.mat: not a readable mat file: {says}"


def test_what_scipy_says_of_a_mat_is_told():
    with pytest.raises(SourceError, match=r"^a\.mat: not a readable mat file: ValueError: Unknown mat file type"):
        read_mat(bytes(range(1, 251)), (), "a.mat")


def test_reader_of_mats_holds_itself_to_its_memory_and_leaves_no_core(monkeypatch, capsys):
    stream = io.BytesIO()
    people = np.array([(1, "a"), (2, "b")], dtype=[("n", object), ("name", object)])
    content = {"train": people, "val": np.array([[1.5, 2.5], [3.5, np.nan]]), "other": np.zeros(3)}
    scipy.io.savemat(stream, content)
    limits = {}
    # In this process the limits would stay.
    monkeypatch.setattr("resource.setrlimit", lambda what, to: limits.update({what: to}))
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(stream.getvalue())))
    matlab._main(["train", "val", "test"])
    assert limits == {resource.RLIMIT_AS: (8 << 30, resource.RLIM_INFINITY), resource.RLIMIT_CORE: (0, 0)}
    found = json.loads(capsys.readouterr().out)
    assert found["train"] == [{"n": 1, "name": "a"}, {"n": 2, "name": "b"}]
    assert found["val"][:3] == [1.5, 2.5, 3.5]
    assert found.keys() == {"train", "val"}


def test_mat_bomb_is_refused(tmp_path):
    data = zlib.compress(bytes(64 << 20), 9)
    header = b"MATLAB 5.0 MAT-file".ljust(124) + b"\0\1IM"
    put(tmp_path / "raw", "Annotations/Annotations.mat", header + struct.pack("<II", 15, len(data)) + data)
    with pytest.raises(SourceError, match=r"inflates to more than"):
        Read(tmp_path / "raw", tmp_path / "out")


def test_links_that_go_round_and_pipes_do_not_hang(tmp_path):
    write_folder(tmp_path / "raw")
    (tmp_path / "raw" / "train" / "round").symlink_to("..")
    (tmp_path / "raw" / "nowhere.jpg").symlink_to("gone")
    os.mkfifo(tmp_path / "raw" / "train" / "happy" / "pipe.jpg")
    done = threading.Event()

    def read():
        found = Read(tmp_path / "raw", tmp_path / "out", fmt="folder")
        assert found.summary["rows_out"] == 3
        assert found.summary["rejected"]["outside_root"] == 1
        (note,) = found.summary["notes"]
        assert note.startswith("1 links out of the tree or to nothing are not followed, such as nowhere.jpg to gone;")
        done.set()

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    thread.join(20)
    assert done.is_set()


def test_links_into_dvcs_cache_are_followed_and_others_never(tmp_path):
    cached = put(tmp_path, ".dvc/cache/files/md5/ab/" + "c" * 30, b"picture")
    put(tmp_path, "secret", b"secret")
    write_folder(tmp_path / "raw")
    (tmp_path / "raw/train/happy/linked.jpg").symlink_to(cached)
    (tmp_path / "raw/train/happy/out.jpg").symlink_to(tmp_path / "secret")
    found = Read(tmp_path / "raw", tmp_path / "out")
    assert "train/happy/linked.jpg" in found.labels()
    assert "train/happy/out.jpg" not in found.labels()
    assert "train/happy/out.jpg" not in {entry["path"] for entry in found.manifest}
    assert found.summary["rejected"]["outside_root"] == 1
    assert found.summary["rows_in"] == found.summary["rows_out"] + sum(found.summary["rejected"].values())
    pictures = open_pictures(str(tmp_path / "raw"), "folder")
    assert pictures.read("train/happy/linked.jpg", 0) == b"picture"
    for name in ("train/happy/out.jpg", "../secret", str(tmp_path / "secret"), "gone.jpg", "train/../../secret"):
        with pytest.raises(SourceError):
            pictures.read(name, 0)


def test_a_linked_class_folder_is_not_lost_silently(tmp_path):
    write_folder(tmp_path / "raw")
    put(tmp_path, "elsewhere/a.jpg", b"picture")
    (tmp_path / "raw/train/calm").symlink_to(tmp_path / "elsewhere")
    assert Read(tmp_path / "raw", tmp_path / "out").summary["rejected"]["outside_root"] == 1
    (tmp_path / "links").mkdir()
    (tmp_path / "links/happy").symlink_to("../elsewhere")
    with pytest.raises(SourceError, match=r"links/happy: a link out of the tree, to \.\./elsewhere, and nothing else"):
        Read(tmp_path / "links", tmp_path / "out2")


def test_subject_is_the_name_up_to_its_last_number():
    assert subject_of("images/Ann_Lee_0012.jpg") == "Ann_Lee"
    assert subject_of("Hrithik12Roshan 3b.jpg") == "Hrithik12Roshan"
    assert subject_of("0012.jpg") is None
    assert subject_of("noone.jpg") is None


@pytest.mark.parametrize(("people", "named"), [(30, True), (2, False)])
def test_names_tell_people_apart_only_where_they_make_many_groups(people, named, tmp_path):
    for n in range(60):
        put(tmp_path / "raw", f"{'happy' if n % 2 else 'sad'}/person {chr(65 + n % people)}_{n}.jpg")
    found = Read(tmp_path / "raw", tmp_path / "out")
    assert (found.rows[0]["subject_id"] is not None) is named
    assert any("up to its last number" in note for note in found.summary["notes"]) is named


def test_dataset_may_name_its_columns_and_a_plain_entry_stays_valid():
    params = read_params(ROOT / "params.yaml")
    content = params.plain()
    content["datasets"]["mine"] = {
        "src": "raw/m",
        "format": "csv",
        "role": "test",
        "columns": {"path": "image", "label": "e"},
    }
    entry = Params.model_validate(content).datasets["mine"]
    assert isinstance(entry, TableDataset)
    assert entry.named_columns() == {"path": "image", "label": "e"}
    assert not any(isinstance(given, TableDataset) for given in params.datasets.values())


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ("{src: a, format: csv, role: test, columns: {pth: image}}", "datasets.mine.columns.pth"),
        ("{src: a, format: csv, role: test, columns: {}}", "datasets.mine.columns: "),
        ("{src: a, format: csv, role: tset}", "datasets.mine.role: "),
        ("{src: a, format: csv, rolle: test}", "datasets.mine.role: missing"),
    ],
)
def test_wrong_entry_is_named_without_the_words_of_the_validator(entry, says, tmp_path):
    text = (ROOT / "params.yaml").read_text().replace("datasets:\n", f"datasets:\n  mine: {entry}\n", 1)
    put(tmp_path, "params.yaml", text)
    with pytest.raises(UsageError, match=r"params.yaml") as caught:
        read_params(tmp_path / "params.yaml")
    assert says in str(caught.value)
    assert "(table)" not in str(caught.value)
    assert "(plain)" not in str(caught.value)


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    put(tmp_path, "params.yaml", (ROOT / "params.yaml").read_bytes())
    return tmp_path


def test_command_writes_where_dvc_looks_and_prints_one_line(project, capsys):
    write_rafdb(project / "raw/demo/rafdb")
    assert run(["ingest", "--src", "raw/demo/rafdb"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("demo-rafdb: 8 of 10 rows read as rafdb (as told); left out: 1 bad_row, 1 missing_file")
    summary = json.loads((project / "data/samples/demo-rafdb/summary.json").read_text())
    assert (summary["src"], summary["format"], summary["dataset"]) == ("raw/demo/rafdb", "rafdb", "demo-rafdb")
    assert summary["counts"]["test"] == {"happiness": 1}
    assert not any(
        str(project) in content.decode("utf-8", "replace")
        for content in files_of(project / "data/samples/demo-rafdb").values()
    )


def test_command_recognises_and_takes_options(project, capsys):
    write_folder(project / "mine")
    assert run(["ingest", "--src", "mine", "--out", "o"]) == 0
    assert "mine: 3 of 4 rows read as folder (the root holds the class folders" in capsys.readouterr().out
    assert run(["ingest", "--src", "mine", "--out", "o", "--format", "rafdb"]) == 1
    assert run(["ingest", "--src", "mine", "--out", "o", "--format", "no"]) == 2
    assert run(["ingest", "--src", "gone", "--out", "o"]) == 1
    errors = capsys.readouterr().err.splitlines()
    assert [line.split(":")[0] for line in errors] == ["error"] * 3


def test_command_uses_the_columns_of_params(project):
    text = (project / "params.yaml").read_text()
    entry = "  mine: {src: mine, format: csv, role: test, columns: {path: p, label: q}}\n"
    put(project, "params.yaml", text.replace("datasets:\n", f"datasets:\n{entry}", 1))
    put(project, "mine/x.csv", "p,q\na.jpg,happy\n")
    put(project, "mine/a.jpg")
    assert run(["ingest", "--src", "mine/"]) == 0
    assert json.loads((project / "data/samples/mine/summary.json").read_text())["rows_out"] == 1


def test_formats_lists_all_in_lines_that_a_pipe_can_cut(capsys):
    assert run(["formats"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 100
    *heads, last = [line for line in lines if not line.startswith(" ")]
    assert last == "not read"
    assert [line.strip() for line in lines[lines.index(last) + 1 :]] == [f"{of}: {why}" for of, why in UNREAD.items()]
    assert len(heads) == len(WRITERS)
    assert {line.split()[0] for line in heads} == set(WRITERS)


def test_formats_say_the_same_to_programs(capsys):
    assert run(["formats"]) == 0
    words = capsys.readouterr().out.partition("\nnot read\n")[0].split()
    assert run(["formats", "--json"]) == 0
    entries = json.loads(capsys.readouterr().out)
    assert [entry["format"] for entry in entries] == [reader.name for reader in READERS]
    assert all(entry[key] for entry in entries for key in ("dataset", "layout", "where", "terms"))
    labels = {"layout", "gives", "where", "terms"}
    said = [word for entry in entries for value in entry.values() for word in value.split()]
    assert sorted(word for word in words if word not in labels) == sorted(word for word in said if word not in labels)


@pytest.mark.skipif(not (DATA / "muxspace").is_dir(), reason="../shared/data/muxspace is not here")
def test_real_photographs_read_as_typed(tmp_path):
    found = Read(DATA / "muxspace", tmp_path / "out", dataset="muxspace")
    assert found.summary["rows_in"] == 2854
    assert found.summary["rejected"] == {"conflicting_labels": 2, "duplicate_row": 2}
    counts = {}
    for label, count in found.summary["counts"]["all"].items():
        counts[label.lower()] = counts.get(label.lower(), 0) + count
    assert counts == {
        "neutral": 1000, "happiness": 998, "surprise": 244, "sadness": 209, "disgust": 192, "anger": 183, "fear": 17,
        "contempt": 7,
    }  # fmt: skip
    assert {row["subject_id"] for row in found.rows if "Ariel_Sharon" in row["source_path"]} == {"Ariel_Sharon"}


@pytest.mark.skipif(not (DATA / "landmarks68").is_dir(), reason="../shared/data/landmarks68 is not here")
@pytest.mark.parametrize("name", ["landmarks68", "dlib_faces", "edge_cases"])
def test_real_photographs_without_labels_are_refused_in_one_line(name, tmp_path):
    with pytest.raises(SourceError, match=r"no known layout"):
        Read(DATA / name, tmp_path / "out")


def test_time_is_no_part_of_any_output(tmp_path):
    write_rafdb(tmp_path / "raw")
    Read(tmp_path / "raw", tmp_path / "one")
    time.sleep(1.1)
    for path in (tmp_path / "raw").rglob("*.jpg"):
        path.touch()
    Read(tmp_path / "raw", tmp_path / "two")
    assert files_of(tmp_path / "one") == files_of(tmp_path / "two")
