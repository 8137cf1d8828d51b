"""Gender, age and race as datasets write them."""

import pytest

from pipeline.ingest.parsing.attributes import Attributes, age_group, read_attributes
from tests.pipeline.ingest.layouts import Read, put, write_rafdb


@pytest.mark.parametrize(
    ("cell", "gender"),
    [("Female", "female"), (" F ", "female"), ("MAN", "male"), ("unsure", "unsure"), ("non-binary", "other"),
     ("", None), ("NaN", None), ("unknown", None)],
)  # fmt: skip
def test_genders_are_one_of_a_few_words(cell, gender):
    assert read_attributes(gender=cell) == (Attributes(gender=gender), [])


@pytest.mark.parametrize(
    ("cell", "group", "years"),
    [("Adult", "Adult", None), ("20-39", "20-39", None), ("31", "20-39", 31), ("3.9", "0-3", 3.9), ("4", "4-19", 4),
     ("70", "70+", 70), ("120", "70+", 120), ("nan", None, None), ("  ", None, None)],
)  # fmt: skip
def test_ages_in_years_get_a_group_and_groups_stay(cell, group, years):
    assert read_attributes(age=cell) == (Attributes(age=group, age_years=years), [])


def test_what_cannot_be_is_named():
    found, unusable = read_attributes(gender="1", age="-1", race="  Asian ")
    assert found == Attributes(race="Asian")
    assert [one.partition(" (")[0] for one in unusable] == ["gender", "age"]
    assert read_attributes(age="121")[1] == ["age (expected a group, or years from 0 to 120)"]


def test_every_group_begins_where_the_one_before_ends():
    assert [age_group(years) for years in (0, 3.99, 4, 19.5, 20, 39, 40, 69.9, 70)] == [
        "0-3", "0-3", "4-19", "4-19", "20-39", "20-39", "40-69", "40-69", "70+"
    ]  # fmt: skip


def test_rafdb_attributes_follow_the_points(tmp_path):
    write_rafdb(tmp_path / "raw")
    points = "30 40\n70 41\n50 60\n35 80\n65 81\n"
    for number, codes in enumerate(("2\n0\n4\n", "1\n2\n5\n", "1\n2\n", "", "x\n2\n0\n"), 1):
        put(tmp_path / "raw", f"Annotation/manual/train_{number:05d}_manu_attri.txt", points + codes)
    found = Read(tmp_path / "raw", tmp_path / "out")
    rows = {row["source_path"][-9:-4]: (row["gender"], row["race"], row["age"]) for row in found.rows}
    assert rows["00001"] == ("unsure", "Caucasian", "70+")
    assert rows["00002"] == ("female", "Asian", None)
    assert rows["00003"] == rows["00004"] == (None, None, None)
    assert rows["00005"] == (None, "Asian", "0-3")
    assert rows["00006"] == ("male", "African-American", "20-39")
    notes = " ".join(found.summary["notes"])
    for what in ("age (expected a code 0 to 4)", "list of attributes", "gender (expected a code 0 to 2)"):
        assert what in notes


def test_a_csv_says_who_is_shown(tmp_path):
    rows = ["a.jpg,happy,Female,31,Asian", "b.jpg,sad,,Kid,", "c.jpg,sad,2,-1,x"]
    put(tmp_path / "raw", "list.csv", "\n".join(["image,emotion,Sex,Age,ethnicity", *rows]) + "\n")
    for name in "abc":
        put(tmp_path / "raw", f"{name}.jpg")
    found = Read(tmp_path / "raw", tmp_path / "out")
    assert [(row["gender"], row["age"], row["age_years"], row["race"]) for row in found.rows] == [
        ("female", "20-39", 31, "Asian"), (None, "Kid", None, None), (None, None, None, "x"),
    ]  # fmt: skip
    assert any("list.csv row 4: an unusable gender" in note for note in found.summary["notes"])


@pytest.mark.parametrize(
    ("header", "ages", "wanted"),
    [
        ("age", "0 4 2 4", [None] * 4),  # RAF-DB's codes, of which 4 is 70+
        ("age", "0.0 4.0 nan 2.0", [None] * 4),
        ("age", "3 4 71 2", ["0-3", "4-19", "70+", "0-3"]),
        ("age", "3.5 4 2 1", ["0-3", "4-19", "0-3", "0-3"]),
        ("age_years", "3 4 2 1", ["0-3", "4-19", "0-3", "0-3"]),
    ],
)
@pytest.mark.parametrize("marks", [False, True])
def test_ages_that_are_codes_of_groups_are_no_years(marks, header, ages, wanted, tmp_path):
    label, cells = ("happy,sad", "1,0") if marks else ("label", "happy")
    rows = [f"{name}.jpg,{cells},{age},{name * 2},1" for name, age in zip("abcd", ages.split(), strict=True)]
    put(tmp_path / "raw", "x.csv", "\n".join([f"image,{label},{header},note,race", *rows]) + "\n")
    for name in "abcd":
        put(tmp_path / "raw", f"{name}.jpg")
    found = Read(tmp_path / "raw", tmp_path / "out")
    by_path = sorted(found.rows, key=lambda row: row["source_path"])
    assert [row["age"] for row in by_path] == wanted
    assert {row["race"] for row in by_path} == {None}
    notes = " ".join(found.summary["notes"])
    assert ("call the column age_years" in notes) == (wanted == [None] * 4)
    assert "x.csv row 2: an unusable race (expected a word) is left empty, as in 4 rows in all" in notes
