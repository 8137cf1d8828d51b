"""Columns that are judged as wholes: codes, cells, scales, labels and paths. What is right was written by hand."""

import hashlib

import pytest

from pipeline.core.errors import ParamsError, SourceError
from tests.pipeline.ingest.layouts import (
    AFFECTNET_HEADER,
    Read,
    affectnet_row,
    npy,
    pixels,
    put,
)

RAF = ("surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral")
WORDS = ("anger", "contempt", "disgust", "fear", "happy", "neutral", "sad", "surprise")


def write_raf_folders(root, codes):
    for code in codes:
        for split, digits in (("train", 5), ("test", 4)):
            put(root, f"{split}/{code}/{split}_{code + 1:0{digits}d}_aligned.jpg")


def write_raf_list(root, codes, between=" ", after=""):
    lines = [f"train_{n:05d}.jpg{between}{code}{after}" for n, code in enumerate(codes)]
    put(root, "EmoLabel/list_patition_label.txt", "\n".join(lines))
    for n in range(len(codes)):
        put(root, f"Image/aligned/train_{n:05d}_aligned.jpg")


def write_fer(root, codes):
    rows = [f"{code},{pixels(n)},Training" for n, code in enumerate(codes)]
    put(root, "fer2013.csv", "\n".join(["emotion,pixels,Usage", *rows]))


def write_expw(root, codes):
    put(root, "label/label.lst", "\n".join(f"a{n}.jpg 0 1 2 30 40 60.5 {code}" for n, code in enumerate(codes)))
    for n in range(len(codes)):
        put(root, f"Images/a{n}.jpg")


def write_npy(root, codes):
    for n, code in enumerate(codes):
        put(root, f"train_set/images/{n}.jpg")
        put(root, f"train_set/annotations/{n}_exp.npy", npy(str(code)))


def write_affectnet(root, codes):
    rows = [affectnet_row(f"1/{n}.jpg", code) for n, code in enumerate(codes)]
    put(root, "Manually_Annotated_file_lists/training.csv", "\n".join([AFFECTNET_HEADER, *rows]))
    for n in range(len(codes)):
        put(root, f"Manually_Annotated_Images/1/{n}.jpg")


def write_ckplus(root, codes):
    for n, code in enumerate(codes):
        at = f"S{n:03d}/001/S{n:03d}_001_00000001"
        put(root, f"cohn-kanade-images/{at}.png")
        put(root, f"Emotion/{at}_emotion.txt", f"   {code}.0000000e+00\n")


@pytest.mark.parametrize(
    ("write", "codes", "typed"),
    [
        (write_raf_folders, range(7), 'classes: {"0": surprise, "1": fear, "2": disgust'),
        (write_raf_list, [0, 1, 2, 3, 3, 4, 5, 6], 'classes: {"0": surprise, "1": fear'),
        (write_raf_list, [0, 3, 4, 6, 3, 3], 'classes: {"0": surprise, "1": fear, "2": disgust, "3": happiness'),
        (write_raf_list, [0, 3, 3], 'classes: {"0": …, "3": …}'),
        (write_raf_list, [1, 2, 3, 4, 5, 6, 7, 8, 8], 'classes: {"1": …'),
        (write_fer, range(1, 8), 'classes: {"1": anger, "2": disgust'),
        (write_fer, [*range(8), 7], 'classes: {"0": …'),
        (write_expw, range(1, 8), 'classes: {"1": anger'),
        (write_npy, range(1, 9), 'classes: {"1": neutral, "2": happy'),
        (write_npy, range(1, 8), 'classes: {"1": …'),
        (write_affectnet, range(1, 9), 'classes: {"1": …, "2"'),
        (write_affectnet, range(1, 8), 'classes: {"1": …, "2"'),
        (write_ckplus, range(7), 'classes: {"0": …, "1"'),
        (write_ckplus, range(1, 9), 'classes: {"1": neutral'),
    ],
)
def test_codes_that_count_otherwise_are_refused_with_what_to_type(write, codes, typed, tmp_path):
    write(tmp_path / "raw", list(codes))
    with pytest.raises(SourceError) as told:
        Read(tmp_path / "raw", tmp_path / "out")
    assert "whole column" in str(told.value)
    assert typed in str(told.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("write", "codes"),
    [
        (write_affectnet, range(8)), (write_affectnet, range(7)), (write_affectnet, range(1, 7)),
        (write_affectnet, range(2, 8)), (write_affectnet, range(1, 11)), (write_npy, range(8)), (write_npy, range(7)),
        (write_npy, range(2, 8)), (write_ckplus, range(1, 8)), (write_raf_list, range(2, 8)), (write_fer, range(6)),
    ],
)  # fmt: skip
def test_codes_with_some_missing_are_no_other_count(write, codes, tmp_path):
    write(tmp_path / "raw", list(codes))
    found = Read(tmp_path / "raw", tmp_path / "out")
    assert (found.summary["rows_out"], found.summary["rejected"]) == (len(codes), {})


