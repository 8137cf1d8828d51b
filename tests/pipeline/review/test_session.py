"""What one person decides on two pages at once, and pictures that several requests want at once."""

import tarfile
from concurrent.futures import ThreadPoolExecutor

import pytest

from pipeline.decisions.book import read_book
from pipeline.review.faces import Faces, Source
from pipeline.review.queue import Doubtful
from pipeline.review.session import Session
from tests.pipeline.align.inputs import write_tree
from tests.pipeline.review.conftest import picture

QUEUE = [Doubtful(f"d/{number}.jpg#0", "label") for number in range(3)]


@pytest.fixture
def book(tmp_path):
    return tmp_path / "d.csv"


def said(book):
    return [(one.sample_id, str(one.kind)) for one in read_book(book)]


def test_undo_takes_back_what_this_page_said_and_nothing_that_another_page_said_since(book):
    first, second = (Session(QUEUE, {"d": book}, "ann") for _ in range(2))
    first.decide(0, "right")
    first.decide(1, "right")
    second.decide(1, "unsure")
    assert first.undo() == 1
    assert said(book) == [("d/0.jpg#0", "right"), ("d/1.jpg#0", "unsure")]
    assert first.undo() == 0
    assert second.undo() == 1  # what stood there before it was the decision of the first page
    assert said(book) == [("d/1.jpg#0", "right")]


def test_a_page_knows_what_another_page_of_the_same_person_decided(book):
    first, second = (Session(QUEUE, {"d": book}, "ann") for _ in range(2))
    second.decide(0, "not_a_face")
    first.decide(1, "right")
    assert first.progress()["decided"] == 2
    assert first.verdict(0).kind == "not_a_face"


def test_pictures_of_an_archive_are_the_right_ones_however_many_are_asked_for_at_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = [f"happy/{number:02d}.jpg" for number in range(16)]
    write_tree(tmp_path / "toy", {name: picture(number) for number, name in enumerate(names)})
    with tarfile.open(tmp_path / "toy.tgz", "w:gz") as archive:
        archive.add(tmp_path / "toy", "toy")
    rows = {f"toy/{name}": {"source_path": f"toy/{name}", "face_number": 0, "time_s": None} for name in names}
    expected = Faces(
        {"toy": Source("toy", "folder")}, {name: row | {"source_path": name[4:]} for name, row in rows.items()}
    )
    packed = Faces({"toy": Source("toy.tgz", "folder")}, rows)
    with ThreadPoolExecutor(8) as pool:
        shown = list(pool.map(packed.whole, rows))
    assert shown == [expected.whole(name) for name in rows]
