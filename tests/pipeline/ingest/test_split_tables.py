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


@pytest.mark.parametrize(
    ("name", "text", "columns"),
    [
        ("x.csv", "image,label,split\n1.jpg,happy,train\n1.jpg,sad,test\n2.jpg,fear,test\n", {}),
        ("x.csv", "image,label,Usage\n1,happy,Training\n1,sad,PublicTest\n2,fear,PrivateTest\n", {}),
        ("x.txt", "1.jpg happy train\n1.jpg sad test\n2.jpg fear test\n", {"path": "1", "label": "2", "split": "3"}),
    ],
)
def test_the_rows_own_split_chooses_among_pictures_of_one_name(name, text, columns, tmp_path):
    put(tmp_path / "raw", name, text)
    folders = ("train", "val" if "Public" in text else "test")
    for path in (*(f"{folder}/1.jpg" for folder in folders), "train/2.jpg"):
        put(tmp_path / "raw", path)
    found = Read(tmp_path / "raw", tmp_path / "out", columns=columns)
    # The third row was drawn into another split than its picture's folder, which loses nothing.
    wanted = dict(
        zip((*(f"{folder}/1.jpg" for folder in folders), "train/2.jpg"), ("happy", "sad", "fear"), strict=True)
    )
    assert found.labels() == wanted
    assert found.rejects == []


def test_a_name_in_two_folders_without_a_split_is_still_refused(tmp_path):
    put(tmp_path / "raw", "x.csv", "image,label,split\n1.jpg,happy,\n2.jpg,sad,train\n")
    for path in ("train/1.jpg", "test/1.jpg", "train/2.jpg"):
        put(tmp_path / "raw", path)
    found = Read(tmp_path / "raw", tmp_path / "out")
    assert (found.labels(), found.reasons()) == ({"train/2.jpg": "sad"}, [("bad_row", "1.jpg")])
