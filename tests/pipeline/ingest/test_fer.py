"""FER2013 and FER+: pictures that are cells, votes joined by row."""

import pytest

from pipeline.core.errors import ImageError
from pipeline.ingest.registry import open_pictures
from tests.pipeline.ingest.layouts import (
    POINTS_68,
    WRITERS,
    Read,
    pixels,
    put,
    write_fer2013,
    write_ferplus,
)

FORMATS = sorted(WRITERS)
FLAT_68 = [value for point in POINTS_68 for value in point]


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_fer2013_picture_is_its_row(tmp_path, newline):
    write_fer2013(tmp_path / "raw", newline=newline)
    found = Read(tmp_path / "raw", tmp_path / "out")
    names = ["anger", "disgust", "fear", "happy", "sad", "surprise", "neutral"]
    assert [row["source_labels"] for row in found.rows] == [[name] for name in names]
    assert [row["sample_id"] for row in found.rows] == [f"d/fer2013.csv#{n}" for n in range(7)]
    assert [row["source_split"] for row in found.rows[4:]] == ["Training", "PublicTest", "PrivateTest"]
    pictures = open_pictures(str(tmp_path / "raw"), "fer2013")
    for n in (6, 0, 3):
        assert pictures.read("fer2013.csv", n) == b"P5\n48 48\n255\n" + bytes([n * 10]) * 2304
    assert found.summary["rejected"] == {"bad_row": 2}


def test_words_for_the_codes_of_fer2013(tmp_path):
    words = ("Happy", "angry", "Sadness", "boredom", "3")
    lines = [f"{word},{pixels(n)},Training" for n, word in enumerate(words)]
    put(tmp_path / "raw", "fer.csv", "\n".join(["emotion,pixels,Usage", *lines]))
    found = Read(tmp_path / "raw", tmp_path / "out")
    labels = [(row["sample_id"], row["source_labels"]) for row in found.rows]
    wanted = enumerate(["happy", "anger", "sad", None, "happy"])
    assert labels == [(f"d/fer.csv#{n}", [label]) for n, label in wanted if label]
    assert found.summary["rejected"] == {"bad_row": 1}


CK_COUNTS = {
    "anger": 45, "disgust": 59, "fear": 25, "happy": 69, "sad": 28, "surprise": 83, "neutral": 593, "contempt": 18,
}  # fmt: skip


def test_ckplus_in_the_columns_of_fer2013(read):
    found = read("ckplus_csv")
    assert [row["source_labels"][0] for row in found.rows] == list(CK_COUNTS)
    assert [row["source_split"] for row in found.rows[5:]] == ["Training", "PublicTest", "PrivateTest"]
    assert found.summary["rejected"] == {"bad_row": 1}


def write_pixels(root, name, codes):
    """Write a table of so many rows of each code, four of five for training."""
    rows = [code for code, count in enumerate(codes) for _ in range(count)]
    usages = ("Training",) * 8 + ("PublicTest", "PrivateTest")
    text = pixels(0)
    lines = [f"{code},{text},{usages[n % 10]}" for n, code in enumerate(rows)]
    put(root, name, "\n".join(["emotion,pixels,Usage", *lines]))


def test_ckplus_in_the_columns_of_fer2013_under_another_name(tmp_path):
    write_pixels(tmp_path / "raw", "faces.csv", CK_COUNTS.values())
    found = Read(tmp_path / "raw", tmp_path / "out")
    assert found.summary["format"] == "ckplus_csv"
    assert found.summary["fingerprint"] == {"verdict": "exact", "release": "CK+ as csv of pixels", "share": 1.0}
    assert sum(counts["contempt"] for counts in found.summary["counts"].values()) == 18