@pytest.mark.parametrize("write", [write_raf_folders, write_raf_list])
def test_codes_are_read_as_params_say(write, tmp_path):
    write(tmp_path / "raw", list(range(7)))
    classes = {str(code): word for code, word in enumerate(RAF)}
    found = Read(tmp_path / "raw", tmp_path / "out", classes=classes)
    assert {path.rpartition("/")[2][:11]: label for path, label in found.labels().items() if "train" in path} == (
        {f"train_{code + (write is write_raf_folders):05d}": RAF[code] for code in range(7)}
    )


def test_meanings_become_the_datasets_own_words(tmp_path):
    write_raf_list(tmp_path / "raw", list(range(7)))
    spelled = ("Surprised", "fear", "disgust", "happy", "sad", "angry", "neutral")
    classes = {str(code): word for code, word in enumerate(spelled)}
    found = Read(tmp_path / "raw", tmp_path / "out", classes=classes)
    assert list(found.labels().values()) == list(RAF)


def test_one_code_in_thousands_is_a_slip_of_the_pen(tmp_path):
    write_expw(tmp_path / "raw", [*range(7), 40])
    found = Read(tmp_path / "raw", tmp_path / "out")
    assert (found.summary["rows_out"], found.summary["rejected"]) == (7, {"bad_row": 1})


def test_meaning_that_the_dataset_has_not_and_a_code_without_one(tmp_path):
    write_raf_list(tmp_path / "raw", list(range(7)))
    with pytest.raises(ParamsError, match=r"classes\.0: expected surprise, fear, .*not 'contempt'"):
        Read(tmp_path / "raw", tmp_path / "out", classes={"0": "contempt"})
    with pytest.raises(SourceError, match=r"row 2: code 1 has no meaning"):
        Read(tmp_path / "raw", tmp_path / "out", classes={"0": "fear"})


def test_rafdb_test_set_with_too_many_of_a_class_is_not_called_redrawn(tmp_path):
    for n in range(446):
        put(tmp_path / "raw", f"test/3/test_{n:04d}_aligned.jpg")
    put(tmp_path / "raw", "train/1/train_00001_aligned.jpg")
    with pytest.raises(SourceError, match="446 rows of disgust in test, where RAF-DB basic has 160"):
        Read(tmp_path / "raw", tmp_path / "out")


@pytest.mark.parametrize(("test", "redrawn"), [("test", False), ("train", True)])
def test_names_that_say_their_split_are_believed_in_word_folders_too(test, redrawn, tmp_path):
    for n in range(446):
        put(tmp_path / "raw", f"test/disgust/{test}_{n:04d}.jpg")
    put(tmp_path / "raw", "test/fear/test_0500.jpg")
    if redrawn:  # somebody put pictures of the training set there, as their names say
        found = Read(tmp_path / "raw", tmp_path / "out", dataset="rafdb").summary
        assert any(note.startswith("splits redrawn") for note in found["notes"])
    else:
        with pytest.raises(SourceError, match="446 rows of disgust in test, where RAF-DB basic has 160"):
            Read(tmp_path / "raw", tmp_path / "out", dataset="rafdb")


