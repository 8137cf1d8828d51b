import cv2
import numpy as np
import pytest

from pipeline.core.errors import TableError
from pipeline.split.duplicates import DUPLICATES, confirm, find_duplicates

from .conftest import made_face

THRESHOLD = 0.93


def gamma(pixels, power):
    return np.round(255 * (pixels / 255) ** power).astype(np.uint8)


def encoded(pixels, quality):
    return cv2.imdecode(cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_UNCHANGED)


def shifted(pixels, right=2, down=-2):
    move = np.array([[1, 0, right], [0, 1, down]], np.float32)
    return cv2.warpAffine(pixels, move, pixels.shape[1::-1], borderMode=cv2.BORDER_REPLICATE)


def resized(pixels, scale):
    small = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return cv2.resize(small, pixels.shape[1::-1], interpolation=cv2.INTER_CUBIC)


def warped(pixels, degrees=0.0, scale=1.0, slope=0.0):
    move = cv2.getRotationMatrix2D((112, 112), degrees, scale) @ np.array(
        [[1, slope, -112 * slope], [0, 1, 0], [0, 0, 1]]
    )
    return cv2.warpAffine(pixels, move, pixels.shape[1::-1])


def noisy(pixels, spread=12):
    return np.clip(pixels + np.random.default_rng(5).normal(0, spread, pixels.shape), 0, 255).astype(np.uint8)


def cut_out(pixels, top=60, left=130, side=86):
    """A black square of 15% of the picture."""
    changed = pixels.copy()
    changed[top : top + side, left : left + side] = 0
    return changed


CHANGES = {
    "resized": lambda pixels: resized(pixels, 0.5),
    "quality 30": lambda pixels: encoded(pixels, 30),
    "quality 95": lambda pixels: encoded(pixels, 95),
    "shifted": shifted,
    "mirrored": lambda pixels: pixels[:, ::-1],
    "darker": lambda pixels: gamma(pixels, 2.0),
    "brighter": lambda pixels: gamma(pixels, 0.5),
    "turned": lambda pixels: warped(pixels, 6),
    "sheared": lambda pixels: warped(pixels, slope=0.12),
    "zoomed in": lambda pixels: warped(pixels, scale=1.06),
    "zoomed out": lambda pixels: warped(pixels, scale=0.94),
    "blurred": lambda pixels: cv2.GaussianBlur(pixels, (0, 0), 2),
    "noise": noisy,
    "cutout": cut_out,
    "cutout, turned, brighter": lambda pixels: warped(gamma(cut_out(pixels, 130, 20), 0.7), -3),
    "mirrored, turned": lambda pixels: warped(pixels, -5)[:, ::-1],
    "mirrored, darker, smaller": lambda pixels: encoded(gamma(resized(pixels, 0.7), 1.4), 60)[:, ::-1],
}


def found_pairs(files, **options):
    given = {"near": True, "threshold": THRESHOLD, "workers": 1} | options
    table = find_duplicates(files, **given).table
    assert table.schema == DUPLICATES
    return table.to_pylist()


def test_each_changed_copy_is_found_and_no_stranger(write_faces):
    faces = [made_face(seed) for seed in range(60)]
    changed = [change(faces[index]) for index, change in enumerate(CHANGES.values())]
    rows = found_pairs([write_faces(faces, "a"), write_faces(changed, "b")])
    expected = [(f"a/{index:04d}.png#0", f"b/{60 + index:04d}.png#0") for index in range(len(changed))]
    assert [(row["first"], row["second"]) for row in rows] == expected
    assert [row["mirrored"] for row in rows] == [name.startswith("mirrored") for name in CHANGES]


def test_a_copy_that_shows_less_is_found_before_its_original_too(write_faces):
    """What only one of two shows must not count, whichever of them is read first."""
    faces = [made_face(seed) for seed in range(60)]
    rows = found_pairs([write_faces([cut_out(faces[4]), *faces])])
    assert [(row["first"], row["second"]) for row in rows] == [("a/0000.png#0", "a/0005.png#0")]


