import io
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from skimage import data

import models
from models.checkpoint import load_checkpoint
from models.inference.drawing import draw_faces
from models.inference.predictor import Predictor, read_align, read_equalize
from pipeline.align.stage import run as align
from pipeline.core.emotions import CLASSES
from pipeline.core.errors import DataError, ImageError, ModelError, UsageError
from pipeline.core.lineage.snapshot import read_snapshot
from pipeline.core.params import read_params
from pipeline.equalize.stage import run as equalize
from pipeline.images import decode_face
from pipeline.ingest.stage import run as ingest
from tests.imports import ROOT
from tests.pictures import encoded
from tests.run_inputs import make_checkpoint


@pytest.fixture(scope="module")
def portrait():
    """The NASA portrait that scikit-image ships, as a JPEG."""
    return encoded(data.astronaut())


@pytest.fixture(scope="module")
def faces(portrait, tmp_path_factory):
    """The portrait and a wall as a dataset, through the stages."""
    root = tmp_path_factory.mktemp("predict")
    for name, content in (("happy/portrait.jpg", portrait), ("sad/wall.jpg", encoded(data.brick()))):
        (root / "raw" / name).parent.mkdir(parents=True)
        (root / "raw" / name).write_bytes(content)
    params = read_params(ROOT / "params.yaml")
    ingest(str(root / "raw"), root / "samples", dataset="one", fmt="folder", params=params.ingest)
    align(root / "samples", str(root / "raw"), root / "aligned", params.align, workers=1)
    equalize(root / "aligned", root / "faces", params.equalize, workers=1)
    return root / "faces"


@pytest.fixture(scope="module")
def predictor(faces):
    path = make_checkpoint(faces.parent / "run", {**read_snapshot(faces).contract, "classes": list(CLASSES)})
    return Predictor(load_checkpoint(path))


def test_the_network_sees_the_very_face_that_the_stages_make(faces, portrait, predictor):
    (row,) = pq.read_table(faces / "part-00000.parquet").to_pylist()
    (answered,) = predictor.predict([portrait])
    (face,) = answered
    assert np.array_equal(face.pixels, decode_face(row["image"]))
    np.testing.assert_allclose(face.box, row["face_box"], atol=1e-3)
    np.testing.assert_allclose(face.landmarks, row["landmarks"], atol=1e-3)
    expected = predictor.checkpoint.predict(face.pixels[None])[0]
    np.testing.assert_allclose(list(face.probabilities.values()), expected, atol=5e-3)  # the decoder rounds otherwise
    assert list(face.probabilities) == list(CLASSES)
    assert face.predicted == CLASSES[expected.argmax()]


@pytest.mark.parametrize("refine", ["upright", "mirrored"])
def test_points_that_were_found_again_are_found_again_here(faces, portrait, refine, tmp_path):
    """The contract says so of itself; the crop is another than without, and the very one of the stages."""
    root = faces.parent
    params = read_params(ROOT / "params.yaml")
    again = params.align.model_copy(update={"refine": refine})
    align(root / "samples", str(root / "raw"), tmp_path / "aligned", again, workers=1)
    equalize(tmp_path / "aligned", tmp_path / "faces", params.equalize, workers=1)
    contract = {**read_snapshot(tmp_path / "faces").contract, "classes": list(CLASSES)}
    predictor = Predictor(load_checkpoint(make_checkpoint(tmp_path / "run", contract)))
    ((face,),) = predictor.predict([portrait])
    (row,) = pq.read_table(tmp_path / "faces" / "part-00000.parquet").to_pylist()
    (plain,) = pq.read_table(faces / "part-00000.parquet").to_pylist()
    assert np.array_equal(face.pixels, decode_face(row["image"]))
    assert not np.array_equal(face.pixels, decode_face(plain["image"]))


def test_a_picture_is_the_same_by_its_bytes_its_path_and_its_pixels(predictor, tmp_path):
    pixels = data.astronaut()
    path = tmp_path / "portrait.png"
    Image.fromarray(pixels).save(path)
    by_bytes, by_path, by_text, by_pixels = predictor.predict([path.read_bytes(), path, str(path), pixels])
    assert [face.probabilities for face in by_bytes] == [face.probabilities for face in by_path]
    assert [face.box for face in by_path] == [face.box for face in by_text]
    assert len(by_pixels) == len(by_bytes) == 1
    assert np.array_equal(by_pixels[0].pixels, by_bytes[0].pixels)
    (strided,) = predictor.predict_one(np.repeat(pixels, 2, axis=1)[:, ::2])
    assert np.array_equal(strided.pixels, by_bytes[0].pixels)
    grey = np.asarray(Image.fromarray(pixels).convert("L"))
    (face,) = predictor.predict_one(grey)
    np.testing.assert_allclose(face.box, by_bytes[0].box, atol=8)


