"""EMOTIC, mat and csv: fields by name, whatever MATLAB made of them."""

import io

import numpy as np
import pytest
import scipy.io

from pipeline.ingest.parsing.label_names import common_name
from pipeline.ingest.releases.orders import affect_order
from tests.pipeline.ingest.layouts import (
    POINTS_68,
    WRITERS,
    Read,
    cell,
    put,
    struct,
    structs,
)

CSV_HEADER = "Index,Folder,Filename,Image Size,BBox,Categorical_Labels,Continuous_Labels,Gender,Age"
FORMATS = sorted(WRITERS)
FLAT_68 = [value for point in POINTS_68 for value in point]


def test_emotic_fields_are_read_by_name(read):
    found = read("emotic")
    rows = {row["sample_id"]: row for row in found.rows}
    many = rows["d/emotic/mscoco/images/a.jpg#0"]
    assert many["source_labels"] == ["Happiness", "Doubt/Confusion", "Disquietment"]
    assert many["source_box"] == [-4.5, 2, 90, 200.5]
    assert many["source_box_kind"] == "body"
    assert (many["valence"], many["arousal"], many["dominance"]) == (1, -1, None)
    one = rows["d/emotic/mscoco/images/a.jpg#1"]
    assert (one["source_labels"], one["valence"]) == (["Anger"], 0)
    for path, split in (("b.jpg", "val"), ("c d.jpg", "test")):
        row = rows[f"d/emotic/mscoco/images/{path}#0"]
        assert (row["source_labels"], row["source_votes"]) == (["Peace", "Fear", "Pain"], [1, 1, 1])
        assert (row["valence"], row["arousal"], row["source_split"]) == (-1, 1, split)
    assert found.reasons() == [("missing_file", "mscoco/images/gone.jpg")]


def test_emotic_with_empty_cells_whole_numbers_and_ratings_that_nobody_combined(tmp_path):
    def person(box, categories, affects, **fields):
        return struct(
            body_bbox=box, annotations_categories=categories, annotations_continuous=affects, gender="Male", age="Kid",
            **fields,
        )  # fmt: skip

    def rating(*values):
        return struct(**dict(zip(("valence", "arousal", "dominance"), values, strict=True)))

    nothing = np.zeros((0, 0))
    whole = person(
        np.array([[10, 20, 30, 60]], np.uint8), struct(categories=cell("Peace")), rating(*np.uint8([6, 3, 7]))
    )
    empty = person(nothing, struct(categories=nothing), rating(*[float("nan")] * 3))
    two = person(
        np.array([[1.0, 2.0, 3.0, 4.0]]),
        structs(struct(categories=cell("Anger")), struct(categories=cell("Anger", "Fear"))),
        structs(rating(2.0, 2.0, 2.0), rating(4.0, 6.0, float("nan"))),
        combined_categories=nothing, combined_continuous=nothing,
    )  # fmt: skip
    items = [struct(filename="a.jpg", folder="mscoco/images", person=one) for one in (structs(whole, empty), two)]
    stream = io.BytesIO()
    scipy.io.savemat(stream, {"train": items[0], "val": items[1]})
    put(tmp_path / "raw", "Annotations/Annotations.mat", stream.getvalue())
    put(tmp_path / "raw", "cvpr_emotic/emotic/mscoco/images/a.jpg")  # deeper than the release says
    found = Read(tmp_path / "raw", tmp_path / "out")
    assert [row["source_labels"] for row in found.rows] == [["Peace"], ["Anger", "Fear"]]
    assert [row["source_votes"] for row in found.rows] == [None, [2, 1]]
    assert [row["source_box"] for row in found.rows] == [[10, 20, 30, 60], [1, 2, 3, 4]]
    assert [row["valence"] for row in found.rows] == pytest.approx([0.5 / 4.5, -2.5 / 4.5])
    assert found.rows[1]["dominance"] == pytest.approx(-3.5 / 4.5)  # of the one who gave it
    assert found.summary["rejected"] == {"unlabelled": 1}