@pytest.mark.parametrize("codes", [(3, 1, 4, 1, 5, 9, 2, 1), (120, 120, 120, 120, 120, 120, 120)])
def test_fer2013_with_a_stray_code_or_of_that_size_stays_fer2013(codes, tmp_path):
    write_pixels(tmp_path / "raw", "fer2013.csv", codes)
    found = Read(tmp_path / "raw", tmp_path / "out", accept=True)
    assert found.summary["format"] == "fer2013"
    assert found.summary["rejected"] == ({"bad_row": 1} if len(codes) == 8 else {})


@pytest.mark.parametrize("code", ["²", "1_0", "٣", "3.5", "-1", "7"])
def test_fer2013_code_that_is_none_is_a_bad_row(code, tmp_path):
    put(tmp_path / "raw", "fer2013.csv", f"emotion,pixels,Usage\n3,{pixels(0)},Training\n{code},{pixels(0)},Training\n")
    found = Read(tmp_path / "raw", tmp_path / "out")
    assert (found.labels(), found.summary["rejected"]) == ({"fer2013.csv": "happy"}, {"bad_row": 1})


def test_fer2013_pixels_that_are_none_are_one_corrupt_picture_and_not_the_end(tmp_path):
    good = pixels(3)
    rows = [f"3,{good[:-1]}300,Training", f"3,{good[:-1]}x,Training", f"3,{good} ,Training", "3,1 2,Training"]
    rows += [f"3,{good.replace(' ', '  ')},Training", "3,,Training"]
    put(tmp_path / "raw", "fer2013.csv", "\n".join(["emotion,pixels,Usage", *rows]))
    found = Read(tmp_path / "raw", tmp_path / "out")
    assert [row["sample_id"][-2:] for row in found.rows] == ["#0", "#1", "#2", "#4"]
    pictures = open_pictures(str(tmp_path / "raw"), "fer2013")
    for n in (2, 4):
        assert pictures.read("fer2013.csv", n) == b"P5\n48 48\n255\n" + bytes([3]) * 2304
    for n in (0, 1):
        with pytest.raises(ImageError, match="expected 2304 numbers of 0 to 255") as caught:
            pictures.read("fer2013.csv", n)
        assert caught.value.status == "corrupt"


def test_fer2013_header_with_blanks_and_another_order_of_columns(tmp_path):
    rows = [f"{code}, Training, {pixels(code)}" for code in (0, 6)]
    put(tmp_path / "raw", "icml_face_data.csv", "\n".join(["emotion, Usage, pixels", *rows]) + "\n")
    put(tmp_path / "raw", "train.csv", f"emotion,pixels\n0,{pixels(0)}\n")  # the same pictures once more
    found = Read(tmp_path / "raw", tmp_path / "out")
    assert [(row["source_labels"], row["source_split"]) for row in found.rows] == [
        (["anger"], "Training"), (["neutral"], "Training"),
    ]  # fmt: skip
    picture = open_pictures(str(tmp_path / "raw"), "fer2013").read("icml_face_data.csv", 1)
    assert picture == b"P5\n48 48\n255\n" + bytes([6]) * 2304


def test_fer2013_rows_without_emotions_are_counted(tmp_path):
    put(tmp_path / "raw", "train.csv", f"emotion,pixels\n3,{pixels(3)}\n")
    put(tmp_path / "raw", "test.csv", f"pixels\n{pixels(1)}\n{pixels(2)}\n")
    found = Read(tmp_path / "raw", tmp_path / "out")
    assert found.labels() == {"train.csv": "happy"}
    assert found.summary["rejected"] == {"unlabelled": 2}


def test_fer2013_folder_keeps_the_originals_only(read):
    found = read("fer2013_folder")
    assert found.labels() == {
        "train/angry/Training_123.jpg": "anger", "train/happy/Training_7.jpg": "happy",
        "validation/neutral/PublicTest_9.jpg": "neutral", "test/sad/PrivateTest_1.jpg": "sad",
    }  # fmt: skip
    assert found.reasons() == [
        ("not_original", "test/sad/stranger.jpg"),
        ("not_original", "train/happy/Training_7.jpg5.jpg"),
    ]


