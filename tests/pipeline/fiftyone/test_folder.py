"""The folder as FiftyOne's documentation has it, and what becomes of edits in it."""

import hashlib
import io
import json
import stat

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from pipeline.decisions.decision import Kind
from pipeline.fiftyone.edits import EditError, read_edits
from pipeline.fiftyone.export import export
from pipeline.fiftyone.fields import absolute_box, relative_box
from pipeline.ingest.registry import open_pictures
from stages.cli import run
from tests.pipeline.align.inputs import portrait

FIRST = "toy/happy/00.jpg#0"


def documents(folder):
    return {one["sample_id"]: one for one in json.loads((folder / "samples.json").read_text())["samples"]}


def write(folder, found):
    (folder / "samples.json").write_text(json.dumps({"samples": list(found.values())}))


def edited(exported, tmp_path, name=FIRST, **changes):
    """Return a folder as FiftyOne exports it after a sample was changed; values that are None are left out there."""
    found = documents(exported)
    found[name] |= changes
    folder = tmp_path / "edited"
    folder.mkdir(exist_ok=True)
    write(folder, {key: {k: v for k, v in one.items() if v is not None} for key, one in found.items()})
    return folder


def decided(folder, exported):
    known = {*documents(exported), "toy/happy/03.jpg#0"}
    return [(one.sample_id, str(one.kind), one.value) for one in read_edits(folder, "toy", known, "ann").decisions]


def test_pictures_boxes_points_and_crops_are_those_of_the_tables(exported, made):
    found = documents(exported)
    names = {f"toy/happy/{number:02d}.jpg#0" for number in range(12)} - {"toy/happy/03.jpg#0"}
    assert set(found) == names  # without the withdrawn one
    rows = {row["sample_id"]: row for row in pq.read_table(made / "data/aligned/toy/part-00000.parquet").to_pylist()}
    for name, one in found.items():
        picture = (exported / one["filepath"]).read_bytes()
        assert picture == (made / "raw/toy" / name.removeprefix("toy/").removesuffix("#0")).read_bytes()
        assert (exported / one["crop"]).read_bytes() == rows[name]["image"]
        width, height = Image.open(io.BytesIO(picture)).size
        assert one["picture_px"] == [width, height]
        (face,) = one["face"]["detections"]
        left, top, wide, high = face["bounding_box"]
        x0, y0, x1, y1 = rows[name]["face_box"]
        np.testing.assert_allclose([left * width, top * height], [x0, y0])
        np.testing.assert_allclose([wide * width, high * height], [x1 - x0, y1 - y0])
        (points,) = one["points"]["keypoints"]
        expected = np.reshape(rows[name]["landmarks"], (5, 2)) / [width, height]
        np.testing.assert_allclose(points["points"], expected)
        assert one["label"]["label"] == one["given_label"] == "happy"
        assert one["suggested"]["label"] == "fear"
        assert one["tags"] == ["doubt: label"]


def test_every_field_of_a_sample_is_declared_and_every_label_names_its_class(exported):
    declared = json.loads((exported / "metadata.json").read_text())
    assert "version" not in declared  # else FiftyOne would take it for a document of its database
    assert declared["media_type"] == "image"
    kinds = {"Classification": "label", "Detections": "detections", "Keypoints": "keypoints"}
    for one in documents(exported).values():
        assert set(one) <= set(declared["sample_fields"])
        for name, value in one.items():
            if isinstance(value, dict):
                assert declared["sample_fields"][name].endswith(f"(fiftyone.core.labels.{value['_cls']})")
                assert kinds[value["_cls"]] in value


def test_only_the_owner_may_read_it(exported):
    for path in [exported, *exported.rglob("*")]:
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o700 if path.is_dir() else 0o600), path


def test_the_most_doubtful_come_where_there_is_a_limit(project):
    export("toy", open_pictures("raw/toy", "folder"), project / "few", limit=2)
    assert set(documents(project / "few")) == {FIRST, "toy/happy/01.jpg#0"}


