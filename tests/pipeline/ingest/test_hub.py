"""Parquet of the Hub and Arrow files: pictures by row, names of classes, hostile and damaged files.

The oracle of the two containers is `datasets`, which writes them on the Hub.
"""

import io
import json
import random

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.core.errors import ImageError, SourceError
from pipeline.ingest.parsing.picture_table import open_table
from pipeline.ingest.registry import open_pictures, open_tree
from tests.pipeline.ingest.layouts import NAMES, Read, parquet, picture, pixels, put, table, write_hub
from tests.pipeline.ingest.test_archives import pack

CARD = """---
dataset_info:
  features:
  - name: image
    dtype: image
  - name: label
    dtype:
      class_label:
        names:
          '2': happy
          '0': surprise
          '3': sad
          '1': fear
---
"""


def four(names=NAMES, **more):
    return table({"image": [picture(str(n)) for n in range(4)], "label": [0, 1, 2, 3], **more}, names)


def labels(found):
    return [",".join(row["source_labels"]) for row in found.rows]


def test_it_reads_what_datasets_writes(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets = pytest.importorskip("datasets")
    datasets.disable_progress_bars()
    kinds = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=list(NAMES))})
    pixels = [np.full((4, 5, 3), 9 * n, np.uint8) for n in range(23)]
    written = datasets.Dataset.from_dict({"image": pixels, "label": [n % 4 for n in range(23)]}, features=kinds)
    (tmp_path / "hub/data").mkdir(parents=True)
    written.to_parquet(tmp_path / "hub/data/train-00000-of-00001.parquet", batch_size=5)
    datasets.DatasetDict({"train": written}).save_to_disk(tmp_path / "disk")
    for kind in ("hub", "disk"):
        found = Read(tmp_path / kind, tmp_path / f"out-{kind}")
        assert {row["source_split"] for row in found.rows} == {"train"}
        pictures = open_pictures(str(tmp_path / kind), "hub")
        for row in found.rows:
            n = row["face_number"]
            assert row["source_labels"] == [NAMES[n % 4]]
            content = pictures.read(row["source_path"], n)
            assert np.array_equal(
                np.asarray(datasets.Image().decode_example({"bytes": content, "path": None})), pixels[n]
            )


@pytest.mark.parametrize("suffix", [".zip", ".tar", ".tar.gz"])
def test_archive_reads_like_its_folder(suffix, tmp_path):
    write_hub(tmp_path / "raw")
    folder = Read(tmp_path / "raw", tmp_path / "out")
    packed = pack(tmp_path / "raw", tmp_path / f"packed{suffix}")
    archive = Read(packed, tmp_path / "out2")
    assert (archive.rows, archive.reasons()) == (folder.rows, folder.reasons())
    plain, pictures = (open_pictures(str(src), "hub") for src in (tmp_path / "raw", packed))
    for row in folder.rows:
        face = row["source_path"], row["face_number"]
        assert pictures.read(*face) == plain.read(*face)


def test_any_picture_in_any_order_and_each_row_group_unpacked_once(tmp_path):
    contents = [random.Random(n).randbytes(n % 7 * 1000) for n in range(100)]
    found = pa.table({"image": contents, "label": ["happy"] * 100})
    put(tmp_path, "t.parquet", parquet(found, rows=13))
    opened = open_table(open_tree(str(tmp_path)), "t.parquet")
    unpacked = []
    spool = opened._spool
    opened._spool = lambda group: unpacked.append(group) or spool(group)
    order = sorted(range(100), key=str) * 2  # as samples are sorted
    for n in order:
        if contents[n]:
            assert opened.read(n) == contents[n]
        else:
            with pytest.raises(ImageError):
                opened.read(n)
    assert sorted(unpacked) == list(range(8))
    with pytest.raises(SourceError, match="no row 100"):
        opened.read(100)


@pytest.mark.parametrize("where", ["schema", "card", "dataset_info.json", "dataset_infos.json"])
def test_names_of_classes_from_wherever_the_hub_keeps_them(where, tmp_path):
    put(tmp_path / "raw", "data/train.parquet", parquet(four(NAMES if where == "schema" else None)))
    features = {"label": {"names": list(NAMES), "_type": "ClassLabel"}}
    if where == "card":
        put(tmp_path / "raw", "README.md", CARD)
    elif where != "schema":
        said = {"features": features}
        put(tmp_path / "raw", where, json.dumps(said if where == "dataset_info.json" else {"default": said}))
    assert labels(Read(tmp_path / "raw", tmp_path / "out")) == list(NAMES)


def test_card_and_schema_that_contradict_each_other_are_refused(tmp_path):
    put(tmp_path / "raw", "data/train.parquet", parquet(four(NAMES[::-1])))
    put(tmp_path / "raw", "README.md", CARD)
    with pytest.raises(SourceError, match=r"its schema names .* sad, happy, fear, surprise, and README.md .*wrong one"):
        Read(tmp_path / "raw", tmp_path / "out")


def test_card_that_is_a_bomb_is_refused(tmp_path):
    put(tmp_path / "raw", "data/train.parquet", parquet(four(None)))
    levels = [f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]" for n in range(1, 10)]
    put(tmp_path / "raw", "README.md", "\n".join(["---", "l0: &l0 [x]", *levels, "---", ""]))
    with pytest.raises(SourceError, match="aliases"):
        Read(tmp_path / "raw", tmp_path / "out", fmt="hub")


