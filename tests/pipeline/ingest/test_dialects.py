"""Thirty dialects of one and the same csv, and what is no csv at all."""

import pytest

from pipeline.core.errors import DataError, ParamsError, SourceError
from pipeline.ingest.parsing.delimited import Delimited, read_lines
from pipeline.ingest.registry import open_tree
from tests.pipeline.ingest.layouts import Read, put

WANTED = {"images/a b.jpg": "happy", "images/c.d.jpg": "Sad", "images/é.jpg": "FEAR"}
HEAD = "path,label"
ROWS = ["images/a b.jpg,happy", "images/c.d.jpg,Sad", "images/é.jpg,FEAR"]
PLAIN = "\n".join([HEAD, *ROWS]) + "\n"


def quoted(text: str) -> str:
    return "\n".join(",".join(f'"{cell}"' for cell in line.split(",")) for line in text.splitlines()) + "\n"


def wide(before: str, after: str) -> str:
    return "\n".join(f"{before},{line},{after}" for line in PLAIN.splitlines()) + "\n"


DIALECTS = {
    "plain": PLAIN.encode(),
    "bom": b"\xef\xbb\xbf" + PLAIN.encode(),
    "crlf": PLAIN.replace("\n", "\r\n").encode(),
    "cr": PLAIN.replace("\n", "\r").encode(),
    "bom and crlf": b"\xef\xbb\xbf" + PLAIN.replace("\n", "\r\n").encode(),
    "no last newline": PLAIN.rstrip("\n").encode(),
    "blank lines": PLAIN.replace("\n", "\n\n").encode() + b"\n\n",
    "lines of commas": (PLAIN + ",\n,\n").encode(),
    "semicolons": PLAIN.replace(",", ";").encode(),
    "tabs": PLAIN.replace(",", "\t").encode(),
    "bars": PLAIN.replace(",", "|").encode(),
    "quoted": quoted(PLAIN).encode(),
    "quoted, bom": b"\xef\xbb\xbf" + quoted(PLAIN).encode(),
    "spaces after commas": PLAIN.replace(",", ", ").encode(),
    "spaces before quotes": quoted(PLAIN).replace(",", ", ").encode(),
    "utf-16 with bom": PLAIN.encode("utf-16"),
    "utf-16 big": b"\xfe\xff" + PLAIN.encode("utf-16-be"),
    "windows code page": PLAIN.encode("cp1252"),
    "latin-1 crlf": PLAIN.replace("\n", "\r\n").encode("latin-1"),
    "no header": "\n".join(ROWS).encode(),
    "no header, crlf": "\r\n".join(ROWS).encode(),
    "no header, bom": b"\xef\xbb\xbf" + "\n".join(ROWS).encode(),
    "no header, label first": "\n".join(",".join(reversed(row.split(","))) for row in ROWS).encode(),
    "header in capitals": PLAIN.replace(HEAD, "PATH,LABEL").encode(),
    "header with spaces": PLAIN.replace(HEAD, " Image Path , Emotion ").encode(),
    "header quoted alone": PLAIN.replace(HEAD, '"path","label"').encode(),
    "other names": PLAIN.replace(HEAD, "subDirectory_filePath,expression").encode(),
    "columns before and after": wide("7", "x").encode(),
    "unnamed index of pandas": "\n".join(f"{n or ''},{line}" for n, line in enumerate(PLAIN.splitlines())).encode(),
    "columns the other way": "\n".join(",".join(reversed(line.split(","))) for line in PLAIN.splitlines()).encode(),
    "rows with too many cells": PLAIN.replace("happy\n", "happy,,,\n").encode(),
    "backslashes": PLAIN.replace("images/", "images\\").encode(),
    "dots in the path": PLAIN.replace("images/", "./images/../images//").encode(),
}


@pytest.fixture
def root(tmp_path):
    for name in WANTED:
        put(tmp_path / "raw", name)
    return tmp_path / "raw"


@pytest.mark.parametrize("dialect", DIALECTS)
def test_dialect_reads_like_the_plain_one(dialect, root, tmp_path):
    put(root, "labels.csv", DIALECTS[dialect])
    found = Read(root, tmp_path / "out", fmt="csv")
    assert found.labels() == WANTED
    assert found.rejects == []


def test_there_are_thirty_of_them():
    assert len(DIALECTS) >= 30


