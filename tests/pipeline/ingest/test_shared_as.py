"""Mirrors in the shapes in which they are shared: each tree of shared_trees.py gives exactly its rows."""

import pytest

from pipeline.core.errors import SourceError
from pipeline.labels.taxonomy import Lookup, read_taxonomy
from tests.pipeline.ingest.layouts import Read, put
from tests.pipeline.ingest.shared_trees import FOLDERS, SHARED
from tests.pipeline.ingest.test_archives import pack

# One of each kind: archives have the same names and bytes as folders.
PACKED = (
    "yolo: Darknet, with lists for splits", "coco: paths of Windows and of another machine", "voc: lists for splits",
    "marks: two classes", "hub: codes in lists of one", "affectnet: capital letters",
    "rafdb: lists beside loose pictures", "table: numbers for names", "folders: below many others",
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
