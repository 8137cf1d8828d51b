"""Names that break pipelines: each one is read, from a folder and from archives, and through a csv that lists it."""

import os
import unicodedata
from pathlib import Path

import pytest

from pipeline.core.lineage.identity import identity
from pipeline.ingest.registry import open_pictures, open_tree
from tests.pipeline.ingest.layouts import Read, put
from tests.pipeline.ingest.test_archives import pack

NAMES = [
    "with space.jpg", " leading.jpg", "trailing .jpg", "a.b.c.d.jpg", ".hidden.jpg", "..two.jpg", "UPPER.JPG",
    "b.jpeg",
    "名前.jpg", "Ünï.jpg", "🙂.jpg", "עברית.jpg", "a'b.jpg", 'a"b.jpg', "a,b.jpg", "a;b.jpg", "a#0.jpg", "a%20b.jpg",
    "a&b=c?.jpg", "-rf.jpg", "$(id).jpg", "`id`.jpg", "*.jpg", "[a].jpg", "a\tb.jpg", "x" * 251 + ".jpg",
    "ü" * 125 + ".jpg", "CON.jpg", "a|b.jpg", "{}.jpg", "con\u0301.jpg",
]  # fmt: skip


def test_there_are_twenty_five_of_them():
    assert len(set(NAMES)) >= 25
    assert max(len(name.encode()) for name in NAMES) == 255


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("names") / "raw"
    for number, name in enumerate(NAMES):
        put(folder, f"{'happy' if number % 2 else 'sad'}/{name}", f"{number}")
    put(folder, "happy/same.jpg", "one")
    put(folder, "sad/same.jpg", "two")
    return folder


@pytest.mark.parametrize("suffix", ["", ".zip", ".tar", ".tar.gz"])
def test_names_are_kept_and_read_back(suffix, root, tmp_path):
    src = pack(root, tmp_path / f"packed{suffix}") if suffix else root
    found = Read(src, tmp_path / "out")
    wanted = {f"{'happy' if n % 2 else 'sad'}/{name}": "happy" if n % 2 else "sad" for n, name in enumerate(NAMES)}
    assert found.labels() == wanted | {"happy/same.jpg": "happy", "sad/same.jpg": "sad"}
    pictures = open_pictures(str(src), "folder")
    for number, name in enumerate(NAMES):
        assert pictures.read(f"{'happy' if number % 2 else 'sad'}/{name}", 0) == f"{number}".encode()


def test_names_are_found_through_a_csv(root, tmp_path):
    folder = tmp_path / "raw"
    folder.mkdir()
    for number, name in enumerate(NAMES):
        put(folder, f"images/{name}", f"{number}")
    rows = "".join('"images/{}",happy\n'.format(name.replace('"', '""')) for name in NAMES)
    put(folder, "labels.csv", f"path,label\n{rows}")
    found = Read(folder, tmp_path / "out", fmt="csv")
    assert sorted(found.labels()) == sorted(f"images/{name}" for name in NAMES)


def test_identity_is_dvcs_whatever_the_names(root):
    assert open_tree(str(root)).identity(2) == identity(root)


@pytest.mark.parametrize("listed", ["NFC", "NFD"])
def test_other_unicode_form_or_case_in_the_csv_finds_the_file(listed, tmp_path):
    other = {"NFC": "NFD", "NFD": "NFC"}[listed]
    put(tmp_path / "raw", unicodedata.normalize(other, "images/José Ångström.jpg"))
    put(tmp_path / "raw", "images/B.JPG")
    put(
        tmp_path / "raw",
        "l.csv",
        unicodedata.normalize(listed, "path,label\nimages/José Ångström.jpg,happy\nImages/b.jpg,sad\n"),
    )
    found = Read(tmp_path / "raw", tmp_path / "out", fmt="csv")
    assert sorted(found.labels().values()) == ["happy", "sad"]


def test_name_that_is_no_utf8_is_a_sample_of_no_table_but_is_told(tmp_path):
    folder = tmp_path / "raw"
    put(folder, "happy/a.jpg")
    put(folder, "sad/b.jpg")
    Path(os.fsdecode(os.fsencode(folder) + b"/happy/\xff\xfe.jpg")).write_bytes(b"x")
    found = Read(folder, tmp_path / "out")
    assert sorted(found.labels()) == ["happy/a.jpg", "sad/b.jpg"]
    assert [(reject["reason"], reject["source_path"]) for reject in found.rejects] == [
        ("bad_row", "happy/\\udcff\\udcfe.jpg")
    ]


def test_junk_is_no_picture(tmp_path):
    for name in (
        "happy/a.jpg",
        "sad/b.jpg",
        "happy/._a.jpg",
        "__MACOSX/happy/._a.jpg",
        "happy/.DS_Store",
        "sad/Thumbs.db",
        "sad/THUMBS.DB",
        "happy/.ipynb_checkpoints/a-checkpoint.jpg",
        "$RECYCLE.BIN/b.jpg",
    ):
        put(tmp_path / "raw", name)
    found = Read(tmp_path / "raw", tmp_path / "out")
    assert sorted(found.labels()) == ["happy/a.jpg", "sad/b.jpg"]
    assert len(found.manifest) == 9  # DVC hashes them all the same


def test_what_lies_in_a_class_folder_is_counted_whatever_it_is(tmp_path):
    for name in ("happy/a.HEIC", "happy/b.avif", "sad/c.jpg", "sad/d", "sad/clip.mp4", "sad/deeper/notes.txt"):
        put(tmp_path / "raw", name)
    found = Read(tmp_path / "raw", tmp_path / "out")
    assert found.labels() == {"happy/a.HEIC": "happy", "happy/b.avif": "happy", "sad/c.jpg": "sad"}
    (note,) = [note for note in found.summary["notes"] if "class folders" in note]
    assert note == "3 files in class folders do not end like pictures, such as sad/clip.mp4"
