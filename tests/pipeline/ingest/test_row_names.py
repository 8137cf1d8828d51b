"""Names in a tree, and what a row gives for one: each case written by hand."""

import pytest

from pipeline.core.params import IngestParams
from pipeline.core.schema import Reason
from pipeline.ingest.parsing.delimited import Record
from pipeline.ingest.raw_dataset import RawDataset, RejectedRow, is_picture, join, normal, stem
from pipeline.ingest.readers.emotic import emotic_box, mean_rating
from pipeline.ingest.registry import open_tree
from pipeline.ingest.samples import printable
from tests.pipeline.ingest.layouts import PARAMS, Read, put

NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("base", "given", "name"),
    [
        ("", "a.jpg", "a.jpg"), ("a/b", "c.jpg", "a/b/c.jpg"), ("a/b", "../c.jpg", "a/c.jpg"),
        ("a", "b\\c.jpg", "a/b/c.jpg"),
        ("a/b", "./x//y/.", "a/b/x/y"), ("a/b", " c.jpg ", "a/b/c.jpg"), ("a", "..", None), ("", "..", None),
        ("a", "../..", None), ("a", "..\\..\\c", None), ("a", "../../a/c", None), ("a", "/c", None), ("a", "\\c", None),
        ("a", "~/c", None), ("a", "~c/d", "a/~c/d"), ("a", "C:\\c", None), ("a", "c:d", None), ("a", "c", "a/c"),
        ("a", "", None), ("a", "  ", None), ("a", ".", "a"), ("", ".", None), ("a", "b..c", "a/b..c"),
    ],
)  # fmt: skip
def test_given_path_becomes_a_name_in_the_tree_or_none(base, given, name):
    assert normal(base, given) == name


@pytest.mark.parametrize(
    ("folder", "name", "whole"),
    [("a", "b", "a/b"), ("", "b", "b"), ("a", "", "a"), ("", "", ""), ("a/b", "c/d", "a/b/c/d")],
)
def test_names_are_joined(folder, name, whole):
    assert join(folder, name) == whole


@pytest.mark.parametrize(
    ("name", "picture", "without"),
    [
        ("a.jpg", True, "a"), ("x.y/b.c.PNG", True, "b.c"), ("a", False, "a"), (".jpg", False, ".jpg"),
        ("a.jpgx", False, "a"),
        ("d.jpg/a", False, "a"), ("d/.jpg", False, ".jpg"), ("a.", False, "a"), ("a.TIFF", True, "a"),
        ("a.heic", True, "a"),
        ("jpg", False, "jpg"), ("a.csv", False, "a"),
    ],
)  # fmt: skip
def test_base_name_is_what_stands_before_the_last_suffix(name, picture, without):
    assert (is_picture(name), stem(name)) == (picture, without)


def test_bytes_of_a_name_that_are_no_utf8_are_written_as_escapes():
    assert printable("a/\udcff名.jpg") == "a/\\udcff名.jpg"


@pytest.fixture
def raw(tmp_path):
    for name in (
        "img/a.jpg",
        "img/B.JPG",
        "other/a.jpg",
        "img/ c.jpg",
        "x\\d.jpg",
        "img/e.jpg",
        "img/E.jpg",
        "img/u/e.jpg",
    ):
        put(tmp_path / "raw", name)
    put(tmp_path, "out/o.jpg")
    (tmp_path / "raw/img/o.jpg").symlink_to("../../out/o.jpg")
    return RawDataset(open_tree(str(tmp_path / "raw")), "img", IngestParams(**PARAMS))


@pytest.mark.parametrize(
    ("given", "bases", "found"),
    [
        ("a.jpg", ["img", "other"], "img/a.jpg"), ("a.jpg", ["other", "img"], "other/a.jpg"),
        ("a.jpg", ["no", "img"], "img/a.jpg"),
        ("../other/a.jpg", ["img"], "other/a.jpg"), ("..\\other\\a.jpg", ["img"], "other/a.jpg"),
        ("b.jpg", ["img"], "img/B.JPG"),
        (" c.jpg", ["img"], "img/ c.jpg"), ("x\\d.jpg", [""], "x\\d.jpg"), (" a.jpg ", ["img"], "img/a.jpg"),
        ("e.jpg", ["img"], "img/e.jpg"), ("U/e.jpg", ["no", "img"], "img/u/e.jpg"),
    ],
)  # fmt: skip
def test_picture_is_found_as_it_stands_first(given, bases, found, raw):
    assert raw.find(given, bases, "l.csv row 2") == found


