"""What params.yaml says of a dataset: kept whole in the snapshot, codes however they are written, and what to type."""

import json

import pytest

from pipeline.core.errors import ParamsError
from pipeline.core.params import IngestParams
from pipeline.ingest.dataset_options import DatasetOptions, classes_line, code_key, code_of
from tests.pipeline.ingest.layouts import PARAMS, Read, put

OPTIONS = DatasetOptions(
    columns={"path": "p", "label": "q"},
    scales={"valence": (0.0, 1.0), "arousal": (1.0, 9.0)},
    classes={"1": "anger", "2.0": "happy", " Joie ": "happy"},
)
PLAIN = {
    "columns": {"path": "p", "label": "q"},
    "scales": {"valence": [0.0, 1.0], "arousal": [1.0, 9.0]},
    "classes": {"1": "anger", "2.0": "happy", " Joie ": "happy"},
}


def test_all_of_it_is_kept():
    assert OPTIONS.plain() == PLAIN
    assert DatasetOptions().plain() == {"columns": {}, "scales": {}, "classes": {}}
    assert DatasetOptions(align={"margin": 0.2}).plain()["align"] == {"margin": 0.2}


def test_the_snapshot_of_an_ingest_has_every_choice(tmp_path):
    put(tmp_path / "raw", "l.csv", "p,q,v\na.jpg,1,0.25\nb.jpg,2,0.75\n")
    for name in "ab":
        put(tmp_path / "raw", f"{name}.jpg")
    columns, classes = {"path": "p", "label": "q", "valence": "v"}, {"1": "anger", "2": "happy"}
    found = Read(
        tmp_path / "raw", tmp_path / "out", fmt="csv", columns=columns, scales={"valence": (0.0, 1.0)}, classes=classes
    )
    assert [row["valence"] for row in found.rows] == [-0.5, 0.5]
    kept = json.loads((tmp_path / "out/snapshot.json").read_text())["params"]
    own = {"columns": columns, "scales": {"valence": [0.0, 1.0]}, "classes": classes, "format": "csv", "dataset": "d"}
    assert kept == {**IngestParams(**PARAMS).plain(), **own}


def test_codes_have_the_meanings_that_are_told_in_the_datasets_own_words():
    assert OPTIONS.meanings() == {"1": "anger", "2": "happy", "joie": "happy"}
    assert OPTIONS.native(("AN", "Happiness", "anger")) == {"1": "anger", "2": "Happiness", "joie": "Happiness"}
    assert DatasetOptions().native(("anger",)) == {}
    with pytest.raises(ParamsError, match=r"classes.1: write its class in place of …"):
        DatasetOptions(classes={"0": "happy", "1": "…"}).meanings()
    with pytest.raises(ParamsError) as caught:
        OPTIONS.native(("Anger", "Sad"))
    assert str(caught.value) == "params.yaml: classes.2.0: expected Anger, Sad, not 'happy'"


@pytest.mark.parametrize(
    ("text", "code", "key"),
    [
        ("3", 3, "3"), ("3.0", 3, "3"), (" 3 ", 3, "3"), ("03", 3, "3"), ("-1", -1, "-1"), ("3.000e0", 3, "3"),
        ("3.5", None, "3.5"), ("", None, ""), (" Joy ", None, "joy"), ("nan", None, "nan"), ("1_0", None, "1_0"),
        ("²", None, "²"), ("inf", None, "inf"), ("0", 0, "0"), ("-0.0", 0, "0"),
    ],
)  # fmt: skip
def test_code_is_a_whole_number_however_it_is_written(text, code, key):
    assert (code_of(text), code_key(text)) == (code, key)


@pytest.mark.parametrize(
    ("codes", "labels", "line"),
    [
        (["1", "2"], (), 'classes: {"1": …, "2": …}'),
        (["1", "2"], ("anger", "happy"), 'classes: {"1": anger, "2": happy}'),
        (["0", "1", "2"], ("anger",), 'classes: {"0": anger, "1": …, "2": …}'),
        (["7"], ("anger", "happy"), 'classes: {"7": anger}'),
        ([], (), "classes: {}"),
    ],
)
def test_line_to_type_has_the_labels_that_are_known(codes, labels, line):
    assert classes_line(codes, labels) == line