def test_what_is_no_picture_is_said(predictor, tmp_path):
    with pytest.raises(UsageError, match=r"not float64 8x8x3"):
        predictor.predict_one(np.zeros((8, 8, 3)))
    with pytest.raises(UsageError, match=r"not uint8 3x8x8"):
        predictor.predict([np.zeros((3, 8, 8), np.uint8)])
    with pytest.raises(UsageError, match="predict_one"):
        predictor.predict(np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(DataError, match=r"gone.jpg: cannot be read"):
        predictor.predict_one(tmp_path / "gone.jpg")
    with pytest.raises(ImageError, match="not_an_image"):
        predictor.predict_one(b"no picture")


def test_a_predictor_is_loaded_from_a_run_and_importing_models_stays_light(faces, predictor, portrait):
    loaded = Predictor.load(faces.parent / "run")
    assert loaded.predict_one(portrait)[0].probabilities == predictor.predict_one(portrait)[0].probabilities
    code = "import sys, models; assert 'torch' not in sys.modules; from models import Predictor; print(Predictor)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert "models.inference.predictor.Predictor" in done.stdout
    with pytest.raises(AttributeError, match="predictor"):
        models.predictor  # noqa: B018


def test_a_picture_turned_by_exif_has_its_boxes_where_it_is_seen(portrait, predictor):
    stream = io.BytesIO()
    turned = Image.fromarray(data.astronaut()).transpose(Image.Transpose.ROTATE_90)
    exif = turned.getexif()
    exif[0x0112] = 6  # the reader is to turn it by 90 degrees, clockwise
    turned.save(stream, "JPEG", quality=92, exif=exif)
    ((straight,), (face,)) = predictor.predict([portrait, stream.getvalue()])
    np.testing.assert_allclose(face.box, straight.box, atol=3)
    drawn = draw_faces(stream.getvalue(), [face])
    assert np.abs(drawn.astype(int) - draw_faces(portrait, [face])).mean() < 3


def test_every_face_of_a_picture_is_answered_the_largest_first(predictor):
    astronaut = data.astronaut()
    small = np.asarray(Image.fromarray(astronaut).resize((256, 256)))
    wide = np.full((512, 768, 3), 255, np.uint8)
    wide[:, :512], wide[200:456, 512:] = astronaut, small
    (faces,) = predictor.predict([encoded(wide)])
    assert len(faces) == 2
    widths = [face.box[2] - face.box[0] for face in faces]
    assert widths[0] > 1.7 * widths[1]
    assert faces[0].box[0] < 512 < faces[1].box[0]


def test_pictures_without_a_face_or_that_are_none_do_not_stop_the_others(portrait, predictor):
    answers = predictor.predict([encoded(data.brick()), b"hello", portrait, portrait[: len(portrait) // 2]])
    assert answers[0] == []
    assert isinstance(answers[1], ImageError)
    assert answers[1].status == "not_an_image"
    assert len(answers[2]) == 1
    assert isinstance(answers[3], ImageError)
    assert answers[3].status == "truncated"
    assert predictor.predict([]) == []


def test_boxes_are_drawn_where_the_faces_are(portrait, predictor):
    ((face,),) = predictor.predict([portrait])
    drawn = draw_faces(portrait, [face])
    changed = np.abs(drawn.astype(int) - data.astronaut()).max(axis=2) > 100
    rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
    x0, _, x1, y1 = face.box
    assert drawn.shape == (512, 512, 3)
    assert columns.min() == pytest.approx(x0, abs=3)
    assert columns.max() == pytest.approx(x1, abs=40)  # the words may be wider than the box
    assert rows.max() == pytest.approx(y1, abs=3)


def test_a_network_of_values_answers_values_and_draws_the_point(faces, portrait):
    contract = {**read_snapshot(faces).contract, "classes": list(CLASSES)}
    path = make_checkpoint(faces.parent / "affect", contract, classes=("valence", "arousal"), task="affect")
    predictor = Predictor(load_checkpoint(path))
    ((face,),) = predictor.predict([portrait])
    expected = predictor.checkpoint.predict_affect(face.pixels[None])[0, :2]
    assert face.predicted is None
    assert not face.probabilities
    assert list(face.affects) == ["valence", "arousal"]
    np.testing.assert_allclose(list(face.affects.values()), expected, atol=5e-3)

    x0, y0, x1, y1 = map(round, face.box)
    inside = np.s_[(y0 + y1) // 2 : y1, (x0 + x1) // 2 : x1]  # without the words

    def white(valence, arousal):
        """Return the middle of the drawn point, relative to the middle of the circle, valence to the right."""
        moved = replace(face, affects={"valence": valence, "arousal": arousal})
        drawn, still = (
            draw_faces(portrait, [one])[inside].astype(int)
            for one in (moved, replace(face, affects={"valence": 0.0, "arousal": 0.0}))
        )
        gained = np.argwhere((drawn - still).min(axis=2) > 150)
        gone = np.argwhere((still - drawn).min(axis=2) > 150)
        return (gained.mean(axis=0) - gone.mean(axis=0))[::-1] * (1, -1)

    right, up = white(1.0, 0.0), white(0.0, 1.0)
    radius = right[0]
    assert radius > 5
    np.testing.assert_allclose(right, (radius, 0), atol=1.5)
    np.testing.assert_allclose(up, (0, radius), atol=1.5)
    # What lies beyond the rim is put onto it.
    np.testing.assert_allclose(white(-1.0, -1.0), (-radius * 0.5**0.5,) * 2, atol=1.5)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"align": {"template": "other"}}, "faces of template other"),
        ({"align": None}, "faces of template None"),
        ({"equalize": {"method": "clahe"}}, "does not say how to equalize: space"),
    ],
)
def test_a_contract_that_cannot_be_replayed_is_refused(faces, change, said):
    contract = {**read_snapshot(faces).contract, **change}
    with pytest.raises(ModelError, match=said):
        (read_align(contract), read_equalize(contract))


def test_a_detector_that_is_not_here_is_one_line(faces, tmp_path):
    contract = read_snapshot(faces).contract
    contract = {**contract, "align": {**contract["align"], "cascade": ["no_such_package:Detector"]}}
    path = make_checkpoint(tmp_path, contract)
    with pytest.raises(ModelError, match="detector that is not here"):
        Predictor(load_checkpoint(path))
