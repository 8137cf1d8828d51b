"""Equalization against OpenCV called directly, on generated faces."""

from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.core.errors import TableError
from pipeline.core.lineage.identity import identity
from pipeline.core.lineage.snapshot import read_snapshot
from pipeline.core.params import EqualizeParams
from pipeline.core.parts import Resume, kept_parts
from pipeline.core.schema import DETECTIONS, FACES
from pipeline.core.stage_output import stage_output
from pipeline.core.tables import digest_rows, read_table, rows_to_table
from pipeline.equalize import stage
from pipeline.equalize.pixels import equalize_pixels
from pipeline.equalize.stage import run as equalize
from pipeline.images import decode_face, encode_face

UNTOUCHED = {
    "denoise": "none",
    "denoise_px": 3,
    "denoise_levels": 25.0,
    "normalize": "none",
    "method": "none",
    "space": "luma",
    "clip_limit": 2.0,
    "tiles": 8,
}


def make_params(method="clahe", space="luma", clip_limit=2.0, tiles=8):
    return EqualizeParams(**(UNTOUCHED | {"method": method, "space": space, "clip_limit": clip_limit, "tiles": tiles}))


def make_picture(seed=0, side_px=64, *, grey=False):
    noise = np.random.default_rng(seed).integers(0, 255, (side_px, side_px, 3), dtype=np.uint8)
    picture = cv2.GaussianBlur(noise, (0, 0), 4) // 2 + 40
    return picture[:, :, 0].copy() if grey else picture


def make_faces(folder: Path, rows: int = 9, rows_per_part: int = 4) -> Path:
    with stage_output(folder, stage="align", sources=[], params={}) as output:
        faces = [
            {
                "sample_id": f"toy/{number}.png#0",
                "dataset": "toy",
                "source_path": f"{number}.png",
                "face_number": 0,
                "source_md5": "0" * 32,
                "source_labels": ["happy"],
                "image": encode_face(make_picture(number, grey=number % 3 == 0)),
                "face_box": [0.0, 0.0, 9.0, 9.0],
                "landmarks": [float(value) for value in range(10)],
                "face_score": 1.0,
                "detector": "given",
                "attempt": "given",
                "turn_deg": 0,
            }
            for number in range(rows)
        ]
        for part, start in enumerate(range(0, rows, rows_per_part)):
            output.write_table(f"part-{part:05d}.parquet", rows_to_table(faces[start : start + rows_per_part], FACES))
        detections = [face | {"status": "aligned"} for face in faces]
        output.write_table("detections.parquet", rows_to_table(detections, DETECTIONS))
        output.finish(rows_in=rows, rows_out=rows, contract={"align": {"size_px": 64}})
    return folder


def test_a_run_that_died_is_taken_up_and_leaves_nothing_behind(tmp_path, monkeypatch):
    faces, said = make_faces(tmp_path / "aligned"), []
    equalize(faces, tmp_path / "clean", make_params(), workers=1)
    real = stage._equalize_face

    def die(part, sample_id, image):
        if sample_id == "toy/8.png#0":
            raise KeyboardInterrupt
        return real(part, sample_id, image)

    monkeypatch.setattr(stage, "_equalize_face", die)
    with pytest.raises(KeyboardInterrupt):
        equalize(faces, tmp_path / "out", make_params(), workers=1)
    monkeypatch.setattr(stage, "_equalize_face", real)
    done = []
    equalize(
        faces,
        tmp_path / "out",
        make_params(),
        workers=1,
        resume=Resume(say=said.append),
        progress=lambda *now: done.append(now),
    )
    assert said == ["2 of 3 parts taken over from an earlier run"]
    assert done[0] == (8, 9, "faces")
    assert identity(tmp_path / "out") == identity(tmp_path / "clean")
    assert kept_parts(tmp_path) == []
    equalize(faces, tmp_path / "out", make_params(), workers=1, resume=Resume(say=said.append))
    assert len(said) == 1


def opencv_luma(picture, function):
    planes = list(cv2.split(cv2.cvtColor(picture, cv2.COLOR_RGB2YCrCb)))
    planes[0] = function(planes[0])
    return cv2.cvtColor(cv2.merge(planes), cv2.COLOR_YCrCb2RGB)


@pytest.mark.parametrize(("clip_limit", "tiles"), [(2.0, 8), (0.5, 3), (40.0, 1), (4.0, 64)])
def test_clahe_on_luma_is_opencvs(clip_limit, tiles):
    picture = make_picture()
    oracle = opencv_luma(picture, cv2.createCLAHE(clip_limit, (tiles, tiles)).apply)
    found = equalize_pixels(picture, make_params(clip_limit=clip_limit, tiles=tiles))
    np.testing.assert_array_equal(found, oracle)
    assert not np.array_equal(found, picture)


def test_hist_on_luma_is_opencvs():
    picture = make_picture()
    oracle = opencv_luma(picture, cv2.equalizeHist)
    np.testing.assert_array_equal(equalize_pixels(picture, make_params("hist")), oracle)


def test_hist_spreads_a_narrow_histogram_over_the_whole_range():
    ramp = np.tile(np.arange(100, 116, dtype=np.uint8), (16, 1))
    found = equalize_pixels(ramp, make_params("hist"))
    assert (found.min(), found.max()) == (0, 255)
    # 16 levels of 16 pixels each: level k becomes 255 * k / 15.
    np.testing.assert_array_equal(found[0], np.round(255 * np.arange(16) / 15))