def test_what_no_browser_shows_is_written_as_png_and_a_crop_stands_for_a_picture_that_is_gone(project):
    # The sample keeps its name; what is in its file does not matter.
    Image.fromarray(portrait()).save(project / "raw/toy/happy/00.jpg", format="TIFF")
    (project / "raw/toy/happy/01.jpg").unlink()
    export("toy", open_pictures("raw/toy", "folder"), project / "out")
    found = documents(project / "out")
    np.testing.assert_array_equal(np.asarray(Image.open(project / "out" / found[FIRST]["filepath"])), portrait())
    gone = found["toy/happy/01.jpg#0"]
    assert gone["filepath"] == gone["crop"]
    assert "face" not in gone  # its box would be one of the picture


def test_nothing_changed_is_nothing_decided(exported, tmp_path):
    assert decided(edited(exported, tmp_path), exported) == []


def face(box, *tags):
    return {"_cls": "Detections", "detections": [{"_cls": "Detection", "tags": list(tags), "bounding_box": box}]}


EDITS = {
    "label": ({"label": {"_cls": "Classification", "label": "fear", "tags": []}}, ("other_label", "fear")),
    "tag": ({"tags": ["test", "not_a_face", "left out: blurred"]}, ("not_a_face", "")),
    "tag of the label": ({"label": {"_cls": "Classification", "label": "happy", "tags": ["right"]}}, ("right", "")),
    "tag of no verdict": ({"tags": ["withdrawn", "same_person", "mine"]}, None),
    "label removed": ({"label": None}, None),
    "face removed": ({"face": None}, None),
    "moved": ({"face": face([0.625, 0.25, 0.125, 0.25])}, ("wrong_face", "640 128 768 256")),
    "moved beyond": ({"face": face([-0.5, 0.25, 0.75, 2])}, ("wrong_face", "0 128 256 512")),
    "moved and tagged": ({"face": face([0.5, 0.25, 0.25, 0.25], "wrong_face")}, ("wrong_face", "512 128 768 256")),
}


@pytest.mark.parametrize(("changes", "expected"), EDITS.values(), ids=EDITS)
def test_an_edit_is_a_decision(exported, tmp_path, changes, expected):
    wanted = [] if expected is None else [(FIRST, *expected)]
    assert decided(edited(exported, tmp_path, **changes), exported) == wanted


REFUSED = {
    "two verdicts": ({"tags": ["right", "unsure"]}, "says right and unsure; a person gives one verdict"),
    "label": ({"label": {"label": "hapy"}}, "unknown label 'hapy'; did you mean 'happy'"),
    "no numbers": ({"face": face([0, 0, float("nan"), 1])}, "a box is not four finite numbers"),
    "empty": ({"face": face([0.5, 0.5, 0, 0.1])}, "the box is empty or beyond the picture"),
    "beyond": ({"face": face([1.5, 0.5, 0.1, 0.1])}, "the box is empty or beyond the picture"),
    "note": ({"tags": ["right"], "note": "=1+1"}, "the note begins with ="),
    "sample": ({"sample_id": "toy/happy/99.jpg#0"}, "toy has no such sample"),
}


@pytest.mark.parametrize(("changes", "said"), REFUSED.values(), ids=REFUSED)
def test_an_edit_that_cannot_be_is_an_error_that_names_the_sample(exported, tmp_path, changes, said):
    folder = edited(exported, tmp_path, **changes)
    with pytest.raises(EditError) as caught:
        decided(folder, exported)
    assert said in str(caught.value)
    assert "toy/happy/" in str(caught.value)


