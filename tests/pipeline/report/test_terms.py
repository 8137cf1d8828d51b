"""Who may be shown: CK+ lists the people who agreed to it, by drawn faces under its names."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from pipeline.core.catalog import CATALOG, may_show, terms_in, terms_of
from pipeline.core.errors import ParamsError
from pipeline.core.lineage.snapshot import read_snapshot
from pipeline.core.params import ReportParams, read_params
from pipeline.core.schema import REJECTS, shown_in
from pipeline.images import encode_face
from pipeline.ingest.dataset_options import DatasetOptions
from pipeline.ingest.stage import run as ingest
from pipeline.labels.stage import run as harmonize
from pipeline.report.faces import Dataset, Known, build_faces, read_crops
from pipeline.report.rejects import build_rejects
from pipeline.shards.croissant import build_croissant
from pipeline.shards.manifest import merged_contract
from stages.ingest import ingest_choices
from tests.shard_inputs import write_selected

ROOT = Path(__file__).parents[3]
EVERY = ReportParams(faces_per_class=99, faces_per_cell=99, rejects_per_reason=99)
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
        "detector": ["mtcnn"] * len(ids),
        "image": [drawn(number) for number in range(len(ids))],
    }
    pq.write_table(pa.table(faces), folder / "faces" / "part-00000.parquet")
    labels = {"sample_id": ids, "label": pa.array([0] * len(ids), pa.int8())}
    pq.write_table(pa.table(labels), folder / "labels" / "labels.parquet")
    selected = write_selected(folder / "selected", ids)
    return {"equalize": folder / "faces", "select": selected, "harmonize": folder / "labels"}


def shown(folder, people, fmt, **of):
    """Return the people whose faces the page would show."""
    dataset = Dataset("ck", write_faces(folder, people), fmt)
    faces = build_faces(dataset, read_crops(dataset), Known(**of), EVERY)
    return [name.split("/")[1] for name in faces["sample_id"].to_pylist()]


@pytest.mark.parametrize(("fmt", "expected"), [("ckplus", AGREED), ("ck48", AGREED), ("csv", PEOPLE)])
def test_the_page_shows_only_who_agreed(tmp_path, fmt, expected):
    assert set(shown(tmp_path, PEOPLE, fmt)) == {person or "unknown" for person in expected}


def test_no_answer_and_no_doubt_shows_who_did_not_agree(tmp_path):
    ids = [f"ck/{person or 'unknown'}/{number}.png#0" for number, person in enumerate(PEOPLE)]
    sure = pa.array([0.9] * len(ids), pa.float32())
    answers = pa.table({"sample_id": ids, "predicted": pa.array([1] * len(ids), pa.int8()), "confidence": sure})
    doubts = pa.table({"sample_id": ids, "doubt": sure, "reason": ["label"] * len(ids), "suggested": [2] * len(ids)})
    assert set(shown(tmp_path, PEOPLE, "ckplus", answers=answers, doubts=doubts)) == set(AGREED)


def test_where_nobody_agreed_nobody_is_shown(tmp_path):
    assert shown(tmp_path, ["S005", "S010"], "ckplus") == []


@pytest.mark.parametrize(
    ("fmt", "reason", "expected"),
    [
        ("ckplus", "blurred", ["S052"]),
        ("csv", "blurred", ["S005", "S052", "unknown"]),
        ("csv", "withdrawn", []),
    ],
)
def test_of_rows_left_out_too_only_who_agreed_and_did_not_withdraw(tmp_path, fmt, reason, expected):
    """A crop exists of each, and all of them were left out."""
    folders = write_faces(tmp_path, ["S005", "S052", None])
    rows = pq.read_table(folders["equalize"] / "part-00000.parquet")
    samples = rows.select(["sample_id", "subject_id"])
    (tmp_path / "samples").mkdir()
    pq.write_table(samples, tmp_path / "samples" / "samples.parquet")
    ids = rows["sample_id"].to_pylist()
    write_selected(tmp_path / "selected", [], dict.fromkeys(ids, reason))
    reject = pq.read_table(tmp_path / "selected" / "rejects.parquet").to_pylist()
    table = pa.Table.from_pylist([row | {"dataset": "ck"} for row in reject], REJECTS)
    pq.write_table(table, tmp_path / "selected" / "rejects.parquet")
    dataset = Dataset("ck", folders | {"ingest": tmp_path / "samples"}, fmt)
    left = build_rejects(dataset, None, fmt, read_crops(dataset), 9)
    assert len(left) == 3
    assert [row.facts["sample_id"].split("/")[1] for row in left if row.tile is not None] == expected


def test_a_picture_in_which_somebody_withdrew_is_not_shown_for_another_face_in_it(tmp_path):
    """A crop shows one person, and a picture everybody in it."""
    raw = tmp_path / "raw"
    left = {"a.png#0": "withdrawn", "a.png#1": "no_face", "b.png#0": "no_face"}
    for name in ("happy/a.png", "happy/b.png", "sad/c.png"):
        (raw / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((40, 40), 128, np.uint8)).save(raw / name)
    rows = {f"mine/happy/{name}": reason for name, reason in left.items()} | {"mine/happy/a.png#2": "blurred"}
    parts = [
        {"sample_id": name, "dataset": "mine", "source_path": name[5:].partition("#")[0], "stage": "align"}
        | {"reason": reason, "detail": None}
        for name, reason in rows.items()
    ]
    folders = write_faces(tmp_path, ["S005"])
    crops = pq.read_table(folders["equalize"] / "part-00000.parquet")
    crops = crops.set_column(0, "sample_id", pa.array(["mine/happy/a.png#2"]))
    pq.write_table(crops, folders["equalize"] / "part-00000.parquet")
    for folder in ("aligned", "samples"):
        (tmp_path / folder).mkdir()
    pq.write_table(pa.Table.from_pylist(parts, REJECTS), tmp_path / "aligned/rejects.parquet")
    ids = pa.table({"sample_id": list(rows), "subject_id": pa.nulls(len(rows), pa.string())})
    pq.write_table(ids, tmp_path / "samples/samples.parquet")
    dataset = Dataset("mine", folders | {"ingest": tmp_path / "samples", "align": tmp_path / "aligned"}, "csv")
    tiles = {
        row.facts["sample_id"]: row.tile for row in build_rejects(dataset, str(raw), "folder", read_crops(dataset), 9)
    }
    assert {name for name, tile in tiles.items() if tile} == {"mine/happy/a.png#2", "mine/happy/b.png#0"}


@pytest.mark.parametrize("name", ["d/fer2013.csv#7", "d/data/train.PARQUET#7", "d/train.arrow#7"])
def test_of_a_table_each_row_is_a_picture(name):
    assert shown_in(name) == name
    assert shown_in("d/a#b/c.jpg#7") == "d/a#b/c.jpg"


@pytest.mark.parametrize(
    ("dataset", "release"),
    [
        ("ckplus", "ckplus"),
        ("CKPlus", "ckplus"),
        ("ck", "ckplus"),
        ("my_ck-mirror", "ckplus"),
        ("kaggle-ckplus2", "ckplus"),
        ("cohn-kanade", "ckplus"),
        ("ck48", "ck48"),
        ("CK_48_kaggle", "ck48"),
        ("ckextended", "ckplus_csv"),
        ("raf-db", "rafdb"),
        ("rafd", "rafd"),
        ("fer2013-small", "fer2013"),
        ("trackers", None),
        ("checked", None),
        ("own", None),
    ],
)
@pytest.mark.parametrize("layout", ["csv", "folder"])
def test_a_mirror_stands_under_the_terms_of_what_it_is_named_after(dataset, release, layout):
    assert terms_of(dataset, layout) == (release or layout)
    assert terms_of(dataset, "jaffe") == "jaffe"
    assert terms_of(dataset, layout, "folder") == "folder"
    assert terms_of(dataset, layout, "kdef") == "kdef"


@pytest.mark.parametrize(("dataset", "told"), [("ckplus", None), ("people", "ckplus"), ("ckplus", "csv")])
def test_the_terms_of_a_mirror_travel_to_its_shards(tmp_path, dataset, told):
    (tmp_path / "raw/happy").mkdir(parents=True)
    Image.fromarray(np.full((64, 64), 9, np.uint8)).save(tmp_path / "raw/happy/1.png")
    params = read_params(ROOT / "params.yaml")
    given = {"dataset": dataset, "fmt": "folder", "params": params.ingest, "options": DatasetOptions(terms=told)}
    summary = ingest(str(tmp_path / "raw"), tmp_path / "samples", **given)
    harmonize(tmp_path / "samples", tmp_path / "labels", params.harmonize)
    expected = told or "ckplus"
    assert summary["terms"] == expected
    assert read_snapshot(tmp_path / "labels").contract["terms"] == expected
    contract = merged_contract({dataset: tmp_path / "labels"}, {dataset: tmp_path / "labels"})
    assert terms_in(contract) == {dataset: expected}
    index = pa.table({"dataset": [dataset], "split": ["test"], "label": [4], "sample_id": ["x"], "shard": ["y"]})
    contract["align"] = {"size_px": 64}
    nothing = {name: pa.array([None], pa.string()) for name in ("reason", "gender", "age", "race")}
    found = build_croissant(index, pa.table(nothing).slice(1), pa.table(nothing), "id", contract)
    assert found["license"] == [f"{CATALOG[expected].dataset}: {CATALOG[expected].terms}"]


def test_terms_that_there_are_not_are_refused(tmp_path, monkeypatch):
    text = (ROOT / "params.yaml").read_text()
    (tmp_path / "params.yaml").write_text(
        text.replace("format: ckplus, role: test}", "format: csv, role: test, terms: ck}")
    )
    (tmp_path / "raw/demo/ckplus").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ParamsError, match=r"datasets\.demo-ckplus\.terms: expected affectnet, .*ckplus, .*, not 'ck'"):
        ingest_choices(read_params(tmp_path / "params.yaml"), "raw/demo/ckplus")