@pytest.mark.parametrize("cell", ["", "NaN", "nan", " ", "NULL", "N/A", '""'])
def test_label_that_is_not_given_is_a_reject_with_its_row(cell, root, tmp_path):
    put(root, "labels.csv", PLAIN.replace(",happy", f",{cell}"))
    found = Read(root, tmp_path / "out", fmt="csv")
    assert found.reasons() == [("unlabelled", "images/a b.jpg")]
    assert found.rejects[0]["detail"] == "labels.csv row 2: no label"


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("../../etc/passwd,happy", "outside_root"), ("/etc/passwd,happy", "outside_root"),
        ("images/../../raw2/a.jpg,happy", "outside_root"), ("C:\\pictures\\a.jpg,happy", "outside_root"),
        ("..\\..\\a.jpg,happy", "outside_root"), ("~/a.jpg,happy", "outside_root"), ("link.jpg,happy", "outside_root"),
        ("linked/a.jpg,happy", "outside_root"), ("images/gone.jpg,happy", "missing_file"), (",happy", "bad_row"),
        ("images,happy", "missing_file"), ("images/a b.jpg\0.png,happy", "missing_file"),
    ],
)  # fmt: skip
def test_row_that_leads_nowhere_or_out_is_refused_with_its_number(row, reason, root, tmp_path):
    put(tmp_path, "raw2/a.jpg")
    (root / "link.jpg").symlink_to(tmp_path / "raw2" / "a.jpg")
    (root / "linked").symlink_to(tmp_path / "raw2")
    put(root, "labels.csv", f"{PLAIN}{row}\n".replace("\0", "%00"))
    found = Read(root, tmp_path / "out", fmt="csv")
    assert found.labels() == WANTED
    assert [reject["reason"] for reject in found.rejects] == [reason]
    assert "labels.csv row 5" in found.rejects[0]["detail"]


def test_link_that_stays_inside_is_a_file_like_any_other(root, tmp_path):
    (root / "alias.jpg").symlink_to("images/a b.jpg")
    put(root, "labels.csv", f"{PLAIN}alias.jpg,happy\n")
    assert Read(root, tmp_path / "out", fmt="csv").labels() == WANTED | {"alias.jpg": "happy"}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b'path,label\n"images/a b.jpg,happy\nimages/c.d.jpg,Sad\n', r"labels\.csv row 3: not a readable table"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", r"labels\.csv: not a text file"),
        (b"\xff\xfep\0a\0t", r"labels\.csv"),
        (b"", r"no column for the path|no known layout|looked for"),
        (b"path,kind\nimages/a b.jpg,1\n", r"looked for"),
    ],
    ids=["open quote", "binary", "half of utf-16", "empty", "no label column"],
)
def test_unreadable_csv_is_one_line(content, says, root, tmp_path):
    put(root, "labels.csv", content)
    with pytest.raises(DataError, match=says) as caught:
        Read(root, tmp_path / "out", fmt="csv")
    assert "\n" not in str(caught.value)


def test_doubled_rows_keep_the_first_and_contradictions_keep_none(root, tmp_path):
    put(root, "labels.csv", PLAIN + "images/a b.jpg,HAPPY\nimages/c.d.jpg,anger\nimages/c.d.jpg,Sad\n")
    found = Read(root, tmp_path / "out", fmt="csv")
    assert found.labels() == {"images/a b.jpg": "happy", "images/é.jpg": "FEAR"}
    assert found.summary["rejected"] == {"conflicting_labels": 2, "duplicate_row": 2}
    details = {reject["detail"] for reject in found.rejects if reject["reason"] == "conflicting_labels"}
    assert details == {"Sad in labels.csv row 3, anger in labels.csv row 6"}


def test_named_columns_give_everything_else(root, tmp_path):
    header = "who,clip,part,file,feels,v,a,l,t,w,h"
    put(root, "tables/t.csv", f"{header}\np1,s1,Train,a b.jpg,happy,0.5,-2,1,2,10,20\np2,s2,Test,c.d.jpg,sad,,,,,,\n")
    columns = {
        "file": "tables/t.csv", "images": "images", "path": "file", "label": "feels", "subject": "who",
        "sequence": "clip", "split": "part", "valence": "v", "arousal": "a", "x0": "l", "y0": "t", "width": "w",
        "height": "h",
    }  # fmt: skip
    rows = Read(root, tmp_path / "out", fmt="csv", columns=columns).rows
    first = rows[0]
    assert (first["subject_id"], first["sequence_id"], first["source_split"]) == ("p1", "s1", "Train")
    assert (first["valence"], first["arousal"], first["source_box"]) == (0.5, None, [1, 2, 11, 22])
    assert (rows[1]["source_box"], rows[1]["valence"], rows[1]["source_labels"]) == (None, None, ["sad"])