def test_no_picture_of_a_withdrawn_person_is_written_for_another_face_in_it(project, capsys):
    """Of 05.jpg the first face is of a withdrawn person, and the second never had a crop; 06.jpg is the other way."""
    path = project / "data/samples/toy/samples.parquet"
    table = pq.read_table(path)
    rows = {row["sample_id"]: row for row in table.to_pylist()}
    of_person, kept = "toy/happy/05.jpg#0", "toy/happy/06.jpg#0"
    second = {name: rows[name] | {"sample_id": name.replace("#0", "#1")} for name in (of_person, kept)}
    rows[of_person]["subject_id"] = "S005"
    every = [*rows.values(), *second.values()]
    pq.write_table(pa.Table.from_pylist(every, table.schema).sort_by("sample_id"), path)
    (project / "decisions/forgotten").mkdir(parents=True)
    digest = hashlib.md5(b"toy/S005", usedforsecurity=False).hexdigest()
    (project / "decisions/forgotten/toy.csv").write_text(f"sample_id,what,md5\n{of_person},subject,{digest}\n")
    (project / "decisions/toy.csv").write_text(
        f"sample_id,decision,value,by,note\n{second[kept]['sample_id']},withdrawn,,ann,\n"
    )
    assert run(["fiftyone", "export", "--dataset", "toy", "--dir", "runs/out"]) == 0
    capsys.readouterr()
    found = documents(project / "runs/out")
    assert set(found) == rows.keys() - {of_person}
    assert found[kept]["filepath"] == found[kept]["crop"]
    rejects = pq.read_table(project / "runs/out/rejects.parquet").to_pylist()
    left = {of_person, *(row["sample_id"] for row in second.values())}
    assert {row["sample_id"]: row["reason"] for row in rejects} == dict.fromkeys(left, "withdrawn")
    written = {file.read_bytes() for file in (project / "runs/out").rglob("*") if file.is_file()}
    raw = {number: (project / f"raw/toy/happy/{number:02d}.jpg").read_bytes() for number in range(12)}
    assert {number for number, content in raw.items() if content not in written} == {5, 6}


def test_a_sample_that_is_there_twice_has_one_verdict_or_none_is_written(project, tmp_path, capsys):
    """FiftyOne lets two samples have one `sample_id`, for example after views were merged."""
    exported = project / "runs/export/fiftyone/toy"
    book = project / "decisions/toy.csv"
    one = documents(exported)[FIRST]

    def take(*changes):
        content = {"samples": [one | change for change in changes]}
        (tmp_path / "samples.json").write_text(json.dumps(content))
        return run(["fiftyone", "import", "--dataset", "toy", "--dir", str(tmp_path), "--as", "ann"])

    assert take({"tags": ["right"]}, {"tags": ["right"]}, {}) == 0
    before = book.read_text()
    assert before.splitlines()[1:] == [f"{FIRST},right,,ann,"]
    for second in ({"tags": ["unsure"]}, {"tags": ["right"], "note": "a smile"}):
        capsys.readouterr()
        assert take({"tags": ["right"]}, second) == 1
        (error,) = capsys.readouterr().err.splitlines()
        assert f"{FIRST}: is there twice and says right and" in error
        assert book.read_text() == before
    assert take({"tags": ["right"]}) == 0  # the file can still be read


@pytest.mark.parametrize("text", ["", "{", "[]", '{"samples": 1}', '{"samples": [1]}', "[" * 100_000])
def test_what_is_no_export_is_one_line(tmp_path, text):
    (tmp_path / "samples.json").write_text(text)
    with pytest.raises(EditError, match=r"expected what dataset\.export"):
        read_edits(tmp_path, "toy", set(), "ann")
    with pytest.raises(EditError, match="there is no such file"):
        read_edits(tmp_path / "none", "toy", set(), "ann")


def test_boxes_there_and_back():
    box = (170.0, 60.5, 280.0, 200.0)
    assert absolute_box(relative_box(box, 1024, 512), 1024, 512) == box


def test_by_the_command_a_second_import_replaces_the_first_and_leaves_others(project, tmp_path, capsys):
    assert run(["fiftyone", "export", "--dataset", "toy"]) == 0
    exported = project / "runs/export/fiftyone/toy"
    assert "12 samples, 12 pictures" in capsys.readouterr().out
    for tag, by in (("unsure", "ann"), ("right", "ben"), ("bad_picture", "ann")):
        folder = edited(exported, tmp_path, tags=[tag], note='a "quote"')
        assert run(["fiftyone", "import", "--dataset", "toy", "--dir", str(folder), "--as", by]) == 0
    assert (project / "decisions/toy.csv").read_text().splitlines()[1:] == [
        f'{FIRST},{Kind.bad_picture},,ann,"a ""quote"""',
        f'{FIRST},{Kind.right},,ben,"a ""quote"""',
    ]
    assert run(["fiftyone", "import", "--dataset", "toy", "--as", "ann"]) == 2
    assert run(["fiftyone", "export", "--dataset", "toy", "--as", "ann"]) == 2
    assert run(["fiftyone", "import", "--dataset", "toy", "--dir", str(folder), "--as", "Ann B"]) == 2