@pytest.mark.parametrize("after", [" 0", ",0", " 0.93 x", "\t5"])
def test_rafdb_list_has_two_cells(after, tmp_path):
    write_raf_list(tmp_path / "raw", [5, 4, 1], after=after)
    with pytest.raises(SourceError, match="expected a picture and a code 1 to 7, two cells"):
        Read(tmp_path / "raw", tmp_path / "out")


@pytest.mark.parametrize("between", [" ", "\t", ",", ", "])
def test_rafdb_list_may_part_its_cells_as_it_likes(between, tmp_path):
    write_raf_list(tmp_path / "raw", [5, 4, 1], between=between)
    assert sorted(Read(tmp_path / "raw", tmp_path / "out").labels().values()) == ["happiness", "sadness", "surprise"]


def test_expw_row_with_a_ninth_cell_is_refused(tmp_path):
    write_expw(tmp_path / "raw", [3, 4, 5])
    with (tmp_path / "raw/label/label.lst").open("a") as lst:
        lst.write("\na0.jpg 1 1 2 30 40 60.5 3 0\n")
    found = Read(tmp_path / "raw", tmp_path / "out")
    assert (found.summary["rows_out"], found.summary["rejected"]) == (3, {"bad_row": 1})


def test_csv_row_with_a_cell_too_many_is_refused(tmp_path):
    put(tmp_path / "raw", "x.csv", "path,label,valence,arousal\na.jpg,happy,0.5,0.1\nb.jpg,sad,0,5,-0,3\n")
    for name in ("a.jpg", "b.jpg"):
        put(tmp_path / "raw", name)
    found = Read(tmp_path / "raw", tmp_path / "out")
    assert found.labels() == {"a.jpg": "happy"}
    assert [reject["detail"] for reject in found.rejects] == ["x.csv row 3: expected 4 cells, not 6"]


def test_votes_of_ferplus_are_not_taken_from_the_end(tmp_path):
    good = 'a.png,"(0, 0, 48, 48)",0,10,0,0,0,0,0,0,0,0'
    put(tmp_path / "raw", "FER2013Train/label.csv", f"{good}\nb.png{good[5:]},7\n")
    for name in ("a.png", "b.png"):
        put(tmp_path / "raw", f"FER2013Train/{name}")
    found = Read(tmp_path / "raw", tmp_path / "out")
    assert [(row["source_path"][-5:], row["source_votes"][1]) for row in found.rows] == [("a.png", 10)]
    assert found.summary["rejected"] == {"bad_row": 1}


def write_affect(root, rows, columns="valence,arousal"):
    lines = [f"img/{n}.jpg,{','.join(map(str, row))}" for n, row in enumerate(rows)]
    put(root, "data.csv", "\n".join([f"path,label,{columns}", *lines]))
    for n in range(len(rows)):
        put(root, f"img/{n}.jpg")


def affect(found):
    return [(row["valence"], row["arousal"]) for row in found.rows]


@pytest.mark.parametrize(
    "rows",
    [
        [("happy", 9, 7), ("sad", 1, 1), ("anger", 1, 9), ("neutral", 5, 5)],
        [("happy", 10, 1), ("sad", -1, 0), ("anger", -10, 1), ("neutral", 0, 0)],  # arousal: whole numbers beside it
        [("happy", 3, 2), ("sad", -2, -2), ("anger", -3, 1), ("neutral", 0, 0)],
        [("happy", 0.9, 0.5), *((word, 0.1 + n / 50, 0.5) for n, word in enumerate(("sad", "anger", "fear") * 2))],
        [("happy", 1, 0.7), ("sad", 0, 0.1), ("anger", 0.1, 1), ("neutral", 0.5, 0.5)],
        [("happy", 1.01, 1.5), ("sad", -0.5, -0.5)],
        [("happy", 0.9, 0.5), ("sad", 0.1, 0.2), ("neutral", 0.5, 0.5)],
    ],
)
def test_column_on_another_scale_is_left_empty_with_a_note(rows, tmp_path):
    write_affect(tmp_path / "raw", rows)
    found = Read(tmp_path / "raw", tmp_path / "out")
    assert [value for value, _ in affect(found)] == [None] * len(rows)
    assert any(
        note.startswith("valence is left empty in all") and "scale: [LOWEST, HIGHEST]" in note
        for note in found.summary["notes"]
    )


