"""Mirrors in the shapes in which they are shared: each tree of shared_trees.py gives exactly its rows."""

import pytest

from pipeline.core.errors import SourceError
from pipeline.labels.taxonomy import Lookup, read_taxonomy
from tests.pipeline.ingest.clip_layouts import video
from tests.pipeline.ingest.layouts import Read, put
from tests.pipeline.ingest.shared_trees import FOLDERS, SHARED
from tests.pipeline.ingest.test_archives import pack

# One of each kind: archives have the same names and bytes as folders.
PACKED = (
    "yolo: Darknet, with lists for splits", "coco: paths of Windows and of another machine", "voc: lists for splits",
    "marks: two classes", "hub: codes in lists of one", "affectnet: capital letters",
    "rafdb: lists beside loose pictures", "table: numbers for names", "folders: below many others",
    "clips: frames of other suffixes, and a blank line",
)  # fmt: skip


def write(tree, root):
    for name, content in tree.files.items():
        put(root, name, content)
    return root


def check(tree, src, tmp_path):
    if tree.error:
        with pytest.raises(SourceError, match=tree.error):
            Read(src, tmp_path / "refused")
        if not tree.rows:
            return
    found = Read(src, tmp_path / "out", classes=tree.classes)
    rows = [(row["source_path"], ",".join(row["source_labels"]), row["source_split"]) for row in found.rows]
    # Several faces of one picture are in the order of its file.
    assert (found.summary["format"], rows) == (tree.format, sorted(tree.rows, key=lambda row: row[0]))
    assert found.summary["rejected"] == tree.rejected
    if tree.boxes is not None:
        assert [row["source_box"] for row in found.rows] == tree.boxes
    lookup = Lookup(read_taxonomy(tree.format))
    assert all(lookup.find(label) for row in found.rows for label in row["source_labels"])


@pytest.mark.parametrize("name", SHARED)
def test_tree_gives_its_rows(name, tmp_path):
    check(SHARED[name], write(SHARED[name], tmp_path / "raw"), tmp_path)


@pytest.mark.parametrize("suffix", [".zip", ".tar.gz"])
@pytest.mark.parametrize("name", PACKED)
def test_archive_gives_the_same_rows(name, suffix, tmp_path):
    check(SHARED[name], pack(write(SHARED[name], tmp_path / "raw"), tmp_path / f"packed{suffix}"), tmp_path)


@pytest.mark.parametrize(
    ("name", "classes"),
    [
        ("faces", "anger happy sad"), ("numbered", "anger happy fear"), ("numbered behind", "surprise fear"),
        ("images of", "anger happy neutral"), ("kinds of", "anger sad happy"),
        ("of none", "anger happy None None None None"),
    ],
)  # fmt: skip
def test_names_of_folders_mean_what_a_person_reads_in_them(name, classes):
    lookup = Lookup(read_taxonomy("folder"))
    found = [lookup.find(label) for _, label, _ in FOLDERS[name].rows]
    assert [str(entry[1].to) for entry in found if entry] == classes.split()
    assert all(entry and (entry[1].to is not None or entry[1].reject) for entry in found)


def test_shares_of_1_are_percents_of_votes(tmp_path):
    put(tmp_path / "raw", "x.csv", "image,anger,happy,sad\na.jpg,0.25,0.75,0\nb.jpg,0.5,0.25,0.25\n")
    for name in ("a.jpg", "b.jpg"):
        put(tmp_path / "raw", name)
    found = Read(tmp_path / "raw", tmp_path / "out")
    assert [row["source_votes"] for row in found.rows] == [[25, 75, 0], [50, 25, 25]]


@pytest.mark.parametrize(
    ("happy", "sad", "labels", "votes"),
    [("1,0", "0,1", (["happy"], ["sad"]), (None, None)), ("7,3", "2,8", (["happy", "sad"],) * 2, ([7, 3], [2, 8]))],
)
def test_a_table_of_marks_or_votes_keeps_what_else_it_says(happy, sad, labels, votes, tmp_path):
    rows = f"1.jpg,{happy},Training,p1,Female,31,Asian\n1.jpg,{sad},PrivateTest,p2,M,70,Black\n"
    put(tmp_path / "raw", "x.csv", f"filename,happy,sad,Usage,subject,gender,age,race\n{rows}")
    for name in ("train/1.jpg", "test/1.jpg"):
        put(tmp_path / "raw", name)
    found = Read(tmp_path / "raw", tmp_path / "out")
    columns = ("source_split", "subject_id", "gender", "age_years", "race", "source_labels", "source_votes")
    assert {row["source_path"]: tuple(row[column] for column in columns) for row in found.rows} == {
        "train/1.jpg": ("Training", "p1", "female", 31, "Asian", labels[0], votes[0]),
        "test/1.jpg": ("PrivateTest", "p2", "male", 70, "Black", labels[1], votes[1]),
    }


def test_votes_of_those_who_saw_the_faces_of_cremad(tmp_path):
    header = '"","A","D","F","H","N","S","fileName","numResponses"\n'
    rows = "".join(f"{kind}00001,{votes},1001_DFA_ANG_XX,10\n" for kind, votes in
                   ((2, "3,1,0,0,6,0"), (1, "9,1,0,0,0,0"), (3, "8,2,0,0,0,0")))  # fmt: skip
    put(tmp_path / "raw", "processedResults/tabulatedVotes.csv", header + rows)
    put(tmp_path / "raw", "VideoFlash/1001_DFA_ANG_XX.avi", video(".avi", 41))
    put(tmp_path / "raw", "VideoFlash/1002_IEO_SAD_HI.avi", video(".avi", 42))
    meant = Read(tmp_path / "raw", tmp_path / "meant")
    assert {row["sequence_id"]: row["source_labels"] for row in meant.rows} == {
        "VideoFlash/1001_DFA_ANG_XX.avi": ["ANG"], "VideoFlash/1002_IEO_SAD_HI.avi": ["SAD"]
    }  # fmt: skip
    seen = Read(tmp_path / "raw", tmp_path / "seen", cremad_labels="seen")
    votes = {(tuple(row["source_labels"]), tuple(row["source_votes"])) for row in seen.rows}
    assert votes == {(("ANG", "DIS", "FEA", "HAP", "NEU", "SAD"), (3, 1, 0, 0, 6, 0))}
    assert seen.summary["rejected"] == {"unlabelled": 3}


def test_sheet_of_excel_is_asked_for_as_csv(tmp_path):
    put(tmp_path / "raw", "Annotations_BAUM1s.xlsx", b"PK")
    put(tmp_path / "raw", "BAUM1s_MP4 - All/s001/S001_001.mp4", video(".mp4", 43))
    with pytest.raises(SourceError, match=r"Excel's files are not read; save it as Annotations_BAUM1s\.csv"):
        Read(tmp_path / "raw", tmp_path / "out")


def test_compound_labels_of_mafw_are_read_beside_the_single_ones_if_asked_for(tmp_path):
    put(tmp_path / "raw", "single/no_caption/set_1/train.txt", "00001.mp4 anger\n")
    put(tmp_path / "raw", "compound/no_caption/set_1/train.txt", "00002.mp4 anger_disgust\n")
    for number in (1, 2):
        put(tmp_path / "raw", f"frames/0000{number}/1.png")
    assert Read(tmp_path / "raw", tmp_path / "out").labels() == {"frames/00001/1.png": "anger"}
    compound = Read(tmp_path / "raw", tmp_path / "out2", fmt="mafw_compound")
    assert compound.labels() == {"frames/00002/1.png": "anger,disgust"}