@pytest.mark.parametrize("names", [None, ("0", "1", "2", "3")], ids=["without names", "numbers for names"])
def test_codes_without_names_are_asked_for_and_read_as_told(names, tmp_path):
    put(tmp_path / "raw", "train.parquet", parquet(four(names)))
    with pytest.raises(SourceError, match=r'codes, 0 to 3; which class is 0\?.*classes: \{"0": …, "1": …, "2": …, "3"'):
        Read(tmp_path / "raw", tmp_path / "out")
    classes = dict(zip("0123", NAMES, strict=True))
    assert labels(Read(tmp_path / "raw", tmp_path / "out2", classes=classes)) == list(NAMES)


def test_code_beyond_the_names_refuses_the_table(tmp_path):
    put(tmp_path / "raw", "train.parquet", parquet(four(NAMES[:3])))
    with pytest.raises(SourceError, match=r"train.parquet: row 3: label is 3, but it names the classes 0 to 2"):
        Read(tmp_path / "raw", tmp_path / "out")


def test_label_is_the_column_whose_classes_are_emotions(tmp_path):
    features = {
        "gender": {"names": ["male", "female"]}, "expr": {"names": ["anger", "sad"]}, "label": {"names": ["x", "y"]}
    }  # fmt: skip
    found = table({"image": [picture("a"), picture("b")], "gender": [0, 1], "expr": [1, 0], "label": [0, 0]}, None)
    said = json.dumps({"info": {"features": features}})
    put(tmp_path / "raw", "train.parquet", parquet(found.replace_schema_metadata({"huggingface": said})))
    assert labels(Read(tmp_path / "raw", tmp_path / "out")) == ["sad", "anger"]


def test_two_configurations_are_refused(tmp_path):
    for config in ("aligned", "original"):
        put(tmp_path / "raw", f"{config}/train-00000-of-00001.parquet", parquet(four()))
    with pytest.raises(SourceError, match="two configurations"):
        Read(tmp_path / "raw", tmp_path / "out")


def test_several_columns_of_pictures_without_a_usual_name_are_refused(tmp_path):
    found = pa.table({"left": [b"a"], "right": [b"b"], "label": ["happy"]})
    put(tmp_path / "raw", "train.parquet", parquet(found))
    with pytest.raises(SourceError, match="several columns of pictures: left, right"):
        Read(tmp_path / "raw", tmp_path / "out", fmt="hub")


def test_paths_alone_that_lead_out_are_rejected(tmp_path):
    given = ["../../etc/passwd", "C:\\Users\\a\\x.jpg", "/content/in/b.jpg", "in/b.jpg", "nobody.jpg"]
    put(tmp_path / "raw", "train.parquet", parquet(pa.table({"image": given, "label": ["happy"] * 5})))
    put(tmp_path / "raw", "in/b.jpg")
    found = Read(tmp_path / "raw", tmp_path / "out")
    assert found.labels() == {"in/b.jpg": "happy"}
    assert [reason for reason, _ in found.reasons()] == ["duplicate_row", "missing_file", *["outside_root"] * 2]


def damaged(content, seed):
    """Return a file with a few bytes changed somewhere."""
    chance, found = random.Random(seed), bytearray(content)
    for _ in range(4):
        found[chance.randrange(len(found))] ^= chance.randrange(1, 256)
    return bytes(found)


def arrow(found):
    stream = io.BytesIO()
    with pa.ipc.new_stream(stream, found.schema) as writer:
        writer.write_table(found, max_chunksize=7)
    return stream.getvalue()


@pytest.mark.parametrize("suffix", ["parquet", "arrow"])
def test_damaged_tables_are_refused_in_words_and_never_crash(suffix, tmp_path):
    contents = [picture(f"{n} " * 40) for n in range(30)]
    found = table({"image": contents, "label": [n % 4 for n in range(30)]})
    whole = parquet(found, rows=9) if suffix == "parquet" else arrow(found)
    for seed in range(60):
        put(tmp_path / str(seed), f"t.{suffix}", damaged(whole, seed) if seed else whole[: len(whole) // 2])
        try:
            opened = open_table(open_tree(str(tmp_path / str(seed))), f"t.{suffix}")
            assert all(isinstance(record.row, str) for record in opened.records())
            if opened.picture is not None:
                list(opened.pictures())
        except SourceError as error:
            assert f"t.{suffix}" in str(error)  # noqa: PT017 - most damage is found, some is in a picture
            continue
        for n in range(len(opened) if opened.picture is not None else 0):
            try:
                opened.read(n)
            except ImageError as error:
                assert "no picture can be read" in str(error.detail)  # noqa: PT017 - as above


@pytest.mark.parametrize("suffix", ["parquet", "arrow"])
def test_pixels_as_text_are_pictures(suffix, tmp_path):
    given = [pixels(7), pixels(8), "1 2 3", None]
    found = table({"pixels": given, "emotion": [0, 1, 2, 3]}, NAMES, label="emotion")
    put(tmp_path / "raw", f"train.{suffix}", parquet(found) if suffix == "parquet" else arrow(found))
    read = Read(tmp_path / "raw", tmp_path / "out")
    assert labels(read) == list(NAMES[:3])
    pictures = open_pictures(str(tmp_path / "raw"), "hub")
    assert pictures.read(f"train.{suffix}", 1) == b"P5\n48 48\n255\n" + bytes([8]) * 2304
    with pytest.raises(ImageError, match="no picture"):
        pictures.read(f"train.{suffix}", 2)


def test_table_that_unpacks_to_far_more_is_refused(tmp_path):
    bomb = pa.table({"image": pa.array([b"\0" * (1 << 20)] * 40), "label": ["happy"] * 40})
    stream = io.BytesIO()
    pq.write_table(bomb, stream, compression="zstd", use_dictionary=False)
    put(tmp_path / "raw", "t.parquet", stream.getvalue())
    with pytest.raises(SourceError, match="more than 200 times"):
        open_pictures(str(tmp_path / "raw"), "hub").read("t.parquet", 39)