def test_columns_are_brought_from_the_scales_that_params_give(tmp_path):
    write_affect(tmp_path / "raw", [("happy", 9, -3), ("sad", 1, 3), ("neutral", 5, 0), ("anger", 3, 1.5)])
    found = Read(tmp_path / "raw", tmp_path / "out", scales={"valence": (1, 9), "arousal": (-3, 3)})
    assert affect(found) == [(1, -1), (-1, 1), (0, 0), (-0.5, 0.5)]


def test_whole_numbers_beside_a_column_whose_scale_params_give_are_on_another_one_too(tmp_path):
    write_affect(tmp_path / "raw", [("happy", 9, 1), ("sad", 1, 1), ("neutral", 5, 0)])
    found = Read(tmp_path / "raw", tmp_path / "out", scales={"valence": (1, 9)})
    assert affect(found) == [(1, None), (-1, None), (0, None)]
    # What params give is believed, -1 to 1 as well.
    found = Read(tmp_path / "raw", tmp_path / "out2", scales={"valence": (1, 9), "arousal": (-1, 1)})
    assert affect(found) == [(1, 1), (-1, 1), (0, 0)]


def test_value_beyond_the_scale_that_params_give_empties_the_column(tmp_path):
    write_affect(tmp_path / "raw", [("happy", 9, 0.5), ("sad", 0, -0.5)])
    found = Read(tmp_path / "raw", tmp_path / "out", scales={"valence": (1, 9)})
    assert affect(found) == [(None, 0.5), (None, -0.5)]


def test_minus_two_in_both_columns_says_not_given(tmp_path):
    write_affect(tmp_path / "raw", [("happy", 0.5, 0.25), ("uncertain", -2, -2), ("sad", -0.5, 0)])
    assert affect(Read(tmp_path / "raw", tmp_path / "out")) == [(0.5, 0.25), (None, None), (-0.5, 0)]


def test_codes_in_folders_and_in_a_csv_have_the_meaning_that_params_give(tmp_path):
    order = ("neutral", "happy", "sad", "surprise", "fear", "disgust", "anger", "contempt")
    classes = {str(code): word for code, word in enumerate(order)}
    for code in range(8):
        put(tmp_path / "folders", f"train/{code}/x{code}.jpg")
        put(tmp_path / "csv", f"{code}.jpg")
    put(tmp_path / "csv", "x.csv", "image,label\n" + "".join(f"{code}.jpg,{code}.0\n" for code in range(8)))
    found = Read(tmp_path / "folders", tmp_path / "out", classes=classes).labels()
    assert found == {f"train/{code}/x{code}.jpg": word for code, word in enumerate(order)}
    found = Read(tmp_path / "csv", tmp_path / "out2", classes=classes).labels()
    assert found == {f"{code}.jpg": word for code, word in enumerate(order)}
    with pytest.raises(SourceError, match=r'named after codes, 0 to 7; .*classes: \{"0": …'):
        Read(tmp_path / "folders", tmp_path / "out3")
    with pytest.raises(SourceError, match=r"code 7 has no meaning"):
        Read(tmp_path / "csv", tmp_path / "out4", classes=dict(list(classes.items())[:7]))


