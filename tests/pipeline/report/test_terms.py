"""Who may be shown: CK+ lists the people who agreed to it, by drawn faces under its names."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from pipeline.catalog import CATALOG, may_show
from pipeline.images import encode_face
from pipeline.report import contact
from pipeline.report.contact import build_contact_sheets

# Written out anew from the agreement.
AGREED = ["S052", "S055", "S074", "S106", "S111", "S113", "S121", "S124", "S125", "S130", "S132"]
PEOPLE = [*AGREED, "S005", "S010", "S050", "S053", "S520", "S137", None]


@pytest.mark.parametrize("fmt", [name for name in CATALOG if name.startswith("ck")])
def test_of_ckplus_only_those_who_agreed(fmt):
    assert [person for person in PEOPLE if may_show(fmt, person)] == AGREED
    assert may_show(fmt, "S52")
    assert may_show(fmt, "s52")
    assert not may_show(fmt, "52a")
    assert "S52, S55, S74, S106" in CATALOG[fmt].terms
    assert "©Jeffrey Cohn" in CATALOG[fmt].terms


@pytest.mark.parametrize("fmt", ["jaffe", "csv", "affectnet", "of_my_own"])
def test_where_the_terms_name_nobody_everybody(fmt):
    assert all(may_show(fmt, person) for person in PEOPLE)


def drawn(number):
    """A face as a child draws one, grey by its number."""
    face = np.full((64, 64), 20 + 10 * number, np.uint8)
    face[20:26, 16:24] = face[20:26, 40:48] = face[44:48, 20:44] = 255
    return encode_face(face)


def write_faces(folder, people):
    (folder / "faces").mkdir()
    (folder / "labels").mkdir()
    ids = [f"ck/{person or 'unknown'}/{number}.png#0" for number, person in enumerate(people)]
    faces = {
        "sample_id": ids,
        "subject_id": pa.array(people, pa.string()),
        "face_score": pa.array(np.linspace(0.5, 1, len(ids)), pa.float32()),
        "image": [drawn(number) for number in range(len(ids))],
    }
    pq.write_table(pa.table(faces), folder / "faces" / "part-00000.parquet")
    labels = {"sample_id": ids, "label": pa.array([0] * len(ids), pa.int8())}
    pq.write_table(pa.table(labels), folder / "labels" / "labels.parquet")
    return folder / "faces", folder / "labels"


@pytest.mark.parametrize(("fmt", "expected"), [("ckplus", AGREED), ("ck48", AGREED), ("csv", PEOPLE)])
def test_contact_sheets_show_only_who_agreed(tmp_path, monkeypatch, fmt, expected):
    seen = {}

    def note(tiles, *, title, **_):
        seen[title] = {tile.lines[1].split("/")[1] for tile in tiles}
        return np.zeros((2, 2, 3), np.uint8)

    monkeypatch.setattr(contact, "build_sheet", note)
    assert set(build_contact_sheets(*write_faces(tmp_path, PEOPLE), 48, fmt)) == {"typical", "doubtful"}
    names = {person or "unknown" for person in expected}
    assert all(people == names for people in seen.values())
    assert all(("©Jeffrey Cohn" in title) == fmt.startswith("ck") for title in seen)


def test_where_nobody_agreed_there_is_no_sheet(tmp_path):
    assert build_contact_sheets(*write_faces(tmp_path, ["S005", "S010"]), 48, "ckplus") == {}


def test_the_sheet_is_a_picture_of_them(tmp_path):
    sheets = build_contact_sheets(*write_faces(tmp_path, PEOPLE), 48, "ckplus")
    for pixels in sheets.values():
        Image.fromarray(pixels)
        assert pixels.shape[1] > 11 * 112
