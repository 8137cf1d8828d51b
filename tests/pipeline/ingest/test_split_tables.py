"""One table a split folder, lines of JSON, and pictures that a table names without their suffix."""

import json

import pytest

from pipeline.core.errors import SourceError
from tests.pipeline.ingest.layouts import Read, put
from tests.pipeline.ingest.test_archives import pack


def rows(found):
    return {row["source_path"]: (row["source_split"], row["source_labels"][0]) for row in found.rows}


@pytest.mark.parametrize("name", ["metadata.csv", "labels.csv", "metadata.jsonl"])
@pytest.mark.parametrize("packed", ["", ".zip", ".tar"])
def test_the_folder_of_a_table_is_the_split_of_its_rows(name, packed, tmp_path):
    wanted = {}
    for split, label in (("train", "happy"), ("valid", "sad"), ("test", "fear")):
        given = [{"file_name": f"{n}.jpg", "label": label} for n in (1, 2)]  # the same names in each folder
        text = "".join(json.dumps(row) + "\n" for row in given)
        if name.endswith("csv"):
            text = "file_name,label\n" + "".join(f"{row['file_name']},{label}\n" for row in given)
        put(tmp_path / "raw", f"data/{split}/{name}", text)
        for n in (1, 2):
            put(tmp_path / "raw", f"data/{split}/{n}.jpg")
            wanted[f"data/{split}/{n}.jpg"] = split, label
    src = pack(tmp_path / "raw", tmp_path / f"x{packed}") if packed else tmp_path / "raw"
    found = Read(src, tmp_path / "out")
    assert rows(found) == wanted
    assert found.summary["format"] == "csv"


def test_two_tables_of_one_split_are_refused(tmp_path):
    for name in ("a.csv", "b.csv"):
        put(tmp_path / "raw", f"train/{name}", "file_name,label\n1.jpg,happy\n")
    put(tmp_path / "raw", "train/1.jpg")
    with pytest.raises(SourceError, match=r"several tables fit, train/a.csv, train/b.csv; .*: \{file: train/a.csv\}"):
        Read(tmp_path / "raw", tmp_path / "out")


def test_names_without_suffix_are_matched_if_one_file_fits(tmp_path):
    put(tmp_path / "raw", "list.csv", "image,label\n0001,happy\n0002,sad\n0003,fear\n0004,fear\nv1.5,sad\n")
    for name in ("0001.jpg", "0002.PNG", "0003.jpg", "0003.png", "v1.5.jpg"):
        put(tmp_path / "raw", name)
    found = Read(tmp_path / "raw", tmp_path / "out")
    assert found.labels() == {"0001.jpg": "happy", "0002.PNG": "sad", "v1.5.jpg": "sad"}
    assert found.reasons() == [("bad_row", "0003"), ("missing_file", "0004")]


def test_lines_of_json_have_the_columns_of_a_csv(tmp_path):
    given = [
        {
            "file_name": "a.jpg",
            "emotion": "Happy",
            "valence": 0.5,
            "subject": "p1",
            "objects": {"bbox": [[1, 2, 3, 4]]},
        },
        {"emotion": None, "file_name": "b.jpg"},
        {"file_name": "../a.jpg", "emotion": "sad"},
    ]
    put(tmp_path / "raw", "metadata.jsonl", "\ufeff" + "\r\n".join(map(json.dumps, given)) + "\r\n\r\n")
    for name in ("a.jpg", "b.jpg"):
        put(tmp_path / "raw", name)
    found = Read(tmp_path / "raw", tmp_path / "out")
    (row,) = found.rows
    assert (row["source_labels"], row["valence"], row["subject_id"]) == (["Happy"], 0.5, "p1")
    assert found.reasons() == [("outside_root", "../a.jpg"), ("unlabelled", "b.jpg")]


@pytest.mark.parametrize("line", ["[1]", "{", "[" * 100_000, '"x"', "NaN"])
def test_line_that_is_no_object_is_named(line, tmp_path):
    put(tmp_path / "raw", "metadata.jsonl", '{"file_name": "a.jpg", "label": "happy"}\n' + line)
    put(tmp_path / "raw", "a.jpg")
    with pytest.raises(SourceError, match=r"metadata.jsonl row 2: not an object of JSON"):
        Read(tmp_path / "raw", tmp_path / "out", fmt="csv")
