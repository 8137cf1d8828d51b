"""Files by name, packed."""

import hashlib
import random
import tracemalloc

import pytest

from pipeline.ingest.registry import open_tree
from pipeline.ingest.trees.file_index import FileIndex, FileStamp
from tests.pipeline.ingest.layouts import put

NAMES = ["b", "a/b", "a", "a-b", "a/c", "Z", "ü", "名", "a.b"]


@pytest.fixture
def index():
    found = FileIndex()
    for n, name in enumerate(NAMES):
        found.add(name, FileStamp(n, -n << 40))
    found.close()
    return found


def test_names_are_sorted_and_keep_what_is_theirs(index):
    assert index.names == sorted(NAMES)
    index.keep_md5s(hashlib.md5(name.encode(), usedforsecurity=False).hexdigest() for name in index.names)
    for n, name in enumerate(NAMES):
        place = index.place(name)
        assert index.stamp(place) == FileStamp(n, -n << 40)
        assert index.md5(place) == hashlib.md5(name.encode(), usedforsecurity=False).hexdigest()


@pytest.mark.parametrize("name", ["", "a/", "a/a", "zz", "名名"])
def test_name_that_is_not_there_has_no_place(index, name):
    assert index.place(name) is None
    assert FileIndex().place(name) is None


def test_md5_that_was_never_taken_is_none(index):
    assert index.md5(0) is None


def test_a_file_takes_its_name_and_little_more():
    names = [f"train_set/annotations/{n}_exp.npy" for n in random.Random(1).sample(range(10**6), 50_000)]
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    found = FileIndex()
    for name in names:
        found.add(name, FileStamp(4096, 1_700_000_000_000_000_000))
    found.close()
    found.keep_md5s("ab" * 16 for _ in names)
    taken = (tracemalloc.get_traced_memory()[0] - before) / len(names)
    tracemalloc.stop()
    assert taken < 48  # 8 to hold the name, which is there already, and 32


def test_md5_before_the_whole_tree_was_read(tmp_path):
    put(tmp_path, "a/b.jpg", b"picture")
    tree = open_tree(str(tmp_path))
    wanted = hashlib.md5(b"picture", usedforsecurity=False).hexdigest()
    assert tree.md5("a/b.jpg") == wanted
    tree.identity()
    assert [(file.path, file.size, file.md5) for file in tree.manifest()] == [("a/b.jpg", 7, wanted)]


def test_md5_is_that_of_the_reading_that_gave_the_identity(tmp_path):
    for name, content in (("a/b.jpg", b"one"), ("a/c.jpg", b"two")):
        put(tmp_path, name, content)
    tree = open_tree(str(tmp_path))
    tree.identity()
    asked = open_tree(str(tmp_path))
    wanted = hashlib.md5(b"two", usedforsecurity=False).hexdigest()
    assert asked.md5("a/c.jpg") == wanted
    put(tmp_path, "a/c.jpg", b"another")
    # What was read once is not read again: samples and manifest would say two things of one file.
    assert tree.md5("a/c.jpg") == asked.md5("a/c.jpg") == wanted
    assert [file.md5 for file in tree.manifest()][1] == wanted
