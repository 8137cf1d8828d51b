"""dlib's detectors, the choice among faces, and the cascade."""

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from pipeline.align.cascade import BUILDERS, build_cascade
from pipeline.align.choice import choose
from pipeline.align.detectors.detector import Faces, Hint, View
from pipeline.align.detectors.dlib_hog import DlibHog
from pipeline.align.detectors.dlib_mmod import DlibMmod
from pipeline.align.detectors.yunet import YuNet
from pipeline.align.search import find_faces
from pipeline.core.errors import ParamsError
from tests.pipeline.align.inputs import PORTRAIT_POINTS, align_params, portrait


@pytest.mark.parametrize("detector", [DlibHog, DlibMmod])
def test_dlib_finds_the_portrait(detector):
    pixels = portrait()[20:260, 100:340]
    for faces in detector().detect([View(pixels), View(pixels[:, :, 1])]):
        best = int(np.argmax(faces.scores))
        assert 0.5 < faces.scores[best] <= 1
        # dlib gives the corners of the eyes and the base of the nose; the mouth follows from the template.
        assert np.abs(faces.landmarks[best, :3] - PORTRAIT_POINTS[:3] + [100, 20]).max() < 6
        assert np.abs(faces.landmarks[best, 3:] - PORTRAIT_POINTS[3:] + [100, 20]).max() < 14


def test_dlib_sees_no_face_in_noise():
    noise = np.random.default_rng(0).integers(0, 256, (200, 200, 3)).astype(np.uint8)
    assert len(DlibHog().detect([View(noise)])[0]) == 0
    assert len(DlibHog().detect([View(noise[:3, :2])])[0]) == 0


@pytest.mark.parametrize("file", [None, "nowhere.onnx"])
def test_yunet_asks_for_its_file(file):
    with pytest.raises(ParamsError, match=r"align\.yunet_file"):
        YuNet(file)


def test_yunet_names_a_file_that_is_none(tmp_path):
    (tmp_path / "a.onnx").write_bytes(b"no network")
    with pytest.raises(ParamsError, match="OpenCV cannot read it"):
        YuNet(str(tmp_path / "a.onnx"))


def test_yunet_reads_what_the_network_gives(tmp_path):
    """A graph with YuNet's inputs and outputs that sees one face in the cell at column 3, row 2 of stride 8."""
    points = np.array([[0.1, 0.2], [1.1, 0.3], [0.6, 1.0], [0.2, 1.5], [1.2, 1.6]])
    answer = {"cls": 0.81, "obj": 1.0, "bbox": [0.5, 0.25, np.log(2), np.log(3)], "kps": points.ravel()}
    write_yunet(tmp_path / "one_face.onnx", 640, (3, 2), answer)
    (faces,) = YuNet(str(tmp_path / "one_face.onnx")).detect([View(np.zeros((1280, 1280), np.uint8))])
    assert faces.scores == pytest.approx([0.9])
    # The centre is 3.5, 2.25 cells from the corner, the sides 2 and 3 cells; the picture was seen at half its size.
    assert faces.boxes[0] == pytest.approx(np.array([2.5, 0.75, 4.5, 3.75]) * 8 * 2)
    assert faces.landmarks[0] == pytest.approx((np.add(points, (3, 2)) * 8 + 0.5) * 2 - 0.5)


def write_yunet(path, side_px, cell, answer):
    """Write a graph of constants; OpenCV wants the input to take part, so its mean is added nought times."""
    nodes = [
        helper.make_node("ReduceMean", ["input"], ["mean"], keepdims=0),
        helper.make_node("Mul", ["mean", "zero"], ["nothing"]),
    ]
    constants, outputs = [numpy_helper.from_array(np.float32(0), "zero")], []
    for kind, width in (("cls", 1), ("obj", 1), ("bbox", 4), ("kps", 10)):
        for stride in (8, 16, 32):
            values = np.zeros((1, (side_px // stride) ** 2, width), np.float32)
            if stride == 8:
                values[0, cell[1] * (side_px // stride) + cell[0]] = answer[kind]
            name = f"{kind}_{stride}"
            constants.append(numpy_helper.from_array(values, f"all_{name}"))
            nodes.append(helper.make_node("Add", [f"all_{name}", "nothing"], [name]))
            outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, values.shape))
    given = helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 3, side_px, side_px])
    graph = helper.make_graph(nodes, "yunet", [given], outputs, constants)
    path.write_bytes(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8).SerializeToString()
    )


def _faces(*boxes):
    boxes = np.array(boxes, float)
    return Faces(boxes, np.linspace(1, 0.9, len(boxes)), np.zeros((len(boxes), 5, 2)))


def test_the_largest_without_a_box():
    choice = choose(_faces([0, 0, 10, 10], [50, 50, 90, 90], [0, 0, 20, 20]), None)
    assert choice is not None
    assert (choice.row, choice.others, choice.box_iou) == (1, 2, None)


def test_the_face_in_the_box():
    faces = _faces([0, 0, 40, 40], [50, 50, 70, 70])
    choice = choose(faces, Hint(np.array([48.0, 49, 72, 71]), "face"))
    assert choice is not None
    assert choice.row == 1
    assert choice.box_iou == pytest.approx(400 / (24 * 22))
    assert choose(faces, Hint(np.array([200.0, 200, 240, 240]), "face")) is None


def test_the_face_of_the_body():
    """The neighbour's face overlaps the box, a drawing on the shirt is too low, a billboard is too large."""
    body = Hint(np.array([100.0, 100, 200, 400]), "body")
    faces = _faces([60, 110, 110, 170], [130, 330, 160, 360], [0, 0, 400, 300], [130, 110, 170, 160])
    choice = choose(faces, body)
    assert choice is not None
    assert choice.row == 3
    assert choose(_faces([130, 330, 160, 360]), body) is None


def test_no_face_is_no_choice():
    assert choose(Faces.none(), None) is None


def test_every_name_builds_or_says_what_it_needs():
    for name in BUILDERS:
        if name == "yunet":
            with pytest.raises(ParamsError):
                build_cascade(align_params(cascade=[name]))
        else:
            assert build_cascade(align_params(cascade=[name]))


def test_mtcnn_stands_for_its_steps():
    names = [attempt.name for attempt in build_cascade(align_params(cascade=["mtcnn"]))]
    assert names == [f"mtcnn-{step}" for step in ("box", "coarse", "medium", "fine", "padded", "full")]


@pytest.mark.parametrize("name", ["no.such.module:Thing", "json:Thing", "os.path:join", "json:JSONDecoder"])
def test_own_detector_that_is_not_there(name):
    with pytest.raises(ParamsError, match=r"align\.cascade"):
        build_cascade(align_params(cascade=[name]))


def test_later_attempts_see_only_what_was_missed():
    seen = []

    class Spy:
        name = "spy"

        def detect(self, views):
            seen.extend(view.pixels.shape[0] for view in views)
            return [Faces.none() for _ in views]

    from pipeline.align.cascade import Attempt

    attempts = [*build_cascade(align_params(cascade=["mtcnn-coarse"])), Attempt("spy", Spy(), one_at_a_time=True)]
    told = []
    views = [View(portrait()), View(np.zeros((77, 77), np.uint8)), View(np.zeros((55, 90, 3), np.uint8))]
    found = find_faces(attempts, views, told.append)
    assert [result is None for result in found] == [False, True, True]
    assert seen[:2] == [77, 55]
    # Turned by 180, 90 and 270 degrees, after all upright attempts.
    assert seen[2:] == [77, 55, 77, 90, 77, 90]
    assert told == [1, 2] * 4