def test_emotic_csv_reads_literals_and_runs_nothing(read, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = read("emotic_csv")
    assert not (tmp_path / "pwned").exists()
    assert found.labels() == {
        "emotic/mscoco/images/a.jpg": ["Disconnection,Doubt/Confusion", "Anger"], "emotic/mscoco/images/b.jpg": "Peace",
    }  # fmt: skip
    assert [(row["valence"], row["arousal"], row["dominance"]) for row in found.rows[:2]] == [(0, -1, 1), (None, -1, 1)]
    assert found.rows[2]["source_box"] == [1.5, 2, 3, 4]
    assert found.summary["rejected"] == {"bad_row": 1}
    assert 'train.csv row 4: no category of EMOTIC: "__import__' in found.rejects[0]["detail"]


@pytest.mark.parametrize(
    ("box", "labels", "affect"),
    [
        (
            "[np.int64(86), np.int64(58), np.int64(564), np.int64(628)]",
            "[np.str_('Peace')]",
            "[np.float64(5.5), np.float64(1.0), np.float64(10.0)]",
        ),
        ("array([86., 58., 564., 628.])", "array(['Peace'], dtype='<U5')", "array([ 5.5, 1. , 10. ])"),
        ("[ 86  58 564 628]", "['Peace']", "[ 5.5  1.  10. ]"),
        ("[[86, 58, 564, 628]]", "['Peace']", "[[5.5, 1, 10], [nan, 1, 10]]"),
    ],
)
def test_emotic_csv_made_with_numpy_loses_nothing(box, labels, affect, tmp_path):
    row = f'0,mscoco/images,a.jpg,"[640, 480]","{box}","{labels}","{affect}",Male,Adult'
    put(tmp_path / "raw", "annotations/train.csv", f"{CSV_HEADER}\n{row}\n")
    put(tmp_path / "raw", "emotic/mscoco/images/a.jpg")
    (only,) = Read(tmp_path / "raw", tmp_path / "out").rows
    assert (only["source_labels"], only["source_box"]) == (["Peace"], [86, 58, 564, 628])
    assert (only["valence"], only["arousal"], only["dominance"]) == (0, -1, 1)


@pytest.mark.parametrize(
    ("cell_text", "labels", "votes"),
    [
        ("['Happiness', 'Anger', 'Happiness', 'Happiness']", ["Happiness", "Anger"], [3, 1]),
        ("[['Happiness', 'Anger'], ['Happiness'], ['Anger', 'Happiness']]", ["Happiness", "Anger"], [3, 2]),
        ("['Happiness', 'Anger']", ["Happiness", "Anger"], None),
    ],
)
def test_emotic_csv_counts_how_many_annotators_said_what(cell_text, labels, votes, tmp_path):
    row = f'0,mscoco/images,a.jpg,"[640, 480]","[1, 2, 3, 4]","{cell_text}","[5, 5, 5]",Male,Adult'
    put(tmp_path / "raw", "annotations/val.csv", f"{CSV_HEADER}\n{row}\n")
    put(tmp_path / "raw", "emotic/mscoco/images/a.jpg")
    (only,) = Read(tmp_path / "raw", tmp_path / "out").rows
    assert (only["source_labels"], only["source_votes"]) == (labels, votes)


def test_emotic_csv_counts_the_cells_that_it_cannot_read(tmp_path):
    cells = [
        ('"[86, 58"', '"[5, 5, 5]"'), ("", '"[nan, nan, nan]"'), ('"[1, 2, 3, 4]"', '"five, five"'),
        ('"[3, 2, 1, 4]"', '"[5, 50, 5]"'), ('"[1, 2, 3, 4]"', '"[nan, 5, 5]"'),
    ]  # fmt: skip
    rows = [f"{n},mscoco/images,a.jpg,,{box},\"['Peace']\",{affect},Male,Kid" for n, (box, affect) in enumerate(cells)]
    put(tmp_path / "raw", "annotations/train.csv", "\n".join([CSV_HEADER, *rows]))
    put(tmp_path / "raw", "emotic/mscoco/images/a.jpg")
    found = Read(tmp_path / "raw", tmp_path / "out")
    assert found.summary["rows_out"] == 5
    at = "annotations/train.csv"
    assert [row["arousal"] for row in found.rows] == [None] * 5
    assert [note for note in found.summary["notes"] if "left empty" in note] == [
        f"arousal is left empty in all 3 rows: {at} row 5 has 50, beyond 1 to 10",
        f"{at} row 2: an unusable BBox (expected [x1, y1, x2, y2]) is left empty, as in 2 rows in all",
        f"{at} row 4: an unusable Continuous_Labels (expected valence, arousal and dominance of 1 to 10) "
        "is left empty, as in 1 rows in all",
    ]


def test_emotic_is_never_refused_as_numbered_labels(tmp_path):
    # Places on the circumplex that would be another order of the labels in any other dataset.
    places = {"Happiness": (2.8, 4.4), "Sadness": (8.4, 5.9), "Fear": (4.8, 8.9), "Anger": (3.5, 8.2)}
    rows = [
        f'{n},mscoco/images,{n}.jpg,,"[1, 2, 3, 4]","[\'{label}\']","[{valence}, {arousal}, 5]",Male,Adult'
        for n, (label, (valence, arousal)) in enumerate(list(places.items()) * 40)
    ]
    put(tmp_path / "raw", "annotations/train.csv", "\n".join([CSV_HEADER, *rows]))
    for n in range(len(rows)):
        put(tmp_path / "raw", f"emotic/mscoco/images/{n}.jpg")
    found = Read(tmp_path / "raw", tmp_path / "out")
    assert (found.summary["rows_out"], found.summary["fingerprint"]["verdict"]) == (160, "subset")
    affect = {common_name(row["source_labels"][0]): [] for row in found.rows}
    for row in found.rows:
        affect[common_name(row["source_labels"][0])].append((row["valence"], row["arousal"]))
    assert affect_order(affect) == "'happy' is sad, 'sad' is happy"


def emotic_row(name, labels="['Anger']", box="[86, 58, 564, 628]"):
    return f'0,mscoco/images,{name}.jpg,"[640, 640]","{box}","{labels}","[5.0, 3.0, 9.0]",Male,Adult'


@pytest.mark.parametrize("header", [True, False])
def test_emotic_csv_with_and_without_a_header(header, tmp_path):
    rows = [emotic_row("a"), emotic_row("b", "['Fear', 'Pain']")]
    put(tmp_path / "raw", "train.csv", "\n".join([*([CSV_HEADER] if header else []), *rows]) + "\n")
    for name in "ab":
        put(tmp_path / "raw", f"mscoco/images/{name}.jpg")
    found = Read(tmp_path / "raw", tmp_path / "out")
    assert found.summary["format"] == "emotic_csv"
    assert found.labels() == {"mscoco/images/a.jpg": "Anger", "mscoco/images/b.jpg": "Fear,Pain"}
    assert found.rows[0]["source_box"] == [86, 58, 564, 628]


def test_emotic_csv_reads_every_table_and_each_person_once(tmp_path):
    tables = {
        "train": [emotic_row("a"), emotic_row("a", "['Fear']")],  # two people with one box
        "val": [emotic_row("b")],
        "all": [emotic_row("a"), emotic_row("a", "['Fear']"), emotic_row("b", "['Pain']"), emotic_row("c")],
    }
    for name, rows in tables.items():
        put(tmp_path / "raw", f"{name}.csv", "\n".join([CSV_HEADER, *rows]) + "\n")
    for name in "abc":
        put(tmp_path / "raw", f"mscoco/images/{name}.jpg")
    found = Read(tmp_path / "raw", tmp_path / "out")
    assert found.labels() == {
        "mscoco/images/a.jpg": ["Anger", "Fear"], "mscoco/images/b.jpg": "Anger", "mscoco/images/c.jpg": "Anger",
    }  # fmt: skip
    assert [row["source_split"] for row in found.rows] == ["train", "train", "val", None]
    assert found.summary["rejected"] == {"conflicting_labels": 1, "duplicate_row": 2}