def test_another_expression_of_one_face_is_another_picture(write_faces):
    """The mouth alone differs: a fiftieth of the picture, and all that a label speaks of."""
    faces = [made_face(seed) for seed in range(60)]
    other = faces[7].copy()
    other[136:170, 84:140] = made_face(70)[136:170, 84:140]
    mouth = cv2.GaussianBlur(np.float32(np.pad(np.ones((34, 56)), ((136, 54), (84, 84)))), (0, 0), 3)
    blended = np.round(other * mouth + faces[7] * (1 - mouth)).astype(np.uint8)
    assert found_pairs([write_faces([*faces, blended])]) == []


def test_same_pixels_are_said_to_be_the_same(write_faces):
    face = made_face(1)
    rows = found_pairs([write_faces([face, made_face(2), face]), write_faces([face])], near=False)
    assert [(row["first"][2:6], row["second"][2:6], row["kind"]) for row in rows] == [
        ("0000", "0002", "pixels"),
        ("0002", "0003", "pixels"),
    ]
    assert {row["similarity"] for row in rows} == {1.0}


def test_grey_and_colour_copies_are_near(write_faces):
    face = made_face(3)
    others = [made_face(seed) for seed in range(10, 30)]
    rows = found_pairs([write_faces([face, cv2.cvtColor(face, cv2.COLOR_GRAY2RGB), *others])])
    assert [(row["first"][2:6], row["second"][2:6]) for row in rows] == [("0000", "0001")]


def test_pairs_in_one_group_are_not_looked_at_again(write_faces):
    faces = [made_face(seed) for seed in range(20)]
    file = write_faces([*faces, gamma(faces[0], 1.5)])
    assert len(found_pairs([file])) == 1
    assert found_pairs([file], together={"a/0000.png#0": 7, "a/0020.png#0": 7}) == []


@pytest.mark.slow  # starts processes
def test_workers_do_not_change_the_result(write_faces):
    faces = [made_face(seed) for seed in range(6)]
    files = [write_faces(faces), write_faces([shifted(face) for face in faces[:2]])]
    alone = found_pairs(files)
    assert found_pairs(files, workers=2) == alone
    assert len(alone) == 2


@pytest.mark.parametrize(
    "faces", [[], [made_face(0)], [np.zeros((64, 64), np.uint8)] * 3, [np.full((8, 8, 3), 9, np.uint8)]]
)
def test_few_or_flat_faces_are_no_trouble(write_faces, faces):
    rows = found_pairs([write_faces(faces)])
    assert len(rows) == max(0, len(faces) - 1)


def test_a_torn_face_is_named(write_faces, tmp_path):
    import pyarrow as pa

    from pipeline.core.tables import write_table

    file = tmp_path / "part-00009.parquet"
    write_table(file, pa.table({"sample_id": ["x/1.png#0"], "image": pa.array([b"\xff\xd8torn"], pa.binary())}))
    with pytest.raises(TableError, match=r"part-00009\.parquet: x/1\.png#0: .*run align again"):
        found_pairs([file])


def test_blocks_of_pairs_change_nothing_and_bound_the_faces_in_memory(monkeypatch):
    random = np.random.default_rng(3)
    pairs = np.unique(np.sort(random.integers(0, 60, (150, 2)), axis=1), axis=0)
    pairs = np.column_stack([pairs, np.zeros(len(pairs), np.int64)])
    details = random.integers(-100, 100, (60, 4, 4)).astype(np.int8)
    read = []

    def each():
        read.clear()

        def look(wanted, _):
            read.append(len(wanted))
            return details[wanted]

        return confirm._each(lambda a, b, n: (int((a * b).sum()), n), pairs, confirm.COARSE, look, 2)

    whole = each()
    assert len(read) == 1
    monkeypatch.setattr(confirm, "_FACES_AT_ONCE", 10)
    assert each() == whole
    assert [number for _, number in whole] == list(range(len(pairs)))
    assert len(read) > 1
    assert max(read) <= 10