def test_classes_of_which_nothing_is_there_are_refused(tmp_path):
    put(tmp_path / "raw", "happy/a.jpg")
    put(tmp_path / "raw", "sad/b.jpg")
    with pytest.raises(SourceError, match="nothing is one of 0"):
        Read(tmp_path / "raw", tmp_path / "out", classes={"0": "happy"})


@pytest.mark.parametrize(
    "header",
    [
        "image,label,emotion",
        "image,emotion,label",
        "image,class,category",
        "image,label,Label_Name",
        "image,id,emotion text",
    ],
)
def test_column_of_words_wins_over_one_of_codes(header, tmp_path):
    words_first = header == "image,emotion,label"
    cells = [(word, (n * 3) % 8) if words_first else ((n * 3) % 8, word) for n, word in enumerate(WORDS)]
    put(tmp_path / "raw", "x.csv", "\n".join([header, *(f"{n}.jpg,{one},{two}" for n, (one, two) in enumerate(cells))]))
    for n in range(8):
        put(tmp_path / "raw", f"{n}.jpg")
    assert Read(tmp_path / "raw", tmp_path / "out").labels() == {f"{n}.jpg": word for n, word in enumerate(WORDS)}


def test_codes_whose_meaning_params_give_are_held_against_the_words_beside_them(tmp_path):
    rows = ["image,label,emotion", *(f"{n}.jpg,{n},{word}" for n, word in enumerate(WORDS))]
    put(tmp_path / "raw", "x.csv", "\n".join(rows))
    for n in range(8):
        put(tmp_path / "raw", f"{n}.jpg")
    classes = {str(n): word for n, word in enumerate(WORDS)}
    found = Read(tmp_path / "raw", tmp_path / "out", classes=classes)
    assert found.labels() == {f"{n}.jpg": word for n, word in enumerate(WORDS)}
    with pytest.raises(SourceError, match=r"row 4: label says '2', emotion 'disgust'"):
        Read(tmp_path / "raw", tmp_path / "out2", classes=classes | {"2": "sad"})


@pytest.mark.parametrize("cells", [",3", "3,", "3,3.0"])
def test_of_two_columns_of_codes_the_one_that_is_given_is_the_label(cells, tmp_path):
    put(tmp_path / "raw", "l.csv", f"image,label,emotion\na.jpg,{cells}\n")
    put(tmp_path / "raw", "a.jpg")
    found = Read(tmp_path / "raw", tmp_path / "out", fmt="csv", classes={"3": "happy"})
    assert found.labels() == {"a.jpg": "happy"}


def test_label_columns_that_disagree_are_refused_unless_one_is_named(tmp_path):
    put(tmp_path / "raw", "x.csv", "image,label,emotion\na.jpg,happy,Happiness\nb.jpg,sad,anger\n")
    for name in ("a.jpg", "b.jpg"):
        put(tmp_path / "raw", name)
    with pytest.raises(SourceError, match=r"row 3: label says 'sad', emotion 'anger'; .*columns: \{label: label\}"):
        Read(tmp_path / "raw", tmp_path / "out")
    found = Read(tmp_path / "raw", tmp_path / "out", columns={"label": "emotion"})
    assert found.labels() == {"a.jpg": "Happiness", "b.jpg": "anger"}


@pytest.mark.parametrize(
    "prefix", ["C:\\Users\\someone\\fer\\", "/content/drive/My Drive/fer/", "../input/fer/", "D:/x/images/", "fer/v2/"]
)
def test_paths_of_another_machine_are_read_by_their_tails(prefix, tmp_path):
    separator = "\\" if "\\" in prefix else "/"
    rows = []
    for n, word in enumerate(WORDS):
        for split in ("train", "test"):
            put(tmp_path / "raw", f"images/{split}/{n}.jpg", f"{split}{n}")
            rows.append(f"{prefix}{split}{separator}{n}.jpg,{word}")
    put(tmp_path / "raw", "data.csv", "\n".join(["image_path,emotion", *rows]))
    # Missing here; another folder has a picture of the name, which is none of it.
    (tmp_path / "raw/images/test/3.jpg").unlink()
    found = Read(tmp_path / "raw", tmp_path / "out")
    wanted = {f"images/{split}/{n}.jpg": word for n, word in enumerate(WORDS) for split in ("train", "test")}
    del wanted["images/test/3.jpg"]
    assert found.labels() == wanted
    assert set(found.summary["rejected"]) <= {"missing_file", "outside_root"}
    assert any("path of another machine" in note and "15 rows in all" in note for note in found.summary["notes"])


