"""`prep inspect`: what it says of a tree, an entry that can be pasted, and that nothing is changed."""

import hashlib
import json
import re
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml

from stages.cli import run
from tests.imports import ROOT
from tests.pipeline.ingest.layouts import WRITERS, put
from tests.pipeline.ingest.test_archives import pack


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PREP_WORKERS", "1")
    (tmp_path / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    return tmp_path


def said(capsys, *arguments):
    assert run(["inspect", *arguments]) == 0
    return capsys.readouterr().out


def state(folder):
    return {
        path.relative_to(folder): (
            path.stat().st_mtime_ns,
            hashlib.md5(path.read_bytes(), usedforsecurity=False).digest() if path.is_file() else b"",
        )
        for path in sorted(folder.rglob("*"))
    }


def paste(entries):
    params = yaml.safe_load(Path("params.yaml").read_text())
    params["datasets"] |= entries
    Path("params.yaml").write_text(yaml.safe_dump(params))


ZIPPED = ("folder", "csv", "hub", "expw")


@pytest.mark.parametrize(("fmt", "kind"), [*((fmt, "folder") for fmt in WRITERS), *((fmt, "zip") for fmt in ZIPPED)])
def test_entry_that_is_pasted_is_read_with_the_counts_that_were_shown(fmt, kind, project, capsys):
    WRITERS[fmt](project / "raw/my set (1)")
    if kind == "zip":
        pack(project / "raw/my set (1)", project / "raw/x.zip")
    src = "raw/x.zip" if kind == "zip" else "raw/my set (1)"
    before = state(project)
    shown = said(capsys, src)
    found = json.loads(said(capsys, src, "--json"))
    assert state(project) == before
    (line,) = re.split(r"(?:add|… of) this:\n", shown)[1].splitlines()
    entries = yaml.safe_load(line)
    assert entries == {found["dataset"]: found["entry"]}
    for of in entries.values():
        if "classes" in of:  # of words that no taxonomy knows; here, each means itself
            of["classes"] = {label: label for label in of["classes"]}
    paste(entries)
    assert run(["ingest", "--src", src]) == 0
    summary = json.loads(Path(f"data/samples/{found['dataset']}/summary.json").read_text())
    assert (summary["format"], summary["counts"]) == (found["format"], found["counts"])
    assert "has it as" in said(capsys, src)


ROW = "a.jpg,happy\n"
PICTURE = {"a.jpg": "1"}
SHIFTED = {"train_labels.csv": "image,label\n" + "".join(f"train_0000{n}_aligned.jpg,{n}\n" for n in range(7))}
FILLED_IN = {
    "codes": ({f"{code}/{code}.jpg": "x" for code in range(2)}, "happy sad"),
    "two tables": (PICTURE | {"a.csv": f"image,label\n{ROW}", "b.csv": f"image,label\n{ROW}"}, ""),
    "two tables of marks": (PICTURE | {f"{one}.csv": "image,happy,sad\na.jpg,1,0\n" for one in "ab"}, ""),
    "three cells": (PICTURE | {"l.txt": "a.jpg 3 happy\n"}, "3"),
    "two columns": (PICTURE | {"l.csv": "image,label,emotion\na.jpg,happy,sad\n"}, ""),
    "two formats": (
        {f"{one}/{one}.jpg": "x" for one in ("happy", "sad")} | {"l.csv": "image,label\nsad.jpg,sad\n"},
        "",
    ),
    "shifted codes": (SHIFTED | {f"train_0000{n}_aligned.jpg": "x" for n in range(7)}, ""),
}


@pytest.mark.parametrize("name", FILLED_IN)
def test_entry_says_what_the_refusal_asks_for(name, project, capsys):
    files, words = FILLED_IN[name]
    for path, content in files.items():
        put(project, f"raw/x/{path}", f"{path}{content}" if content == "x" else content)
    shown = said(capsys, "raw/x")
    assert "not read:" in shown
    lead = "fill in each … of this:" if words else "add this:"
    (line,) = shown.split(f"for params.yaml, below datasets, {lead}\n")[1].splitlines()
    for word in words.split():
        line = line.replace("…", word, 1)
    paste(yaml.safe_load(line))
    assert run(["ingest", "--src", "raw/x"]) == 0


def test_counts_that_ingest_would_refuse_are_said_to_be(project, capsys):
    for number in range(60):
        put(project, f"raw/jaffe/KA.AN{number}.{number}.tiff")
        put(project, f"raw/jaffe/YM.HA{number}.{number}.tiff")
    shown = said(capsys, "raw/jaffe")
    assert "prep ingest refuses it unless ingest.accept_mismatch has its name:" in shown
    assert run(["ingest", "--src", "raw/jaffe"]) == 1
    reason = shown.split("has its name: ")[1].splitlines()[0]
    assert reason in capsys.readouterr().err


def test_folders_of_codes_are_read_once_the_entry_is_filled_in(project, capsys):
    for code in range(3):
        put(project, f"raw/x/train/{code}/{code}.jpg")
    shown = said(capsys, "raw/x")
    assert "which class is 0?" in shown
    assert "nothing that labels them" not in shown
    line = shown.split("fill in each … of this:\n")[1]
    for word in ("happy", "sad", "fear"):
        line = line.replace("…", word, 1)
    paste(yaml.safe_load(line))
    assert run(["ingest", "--src", "raw/x"]) == 0
    counts = json.loads(Path("data/samples/x/summary.json").read_text())["counts"]
    assert counts == {"train": {"fear": 1, "happy": 1, "sad": 1}}


def test_labels_that_harmonize_would_refuse_are_asked_for(project, capsys):
    for path in ("Wut/1.jpg", "Freude/2.jpg", "Neutral/3.jpg"):
        put(project, f"raw/x/{path}", path)
    shown = said(capsys, "raw/x")
    assert "note: 2 labels that prep harmonize knows no class for: Freude, Wut" in shown
    line = shown.split("fill in each … of this:\n")[1]
    for word in ("happy", "anger"):
        line = line.replace("…", word, 1)
    paste(yaml.safe_load(line))
    assert run(["ingest", "--src", "raw/x"]) == 0
    assert run(["harmonize", "--src", "data/samples/x"]) == 0
    summary = json.loads(Path("data/labels/x/summary.json").read_text())
    assert {name: count for name, count in summary["classes"].items() if count} == {
        "anger": 1,
        "happy": 1,
        "neutral": 1,
    }


@pytest.mark.parametrize(
    ("files", "fill", "clue", "labels"),
    [
        (
            {"t.csv": "1.jpg,train,happy\n2.jpg,val,sad\n", "1.jpg": "x", "2.jpg": "y"},
            ["3"],
            "3 columns without a header, in its first row 1.jpg, train, happy, of which none is known for the label: "
            'format: csv, columns: {file: t.csv, path: "1", label: …}',
            {"happy": 1, "sad": 1},
        ),
        (
            {"生气/1.jpg": "x", "高兴/2.jpg": "y"},
            ["anger", "happy"],
            'if they are the classes: classes: {"生气": …, "高兴": …}',
            {"anger": 1, "happy": 1},
        ),
    ],
    ids=["no header", "another script"],
)
def test_the_entry_of_a_clue_is_read_once_it_is_filled_in(files, fill, clue, labels, project, capsys):
    for name, content in files.items():
        put(project, f"raw/x/{name}", content)
    shown = said(capsys, "raw/x")
    assert clue in shown
    line = shown.split("if the clues help, begin with:\n")[1]
    for word in fill:
        line = line.replace("…", f"'{word}'", 1)
    paste(yaml.safe_load(line))
    assert run(["ingest", "--src", "raw/x"]) == 0
    assert json.loads(Path("data/samples/x/summary.json").read_text())["counts"] == {"all": labels}


@pytest.mark.parametrize(
    "files",
    [
        {"t.csv": "image,label\n1.jpg,0\n2.jpg,1\n3.jpg,-1\n", "1.jpg": "x", "2.jpg": "y", "3.jpg": "z"},
        {"0/1.jpg": "x", "1/2.jpg": "y", "-1/3.jpg": "z"},
        {"l.txt": "1.jpg 0\n2.jpg 1\n3.jpg -1\n", "1.jpg": "x", "2.jpg": "y", "3.jpg": "z"},
    ],
    ids=["csv", "folder", "list"],
)
def test_minus_one_is_no_label(files, project, capsys):
    for name, content in files.items():
        put(project, f"raw/x/{name}", content)
    line = said(capsys, "raw/x").split("fill in each … of this:\n")[1]
    assert "-1" not in line
    paste(yaml.safe_load(line.replace("…", "happy", 1).replace("…", "sad", 1)))
    assert run(["ingest", "--src", "raw/x"]) == 0
    summary = json.loads(Path("data/samples/x/summary.json").read_text())
    assert (summary["counts"], summary["rejected"]) == ({"all": {"happy": 1, "sad": 1}}, {"unlabelled": 1})


CARD = "---\ndataset_info: {features: [{name: label, dtype: {class_label: {names: [sad, happy]}}}]}\n---\n"
NAMED_BY = {"classes.txt": "sad\nhappy\n", "class_indices.json": '{"happy": 1, "sad": 0}', "README.md": CARD}
CODED = {
    "csv": {"t.csv": "image,label\n1.jpg,0\n2.jpg,1\n", "1.jpg": "x", "2.jpg": "y"},
    "folder": {"0/1.jpg": "x", "1/2.jpg": "y"},
    "jsonl": {"metadata.jsonl": '{"file_name": "1.jpg", "label": 0}\n{"file_name": "2.jpg", "label": 1}\n',
              "1.jpg": "x", "2.jpg": "y"},
}  # fmt: skip


@pytest.mark.parametrize("kind", CODED)
@pytest.mark.parametrize("file", NAMED_BY)
def test_a_file_that_names_the_classes_answers_the_question(kind, file, project, capsys):
    for name, content in (CODED[kind] | {file: NAMED_BY[file]}).items():
        put(project, f"raw/x/{name}", content)
    found = json.loads(said(capsys, "raw/x", "--json"))
    assert found["counts"] == {"all": {"happy": 1, "sad": 1}}
    assert run(["ingest", "--src", "raw/x", "--out", "out"]) == 0
    rows = pq.read_table("out/samples.parquet").to_pylist()
    assert {row["source_path"][-5]: row["source_labels"] for row in rows} == {"1": ["sad"], "2": ["happy"]}


def test_a_file_that_names_other_codes_answers_nothing(project, capsys):
    for name in ("1/1.jpg", "2/2.jpg"):
        put(project, f"raw/x/{name}", name)
    put(project, "raw/x/classes.txt", "sad\nhappy\n")
    assert "which class is 1? classes.txt names other codes" in said(capsys, "raw/x")


def test_a_table_without_a_picture_of_the_tree_does_not_fit(project, capsys):
    put(project, "raw/x/1.jpg")
    put(project, "raw/x/2.jpg", "y")
    put(project, "raw/x/a_map.csv", "label,name\n0,happy\n1,sad\n")
    put(project, "raw/x/train.csv", "image,label\n1.jpg,happy\n2.jpg,sad\n")
    assert json.loads(said(capsys, "raw/x", "--json"))["counts"] == {"train": {"happy": 1, "sad": 1}}
    put(project, "raw/x/a_submission.csv", "image,label\n2.jpg,happy\n")
    assert "columns: {file: train.csv}" in said(capsys, "raw/x")


def test_it_names_what_is_odd_and_what_is_twice(project, capsys):
    given = {"happy/a.jpg": "1", "happy/A.jpg": "2", "sad/b.jpg": "2", "sad/c.jpg": "", "d.jpg": "3"}
    for name, content in given.items():
        put(project, f"raw/x/{name}", content)
    put(project, "raw/x/sad/.DS_Store", "junk")
    put(project, "raw/x/more.rar", "Rar!")
    (project / "raw/x/out.jpg").symlink_to("/etc/passwd")
    found = json.loads(said(capsys, "raw/x", "--json"))
    assert found["duplicates"] == {"files": 1, "examples": [["happy/A.jpg", "sad/b.jpg"]]}
    assert {odd["what"]: (odd["count"], odd["such_as"]) for odd in found["odd"]} == {
        "empty files": (1, ["sad/c.jpg"]),
        "files left behind by operating systems": (1, ["sad/.DS_Store"]),
        "archives that are not read in place": (1, ["more.rar"]),
        "links that are not followed": (1, ["out.jpg"]),
        "names that differ in case only": (1, ["happy/a.jpg"]),
    }
    assert found["counts"] == {"all": {"happy": 2, "sad": 2}}
    assert found["rejected"] == {"unlabelled": 1, "outside_root": 1}
    assert found["suffixes"][".jpg"] == {"files": 5, "bytes": 4}


TWO = (
    "several tables fit, a.csv, b.csv; say in params.yaml, in the entry of the dataset, which to read: "
    "columns: {file: a.csv}"
)


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({"a/1.avi": "x", "a/2.AVI": "y"}, r".avi files, 2 videos, such as a/1.avi"),
        ({f"{n:03d}/a.jpg": "x" for n in range(1, 31)}, r"numbered folders, 001 to 030, with 30 pictures: so many are"),
        (
            {"a/1.jpg": "x", "b/2.jpg": "y"},
            'after no expression, a, b: if they are the classes: classes: {"a": …',
        ),
        ({"t.csv": "image,feeling\na.jpg,joy\n", "a.jpg": "x"}, "columns: {file: t.csv, path: image, label: …}"),
        ({"data/train.parquet": "x"}, "data/train.parquet: not a readable table"),
        ({"x.h5": "x", "y.mat": "y"}, "1 file, x.h5 of HDF5: not read"),
        ({"a.txt": "x"}, "1 file, a.txt of text, and no picture"),
        ({"a.csv": "image,label\nx.jpg,joy\n", "b.csv": "image,label\nx.jpg,sad\n", "x.jpg": "x"}, TWO),
    ],
    ids=lambda value: value[:20] if isinstance(value, str) else "",
)
def test_what_cannot_be_read_is_named_with_the_remedy(files, says, project, capsys):
    for name, content in files.items():
        put(project, f"raw/x/{name}", content)
    assert run(["ingest", "--src", "raw/x"]) == 1
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1
    assert says in error
    assert says in said(capsys, "raw/x")
