"""What `prep formats` says that a dataset gives is what its reader yields."""

import re

import pytest

from pipeline.core.catalog import CATALOG
from tests.pipeline.ingest.layouts import WRITERS, Read, put

COLUMNS = {
    "box": "source_box", "points": "source_landmarks", "split": "source_split", "subject": "subject_id",
    "sequence": "sequence_id", "votes": "source_votes",
    **{name: name for name in ("valence", "arousal", "dominance", "gender", "age", "race")},
}  # fmt: skip


def said(fmt):
    gives = CATALOG[fmt].gives
    words = {word.replace("boxes", "box") for word in re.findall("[a-z]+", gives)} & COLUMNS.keys()
    return words | said("csv") if "what a csv may have" in gives else words


def yielded(rows):
    return {word for word, column in COLUMNS.items() if any(row[column] is not None for row in rows)}


@pytest.mark.parametrize("fmt", sorted(WRITERS))
def test_reader_yields_what_the_catalog_says(fmt, read):
    found = yielded(read(fmt).rows)
    assert found <= said(fmt)
    # Of people, each small tree has all that its dataset says; columns of a csv are as somebody names them.
    if fmt not in {"csv", "class_columns", "hub", "path_list", "rafdb_compound"}:
        assert said(fmt) & {"gender", "age", "race"} <= found


def test_csv_yields_what_the_catalog_says(tmp_path):
    header = "image,label,x0,y0,x1,y1,subject,sequence,split,valence,arousal,dominance,gender,age,race"
    put(tmp_path / "raw", "l.csv", f"{header}\na.jpg,happy,1,2,30,40,p,q,test,0.5,0.5,0.5,female,31,Asian\n")
    put(tmp_path / "raw", "a.jpg")
    assert yielded(Read(tmp_path / "raw", tmp_path / "out").rows) == said("csv")