def test_named_column_that_is_missing_says_which_there_are(root, tmp_path):
    put(root, "labels.csv", PLAIN)
    with pytest.raises(SourceError, match=r"labels\.csv: no column 'feeling'; it has path, label"):
        Read(root, tmp_path / "out", fmt="csv", columns={"label": "feeling"})
    with pytest.raises(SourceError, match=r"other\.csv: missing"):
        Read(root, tmp_path / "out", fmt="csv", columns={"file": "other.csv"})
    with pytest.raises(SourceError, match=r"raw/pictures: no such folder; columns\.images names it"):
        Read(root, tmp_path / "out", fmt="csv", columns={"images": "pictures"})


def test_columns_that_may_mean_anything_are_left_alone(root, tmp_path):
    put(root, "labels.csv", "path,label,fold,a,v,d\nimages/a b.jpg,happy,1,0.5,0.5,0.5\n")
    (row,) = Read(root, tmp_path / "out", fmt="csv").rows
    assert [row[name] for name in ("source_split", "valence", "arousal", "dominance")] == [None] * 4


def test_a_split_of_another_name_is_left_empty_and_said(root, tmp_path):
    put(root, "labels.csv", "path,label,split\nimages/a b.jpg,happy,7\nimages/c.d.jpg,sad,Test\n")
    found = Read(root, tmp_path / "out", fmt="csv")
    assert [row["source_split"] for row in found.rows] == [None, "Test"]
    assert any("row 2: an unusable split (expected train, val or test)" in note for note in found.summary["notes"])


def test_subject_pattern(root, tmp_path):
    put(root, "labels.csv", PLAIN)
    rows = Read(root, tmp_path / "out", fmt="csv", columns={"subject_pattern": r"^([a-z])[ .]"}).rows
    assert [row["subject_id"] for row in rows] == ["a", "c", None]
    for pattern in ("(", "no group"):
        with pytest.raises(ParamsError, match=r"columns\.subject_pattern"):
            Read(root, tmp_path / "out", fmt="csv", columns={"subject_pattern": pattern})


def test_one_table_a_split_and_several_that_fit_are_an_error(root, tmp_path):
    put(root, "train.csv", f"{HEAD}\n{ROWS[0]}\n")
    put(root, "test.csv", f"{HEAD}\n{ROWS[1]}\n")
    found = Read(root, tmp_path / "out")
    assert {row["source_split"] for row in found.rows} == {"train", "test"}
    put(root, "labels_v2.csv", PLAIN)
    with pytest.raises(
        SourceError, match=r"several tables fit, labels_v2.csv, test.csv, train.csv; .*columns: \{file: labels_v2.csv\}"
    ):
        Read(root, tmp_path / "out", fmt="csv")


def test_same_base_name_in_two_folders_needs_its_folder(tmp_path):
    root = tmp_path / "raw"
    for name in ("x/1.jpg", "y/1.jpg", "x/2.jpg"):
        put(root, name)
    put(root, "t/labels.csv", "path,label\nx/1.jpg,happy\ny/1.jpg,sad\n1.jpg,fear\n2.jpg,fear\n")
    found = Read(root, tmp_path / "out", fmt="csv")
    assert found.labels() == {"x/1.jpg": "happy", "y/1.jpg": "sad", "x/2.jpg": "fear"}
    assert (
        found.rejects[0]["detail"] == "t/labels.csv row 4: 1.jpg may be x/1.jpg or y/1.jpg; give its folder or suffix"
    )


def test_points_parted_by_semicolons_do_not_make_a_delimiter(tmp_path):
    put(tmp_path, "a.csv", "a.jpg,1;2;3;4;5;6,3\nb.jpg,1;2;3;4;5;6,4\n")
    rows = list(Delimited(open_tree(str(tmp_path)), "a.csv", ("path", "points", "code")).records())
    assert [(row.get("path"), row.get("code")) for row in rows] == [("a.jpg", "3"), ("b.jpg", "4")]


def test_lines_of_a_list_whatever_ends_them(tmp_path):
    put(tmp_path, "a.txt", b"\xef\xbb\xbfone\r\n\r\ntwo\rthree\nfour")
    assert list(read_lines(open_tree(str(tmp_path)), "a.txt")) == [
        ("a.txt row 1", "one"), ("a.txt row 3", "two"), ("a.txt row 4", "three"), ("a.txt row 5", "four"),
    ]  # fmt: skip


def test_decimal_commas_of_affect(tmp_path):
    put(tmp_path / "raw", "l.csv", "image;valence;arousal\na.png;0,5;-0,25\nb.png;-0,125;1\nc.png;1,2,3;-1\n")
    for name in ("a.png", "b.png", "c.png"):
        put(tmp_path / "raw", name, None)
    found = Read(tmp_path / "raw", tmp_path / "out")
    affect = [(row["valence"], row["arousal"]) for row in found.rows]
    assert affect == [(0.5, -0.25), (-0.125, 1), (None, -1)]