def expw_of(rows):
    return "label.lst", "\n".join(f"{path} 0 1 2 30 40 60.5 {code}" for path, code in rows)


def affectnet_of(rows):
    return "training.csv", "\n".join([AFFECTNET_HEADER, *(affectnet_row(path, code) for path, code in rows)])


def affectnet_folder_of(rows):
    return "labels.csv", "\n".join(["pth,label,relFCs", *(f"{path},{('sad', 'happy')[code]},1" for path, code in rows)])


def emotic_csv_of(rows):
    header = "Index,Folder,Filename,Image Size,BBox,Categorical_Labels,Continuous_Labels,Gender,Age"
    cells = [(*path.rpartition("/"), ("Anger", "Peace")[code]) for path, code in rows]
    lines = [
        f'0,{folder},{name},"[9, 9]","[1, 2, 3, 4]","[\'{label}\']","[5, 5, 5]",Male,Kid'
        for folder, _, name, label in cells
    ]
    return "train.csv", "\n".join([header, *lines])


@pytest.mark.parametrize("write", [expw_of, affectnet_of, affectnet_folder_of, emotic_csv_of])
def test_lists_of_another_machine_teach_which_of_two_folders_is_meant(write, tmp_path):
    for name in ("one/a.jpg", "two/a.jpg", "one/b.jpg"):
        put(tmp_path / "raw", name)
    # b.jpg is in one folder alone: so that is theirs, and its a.jpg is meant. c.jpg is nowhere.
    name, text = write([(f"F:/my/faces/{path}", code) for path, code in (("a.jpg", 0), ("b.jpg", 1), ("c.jpg", 1))])
    put(tmp_path / "raw", name, text)
    found = Read(tmp_path / "raw", tmp_path / "out")
    assert sorted(found.labels()) == ["one/a.jpg", "one/b.jpg"]
    # Of AffectNet's folders a picture that no row names is a row too: two/a.jpg.
    assert found.summary["rows_in"] == 3 + (write is affectnet_folder_of)
    told = (
        f"{name} row {2 - (write is expw_of)}: a path of another machine, where F:/my/faces is one; 2 rows in all are"
    )
    assert any(note.startswith(told) for note in found.summary["notes"])


def test_rafdb_list_of_another_machine_is_read(tmp_path):
    put(tmp_path / "raw", "EmoLabel/list_patition_label.txt", "train_00002.jpg 1\nC:\\db\\train_00001.jpg 4\n")
    for n in (1, 2):
        put(tmp_path / "raw", f"Image/aligned/train_{n:05d}_aligned.jpg")
    assert list(Read(tmp_path / "raw", tmp_path / "out").labels().values()) == ["happiness", "surprise"]


def test_ferplus_list_of_another_machine_is_read(tmp_path):
    votes = '"(0, 0, 48, 48)",0,10,0,0,0,0,0,0,0,0'
    rows = [f"C:\\ferplus\\data\\FER2013Train\\fer{n:07d}.png,{votes}" for n in range(3)]
    put(tmp_path / "raw", "FER2013Train/label.csv", "\n".join(rows))
    for n in range(2):
        put(tmp_path / "raw", f"FER2013Train/fer{n:07d}.png")
    found = Read(tmp_path / "raw", tmp_path / "out")
    assert sorted(found.labels()) == ["FER2013Train/fer0000000.png", "FER2013Train/fer0000001.png"]
    assert found.summary["rows_in"] == 3