def test_ferplus_joins_by_row_and_not_by_name(read):
    found = read("ferplus")
    assert [row["sample_id"] for row in found.rows] == [f"d/fer2013.csv#{n}" for n in range(3)]
    labels = found.rows[0]["source_labels"]
    assert dict(zip(labels, found.rows[0]["source_votes"], strict=True))["anger"] == 3
    assert len(labels) == 10
    assert found.rows[1]["source_votes"] == [0] * 9 + [10]
    assert found.summary["counts"]["Training"] == {"NF": 1, "neutral": 1}
    assert found.summary["rejected"] == {"bad_row": 1}


def test_ferplus_tables_of_another_length_or_order_are_refused(tmp_path):
    from pipeline.core.errors import SourceError

    write_ferplus(tmp_path / "raw")
    votes = tmp_path / "raw" / "fer2013new.csv"
    rows = votes.read_bytes().split(b"\r\n")
    votes.write_bytes(b"\r\n".join(rows[:-1]))
    with pytest.raises(SourceError, match=r"fer2013.csv row 5 has no partner"):
        Read(tmp_path / "raw", tmp_path / "out")
    votes.write_bytes(b"\r\n".join([rows[0], rows[1], rows[3], rows[2], rows[4]]))
    with pytest.raises(SourceError, match="not in the same order"):
        Read(tmp_path / "raw", tmp_path / "out")


def test_ferplus_pictures_as_files(tmp_path):
    write_ferplus(tmp_path / "raw")
    (tmp_path / "raw" / "fer2013.csv").unlink()
    for name in ("FER2013Train/fer0000000.png", "FER2013Valid/fer0000002.png", "FER2013Test/fer0000003.png"):
        (tmp_path / "raw" / name).parent.mkdir()
        (tmp_path / "raw" / name).write_text(name)
    found = Read(tmp_path / "raw", tmp_path / "out")
    assert sorted(found.labels()) == ["FER2013Train/fer0000000.png", "FER2013Valid/fer0000002.png"]
    assert found.summary["rejected"] == {"bad_row": 1, "missing_file": 1}


def test_ferplus_lists_of_the_authors_script_need_no_table(tmp_path):
    for folder, rows in {
        "FER2013Train": ['fer0000000.png,"(0, 0, 48, 48)",4,0,0,1,3,2,0,0,0,0', "fer0000009.png,0,0,0,0,0,0,0,0,9,1"],
        "FER2013Test": ['gone.png,"(0, 0, 48, 48)",0,10,0,0,0,0,0,0,0,0'],
    }.items():
        put(tmp_path / "raw", f"data/{folder}/label.csv", "\r\n".join(rows) + "\r\n")
    put(tmp_path / "raw", "data/FER2013Train/fer0000000.png")
    put(tmp_path / "raw", "data/FER2013Train/fer0000009.png")
    found = Read(tmp_path / "raw", tmp_path / "out")
    assert found.summary["format"] == "ferplus"
    assert [row["source_votes"] for row in found.rows] == [[4, 0, 0, 1, 3, 2, 0, 0, 0, 0], [0] * 8 + [9, 1]]
    assert {row["source_split"] for row in found.rows} == {"Training"}
    assert found.summary["rejected"] == {"missing_file": 1}


@pytest.mark.parametrize(
    ("votes", "pictures"), [("FER2013new.csv", "fer2013.csv"), ("fer2013new.csv", "data/fer2013.csv")]
)
def test_ferplus_is_not_taken_for_fer2013(votes, pictures, tmp_path):
    write_ferplus(tmp_path / "raw")
    (tmp_path / "raw/data").mkdir()
    for old, new in (("fer2013new.csv", votes), ("fer2013.csv", pictures)):
        (tmp_path / "raw" / old).rename(tmp_path / "raw" / new)
    found = Read(tmp_path / "raw", tmp_path / "out")
    assert (found.summary["format"], found.summary["rows_out"]) == ("ferplus", 3)
    assert {row["source_path"] for row in found.rows} == {pictures}