@pytest.mark.parametrize("method", ["hist", "clahe"])
def test_channels_are_equalized_one_by_one(method):
    picture = make_picture()
    function = cv2.equalizeHist if method == "hist" else cv2.createCLAHE(2.0, (8, 8)).apply
    oracle = cv2.merge([function(plane) for plane in cv2.split(picture)])
    np.testing.assert_array_equal(equalize_pixels(picture, make_params(method, "channels")), oracle)


@pytest.mark.parametrize("method", ["hist", "clahe"])
@pytest.mark.parametrize("space", ["luma", "channels"])
def test_grey_stays_grey_with_or_without_channels(method, space):
    grey = make_picture(grey=True)
    params = make_params(method, space)
    alone = equalize_pixels(grey, params)
    assert alone.shape == grey.shape
    coloured = equalize_pixels(np.dstack([grey] * 3), params)
    np.testing.assert_array_equal(coloured, np.dstack([alone] * 3))


def test_luma_keeps_chroma_where_nothing_saturates():
    picture = make_picture()
    found = equalize_pixels(picture, make_params(clip_limit=1.0))
    before, after = (cv2.cvtColor(p, cv2.COLOR_RGB2YCrCb)[:, :, 1:].astype(int) for p in (picture, found))
    inside = ((found > 0) & (found < 255)).all(axis=2)
    assert inside.mean() > 0.9
    assert np.abs(before - after)[inside].max() <= 2


def test_none_returns_the_same_array_and_the_same_bytes(tmp_path):
    picture = make_picture()
    assert equalize_pixels(picture, make_params("none")) is picture
    src = make_faces(tmp_path / "aligned")
    equalize(src, tmp_path / "faces", make_params("none"), workers=1)
    for part in sorted(src.glob("part-*.parquet")):
        assert (tmp_path / "faces" / part.name).read_bytes() == part.read_bytes()


def test_only_the_image_changes_and_the_contract_grows(tmp_path):
    src, out = make_faces(tmp_path / "aligned"), tmp_path / "faces"
    seen = []
    summary = equalize(src, out, make_params(), workers=1, progress=lambda *step: seen.append(step[:2]))
    assert (summary["rows_in"], summary["rows_out"], summary["rejected"]) == (9, 9, {})
    assert seen == [(done, 9) for done in range(10)]
    before, after = read_table(src), read_table(out)
    assert after.schema == before.schema
    assert after.drop_columns(["image"]).equals(before.drop_columns(["image"]))
    for old, new in zip(before["image"].to_pylist(), after["image"].to_pylist(), strict=True):
        assert new == encode_face(equalize_pixels(decode_face(old), make_params()))
        assert decode_face(new).ndim == decode_face(old).ndim
    assert (out / "detections.parquet").read_bytes() == (src / "detections.parquet").read_bytes()
    assert read_snapshot(out).contract == {"align": {"size_px": 64}, "equalize": make_params().plain()}


def test_the_number_of_processes_does_not_change_a_byte(tmp_path):
    src = make_faces(tmp_path / "aligned")
    for workers in (1, 2):
        equalize(src, tmp_path / f"faces{workers}", make_params("hist"), workers=workers)
    files = sorted(path.name for path in (tmp_path / "faces1").iterdir())
    assert [path.name for path in sorted((tmp_path / "faces2").iterdir())] == files
    for name in files:
        assert (tmp_path / "faces1" / name).read_bytes() == (tmp_path / "faces2" / name).read_bytes()


def test_a_torn_face_is_named(tmp_path):
    src = make_faces(tmp_path / "aligned", rows=2)
    part = src / "part-00000.parquet"
    table = read_table(part)
    images = table["image"].to_pylist()
    torn = table.set_column(table.schema.get_field_index("image"), "image", pa.array([images[0], images[1][:-40]]))
    pq.write_table(torn.cast(FACES), part)
    with pytest.raises(TableError, match=r"part-00000\.parquet: toy/1\.png#0: .*run align again"):
        equalize(src, tmp_path / "faces", make_params(), workers=1)
    assert not (tmp_path / "faces").exists()


def test_a_folder_without_faces_is_refused(tmp_path):
    with pytest.raises(TableError, match="no table here"):
        equalize(tmp_path, tmp_path / "faces", make_params(), workers=1)


def test_the_rows_digest_differs_by_method(tmp_path):
    src = make_faces(tmp_path / "aligned", rows=2)
    digests = set()
    for method in ("none", "hist", "clahe"):
        equalize(src, tmp_path / method, make_params(method), workers=1)
        digests.add(digest_rows(tmp_path / method))
    assert len(digests) == 3


@pytest.mark.parametrize("method", ["none", "clahe"])
def test_a_folder_without_a_single_face_is_an_error(tmp_path, method):
    with stage_output(tmp_path / "src", stage="align", sources=[], params={}) as output:
        output.write_table("part-00000.parquet", FACES.empty_table())
        output.write_table("detections.parquet", DETECTIONS.empty_table())
        output.finish(rows_in=0, rows_out=0)
    with pytest.raises(TableError, match="src: holds no face; run align again and see its rejects"):
        equalize(tmp_path / "src", tmp_path / "out", make_params(method), workers=1)
    assert not (tmp_path / "out").exists()