def test_nothing_read_is_an_error_that_says_why(tmp_path):
    put(tmp_path / "raw", "data.csv", "image,emotion\n" + "".join(f"/elsewhere/{n}.jpg,happy\n" for n in range(8)))
    put(tmp_path / "raw", "other/x.png")
    with pytest.raises(SourceError, match=r"none of 8 rows is left; 8 of them \w+: .*data.csv row 2: "):
        Read(tmp_path / "raw", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_kdefs_misnamed_pictures_are_read_as_what_they_are(tmp_path):
    for name in ("AF31V.JPG", "AM31H.JPG", "AF01ANFL.JPG"):
        put(tmp_path / "raw", name)
    found = Read(tmp_path / "raw", tmp_path / "out", fmt="kdef")
    assert {row["source_path"]: (row["source_labels"], row["subject_id"]) for row in found.rows} == {
        "AF01ANFL.JPG": (["AN"], "F01"), "AF31V.JPG": (["SA"], "F31"), "AM31H.JPG": (["SU"], "M31"),
    }  # fmt: skip


def sequences(found):
    groups = {}
    for row in found.rows:
        if row["sequence_id"] is not None:
            groups.setdefault(row["sequence_id"], set()).add(row["source_path"])
    return sorted(map(sorted, groups.values()))


def test_names_of_export_tools_are_copies_and_no_people(tmp_path):
    for n in range(180):
        digest = hashlib.sha1(str(n).encode(), usedforsecurity=False).hexdigest()
        put(tmp_path / "raw", f"{('happy', 'sad')[n // 3 % 2]}/img{n // 3:03d}_jpg.rf.{digest}.jpg", str(n))
    found = Read(tmp_path / "raw", tmp_path / "out")
    assert {row["subject_id"] for row in found.rows} == {None}
    assert [len(group) for group in sequences(found)] == [3] * 60
    assert all(len({path[:12].rpartition("/")[2] for path in group}) == 1 for group in sequences(found))


def test_copies_lie_with_their_original_and_two_pictures_of_one_name_stay_apart(tmp_path):
    names = [
        "train/happy/a1.jpg", "test/happy/a1_flip.jpg", "test/happy/a1_jpg.rf.0f.jpg",  # one picture
        "train/sad/a1.jpg", "train/sad/a1 (2).jpg",  # another
        "train/sad/b_crop_1.jpg", "train/sad/b_crop_2.jpg",  # no copies: what they would be copies of is not there
        "train/sad/Training_5.jpg", "train/sad/Training_5.jpg7.jpg",
        "train/happy/c.jpg", "train/sad/c.jpg",
        "train/happy/flipped_e7.jpg", "test/happy/aug_2_e7.jpg", "train/happy/e7.jpg",  # one more
        "train/happy/blur_f.jpg", "train/happy/noise_f.jpg",  # no copies of anything here
    ]  # fmt: skip
    for name in names:
        put(tmp_path / "raw", name, name)
    found = Read(tmp_path / "raw", tmp_path / "out", fmt="folder")
    assert sequences(found) == sorted(map(sorted, [names[:3], names[3:5], names[7:9], names[11:14]]))


def test_people_of_ckplus_are_known_in_folders_of_codes(tmp_path):
    for code, sequence in enumerate(("S010_001", "S010_002", "S011_001", "S011_003")):
        for frame in (17, 18, 19):
            put(tmp_path / "raw", f"{code}/{sequence}_{frame:08d}.png")
    classes = {"0": "anger", "1": "happy", "2": "sad", "3": "fear"}
    found = Read(tmp_path / "raw", tmp_path / "out", classes=classes)
    assert {(row["subject_id"], row["sequence_id"]) for row in found.rows} == {
        ("S010", "S010_001"), ("S010", "S010_002"), ("S011", "S011_001"), ("S011", "S011_003"),
    }  # fmt: skip


def test_people_are_known_where_names_make_groups_and_copies_make_none(tmp_path):
    people = [
        f"{first}_{last}" for first in ("Ann", "Bob", "Cid", "Dan") for last in ("Ash", "Elm", "Fir", "Oak", "Yew")
    ]
    for person in people:
        for n in range(3):
            for copy in "ab":
                put(
                    tmp_path / "people",
                    f"{('happy', 'sad')[n % 2]}/{person}_{n}_jpg.rf.{copy}.jpg",
                    f"{person}{n}{copy}",
                )
    found = Read(tmp_path / "people", tmp_path / "out")
    assert {row["subject_id"] for row in found.rows} == set(people)
    for n in range(120):
        name = hashlib.sha1(str(n).encode(), usedforsecurity=False).hexdigest()
        put(tmp_path / "hashes", f"{('happy', 'sad')[n % 2]}/{name}.jpg", name)
    assert {row["subject_id"] for row in Read(tmp_path / "hashes", tmp_path / "out2").rows} == {None}


def test_counts_of_emotic_have_every_category_that_several_annotators_chose(tmp_path):
    labels = "\"[['Happiness'], ['Happiness', 'Peace']]\""
    row = f'0,mscoco/images,a.jpg,"[9, 9]","[1, 2, 3, 4]",{labels},"[5, 5, 5]",Male,Kid'
    header = "Index,Folder,Filename,Image Size,BBox,Categorical_Labels,Continuous_Labels,Gender,Age"
    put(tmp_path / "raw", "annotations/test.csv", f"{header}\n{row}\n")
    put(tmp_path / "raw", "emotic/mscoco/images/a.jpg")
    found = Read(tmp_path / "raw", tmp_path / "out")
    assert found.summary["counts"] == {"test": {"Happiness": 1, "Peace": 1}}


def test_missing_pictures_are_not_those_of_another_split_or_class(tmp_path):
    for n in range(4):
        put(tmp_path / "raw", f"test/happy/{n}.jpg", f"test{n}")
    put(
        tmp_path / "raw",
        "train.csv",
        "path,label\n" + "".join(f"/home/x/train/happy/{n}.jpg,happy\n" for n in range(4)),
    )
    put(tmp_path / "raw", "test.csv", "path,label\n" + "".join(f"/home/x/test/happy/{n}.jpg,happy\n" for n in range(3)))
    found = Read(tmp_path / "raw", tmp_path / "out", fmt="csv")
    assert sorted(found.labels()) == [f"test/happy/{n}.jpg" for n in range(3)]
    assert {row["source_split"] for row in found.rows} == {"test"}
    assert found.summary["rows_in"] == 7
    put(tmp_path / "other", "data.csv", "path,label\nC:/x/happy/1.jpg,happy\nC:/x/sad/2.jpg,sad\n")
    for name in ("sad/1.jpg", "sad/2.jpg"):
        put(tmp_path / "other", name)
    assert Read(tmp_path / "other", tmp_path / "out2", fmt="csv").labels() == {"sad/2.jpg": "sad"}


def test_a_csv_of_affect_alone_is_read_and_one_with_labels_goes_before_it(tmp_path):
    """Also where nothing says that it is a csv."""
    put(tmp_path, "mine/faces.csv", "image,valence,arousal,person\na.jpg,0.5,-0.25,p1\nb.jpg,-1,,p2\nc.jpg,,,p2\n")
    for name in "abc":
        put(tmp_path, f"mine/{name}.jpg")
    for fmt in ("csv", "auto"):
        read = Read(tmp_path / "mine", tmp_path / fmt, fmt=fmt)
        assert [(row["source_labels"], row["valence"], row["arousal"], row["subject_id"]) for row in read.rows] == [
            ([], 0.5, -0.25, "p1"), ([], -1.0, None, "p2"),
        ]  # fmt: skip
        assert read.reasons() == [("unlabelled", "c.jpg")]
    put(tmp_path, "mine/labels.csv", "image,emotion\na.jpg,happy\n")
    assert [row["source_labels"] for row in Read(tmp_path / "mine", tmp_path / "out", fmt="csv").rows] == [["happy"]]