@pytest.mark.parametrize(
    ("given", "bases", "reason", "detail"),
    [
        ("gone.jpg", ["img", "other"], Reason.missing_file, "l.csv row 2: no such file: img/gone.jpg"),
        ("a.jpg", [""], Reason.missing_file, "l.csv row 2: no such file: a.jpg"),
        ("EE.jpg", ["img"], Reason.missing_file, "l.csv row 2: no such file: img/EE.jpg"),
        ("e.JPG", ["img"], Reason.missing_file, "l.csv row 2: no such file: img/e.JPG"),  # one of two
        ("../../x.jpg", ["img"], Reason.outside_root, "l.csv row 2: leads out of the tree"),
        ("/img/a.jpg", ["img", ""], Reason.outside_root, "l.csv row 2: leads out of the tree"),
        ("o.jpg", ["other", "img"], Reason.outside_root, "l.csv row 2: a link out of the tree, to ../../out/o.jpg"),
    ],
)
def test_picture_that_is_not_there_is_refused_with_what_was_looked_for(given, bases, reason, detail, raw):
    assert raw.find(given, bases, "l.csv row 2") == RejectedRow(given, reason, detail)


def test_picture_is_found_by_the_end_of_its_path_where_only_one_has_it(raw):
    assert raw.find_ending("somewhere/img/a.jpg", [""], "row") == RejectedRow(
        "somewhere/img/a.jpg", Reason.missing_file, "row: no such file: somewhere/img/a.jpg"
    )
    assert raw.find_ending("u/e.jpg", [""], "row") == "img/u/e.jpg"
    assert raw.find_ending("a.jpg", [""], "row") == RejectedRow(
        "a.jpg", Reason.bad_row, "row: a.jpg may be img/a.jpg or other/a.jpg; give its folder or suffix"
    )
    assert raw.moved == {}


@pytest.mark.parametrize(
    ("values", "box"),
    [
        ([1, 2, 3, 4], (1, 2, 3, 4)), ([1, 2, 3, 4, 9], (1, 2, 3, 4)), ([1, 2, 3, 4, NAN], (1, 2, 3, 4)),
        ([-4.5, 2, 90, 200.5, INF], (-4.5, 2, 90, 200.5)), ([1, 2, 3], None), ([], None), ([1, 2, 3, NAN], None),
        ([1, 2, INF, 4], None), ([-INF, 2, 3, 4], None), ([1, 2, 1, 4], None), ([1, 2, 3, 2], None),
        ([3, 2, 1, 4], None),
    ],
)  # fmt: skip
def test_box_of_a_body_is_its_first_four_numbers(values, box):
    assert emotic_box(values) == box


@pytest.mark.parametrize(
    ("ratings", "mean"),
    [
        ([], None), ([NAN], None), ([5], 5), ([1, 10], 5.5), ([2, NAN, 4], 3), (["7.5", None], 7.5), ([10.5, 5], 10.5),
        ([5, 0.5], 0.5), ([1, 1, 4], 2),
    ],
)  # fmt: skip
def test_rating_is_the_mean_of_those_given_unless_one_is_beyond_the_scale(ratings, mean):
    assert mean_rating(ratings) == mean


def test_cell_that_a_row_has_not_is_empty():
    record = Record(["a", " NaN ", " 3 "], "row", {"one": 0, "two": 1, "three": 2, "four": 3}, 3)
    assert [record.at(index) for index in (-1, 0, 1, 2, 3, 9)] == ["", "a", "", "3", "", ""]
    assert [record.get(name) for name in ("One", "two", "three", "four", "five")] == ["a", "", "3", "", ""]
    assert [record.number(name) for name in ("one", "two", "three", "four")] == [None, None, 3.0, None]
    assert record.surplus() is None
    assert Record(["a", "b", " "], "row", {}, 2).surplus() is None
    assert Record(["a", "b", "c"], "row", {}, 2).surplus() == "row: expected 2 cells, not 3"
    assert Record(["a", "b", "c"], "row", {}).surplus() is None


def test_both_rows_that_contradict_each_other_name_their_picture(tmp_path):
    put(tmp_path / "raw", "l.csv", "path,label\na.jpg,happy\na.jpg,sad\nb.jpg,sad\n")
    for name in "ab":
        put(tmp_path / "raw", f"{name}.jpg")
    found = Read(tmp_path / "raw", tmp_path / "out")
    assert found.reasons() == [("conflicting_labels", "a.jpg")] * 2
    assert {reject["detail"] for reject in found.rejects} == {"happy in l.csv row 2, sad in l.csv row 3"}
    assert found.labels() == {"b.jpg": "sad"}
