"""Every crafted file gets its pixels or its status; geometry of scaled pictures; real photographs where they are."""

import io
import json
import pickle
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from pipeline.core.errors import ImageError
from pipeline.core.schema import Reason
from pipeline.images import decode, decode_face, encode_face, open_picture
from tests.pipeline.images.broken import broken_cases
from tests.pipeline.images.cases import noise, orientation_exif, pillow_pixels, plain_files, save
from tests.pipeline.images.decode_memory import MADE
from tests.pipeline.images.whole import whole_cases

MAX_BYTES = 512_000_000
EDGE_CASES = Path("../shared/data/edge_cases")
CASES = whole_cases() + broken_cases()
REASONS = ("truncated", "corrupt", "not_an_image", "unsupported_format", "too_large", "too_small")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_each_crafted_file_gets_its_pixels_or_its_status(case):
    if case.pixels is None:
        with pytest.raises(ImageError) as caught:
            decode(case.content, max_bytes=MAX_BYTES)
        assert (caught.value.status, len(str(caught.value).splitlines())) == (case.status, 1)
        assert case.said in caught.value.detail
        return
    pixels = decode(case.content, max_bytes=MAX_BYTES)
    assert pixels.dtype == np.uint8
    assert pixels.shape == case.pixels.shape
    assert np.abs(pixels - case.pixels.astype(float)).max() <= case.tolerance
    header = open_picture(case.content).header
    assert (header.height, header.width) == pixels.shape[:2]


def test_there_are_enough_of_them_and_every_status_is_met():
    assert len(CASES) >= 400
    assert len({case.name for case in CASES}) == len(CASES)
    assert {case.status for case in CASES if case.status} == set(REASONS) - {"too_small"}
    assert set(REASONS) <= set(Reason)


def test_a_picture_may_be_too_small():
    content = plain_files()["png"]
    assert decode(content, max_bytes=MAX_BYTES, min_side_px=61).shape == (61, 83, 3)
    with pytest.raises(ImageError, match="too_small: 83x61 pixels; the least side is 62"):
        decode(content, max_bytes=MAX_BYTES, min_side_px=62)


def test_the_limit_on_memory_is_exact():
    content = plain_files()["jpeg"]
    needed = 3 * 61 * 83 + len(content)
    assert decode(content, max_bytes=needed).shape == (61, 83, 3)
    with pytest.raises(ImageError, match="too_large: 83x61 pixels, which take 0 MB to decode"):
        decode(content, max_bytes=needed - 1)
    scaled = 3 * 8 * 11 + len(content)
    assert open_picture(content).decode_scaled(8, max_bytes=scaled).pixels.shape == (8, 11, 3)
    with pytest.raises(ImageError, match="too_large"):
        open_picture(content).decode_scaled(8, max_bytes=scaled - 1)


# What Pillow and NumPy take besides, whatever the size: their modules, and one band of rows.
SLACK_MIB = 14


def assert_taken_as_estimated(*names):
    """The oracle is the kernel's count of a child process."""
    command = [sys.executable, "-W", "error", "-m", "tests.pipeline.images.decode_memory", *names]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[3])
    assert done.returncode == 0, done.stderr[-2000:]
    for kind, found in json.loads(done.stdout).items():
        assert found["taken"] <= found["estimate"] + SLACK_MIB, (kind, found)


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's count is Linux's")
def test_decoding_takes_no_more_memory_than_its_header_says():
    assert_taken_as_estimated("webp-empty", "png-16-4", "jpeg-progressive-0", "jpeg-odd")


@pytest.mark.faults
@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's count is Linux's")
def test_no_kind_of_picture_takes_more_memory_than_its_header_says():
    assert_taken_as_estimated()


def test_a_tiny_file_with_a_huge_canvas_is_refused_before_memory_is_taken():
    for name in ("webp-empty", "gif"):
        content = bytearray(MADE[name]()) if name == "webp-empty" else bytearray(plain_files()["gif"])
        if name == "webp-empty":
            content[24:30] = (7999).to_bytes(3, "little") * 2
        else:
            content[6:10] = (9000).to_bytes(2, "little") * 2
        assert len(content) < 10_000
        with pytest.raises(ImageError, match="too_large"):
            decode(bytes(content), max_bytes=MAX_BYTES)


def test_a_status_survives_the_way_from_a_worker():
    with pytest.raises(ImageError) as caught:
        decode(b"", max_bytes=MAX_BYTES)
    copy = pickle.loads(pickle.dumps(caught.value))  # noqa: S301 -- our own
    assert (copy.status, copy.detail) == ("truncated", "the file is empty")


@pytest.mark.parametrize("name", sorted(plain_files()))
def test_no_cut_is_ever_filled(name):
    """Cut anywhere: a status, or the very same pixels where what is missing holds none."""
    content = plain_files()[name]
    full = decode(content, max_bytes=MAX_BYTES)
    for cut in {
        *range(64),
        *range(64, len(content), max(1, len(content) // 60)),
        *range(len(content) - 8, len(content)),
    }:
        try:
            pixels = decode(content[:cut], max_bytes=MAX_BYTES)
        except ImageError as error:
            assert error.status == Reason.truncated, cut  # noqa: PT017 -- a status or pixels
            continue
        np.testing.assert_array_equal(pixels, full)


def test_1600_mutated_files_get_a_status_or_pixels_in_bounded_memory():
    command = [sys.executable, "-W", "error", "-m", "tests.pipeline.images.mutations", "1600", "20"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[3])
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stderr == ""
    found = json.loads(done.stdout)
    assert sum(found["outcomes"].values()) == 1600
    assert {"pixels", "truncated", "corrupt"} <= set(found["outcomes"]) <= {"pixels", *REASONS}
    assert found["peak_mib"] < 1500


def markers(width, height):
    """Four soft spots on black, far from the edges, and where their middles are."""
    points = np.array([(0.2, 0.3), (0.75, 0.2), (0.3, 0.8), (0.65, 0.7)]) * (width, height)
    x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    spots = [np.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * 16**2)) for px, py in points]
    return np.round(255 * np.max(spots, axis=0)).astype(np.uint8), points


def spot_middles(pixels, near, radius):
    """The centroid of brightness around each expected place; (0, 0) is the outer corner of the first pixel."""
    x, y = np.meshgrid(np.arange(pixels.shape[1]) + 0.5, np.arange(pixels.shape[0]) + 0.5)
    found = []
    for px, py in near:
        weight = np.where(np.hypot(x - px, y - py) < radius, pixels.astype(float), 0)
        found.append((np.average(x, weights=weight), np.average(y, weights=weight)))
    return np.array(found)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(("width", "height"), [(640, 480), (643, 477), (401, 606)])
def test_a_point_of_the_full_picture_is_found_in_the_scaled_one(orientation, width, height):
    spots, _ = markers(width, height)
    content = save(Image.fromarray(spots), "JPEG", quality=95, exif=orientation_exif(orientation))
    full = decode(content, max_bytes=MAX_BYTES)
    assert full.shape == ((height, width) if orientation < 5 else (width, height))
    stored = np.argwhere(full >= 250)
    assert len(stored)
    for least, scale in ((1, 0.125), (100, 0.25), (140, 0.375), (200, 0.5), (400, 1.0)):
        scaled = open_picture(content).decode_scaled(least, max_bytes=MAX_BYTES)
        assert (scaled.width, scaled.height) == (full.shape[1], full.shape[0])
        assert (scaled.scale_x, scaled.scale_y) == (scale, scale)
        assert min(scaled.pixels.shape) >= min(least, *full.shape)
        _, near = cv2.connectedComponentsWithStats((full > 200).astype(np.uint8))[2:]
        middles = spot_middles(full, near[1:] + 0.5, 40)
        expected = middles * (scaled.scale_x, scaled.scale_y) + (scaled.offset_x, scaled.offset_y)
        found = spot_middles(scaled.pixels, expected, 40 * scale)
        assert np.abs(found - expected).max() < 0.05


def test_other_formats_are_given_in_full():
    scaled = open_picture(plain_files()["png"]).decode_scaled(8, max_bytes=MAX_BYTES)
    assert (scaled.pixels.shape, scaled.scale_x, scaled.offset_x) == ((61, 83, 3), 1.0, 0.0)
    assert (scaled.width, scaled.height) == (83, 61)


@pytest.mark.parametrize("grey", [False, True])
def test_a_stored_face_keeps_its_channels_and_nearly_its_pixels(grey):
    face = noise(224, 224, 1 if grey else 3)
    content = encode_face(face)
    assert encode_face(face) == content
    again = decode_face(content)
    assert again.shape == face.shape
    assert np.abs(again - face.astype(float)).mean() < 1.0
    np.testing.assert_array_equal(again, np.array(Image.open(io.BytesIO(content))))


def test_a_stored_face_has_full_colour_resolution_and_any_memory_layout():
    face = noise(64, 64)
    with Image.open(io.BytesIO(encode_face(face))) as picture:
        assert picture.layer == [(1, 1, 1, 0), (2, 1, 1, 1), (3, 1, 1, 1)]
    assert encode_face(np.asfortranarray(face)[::1]) == encode_face(face)


def test_what_is_no_face_is_refused():
    with pytest.raises(ValueError, match="uint8"):
        encode_face(np.zeros((8, 8)))
    for content in (b"", b"no", encode_face(noise(16, 16))[:-30]):
        with pytest.raises(ImageError, match="stored face"):
            decode_face(content)


@pytest.mark.skipif(not EDGE_CASES.is_dir(), reason="the shared photographs are not here")
def test_real_photographs_are_read_as_pillow_reads_them():
    for path in sorted(EDGE_CASES.iterdir()):
        content = path.read_bytes()
        found, expected = decode(content, max_bytes=MAX_BYTES), pillow_pixels(content)
        assert found.shape == expected.shape, path.name
        assert np.abs(found - expected.astype(float)).mean() < 1, path.name
    assert open_picture((EDGE_CASES / "webp_named.jpg").read_bytes()).header.format == "WebP"
    assert decode((EDGE_CASES / "BWPictureHuman.jpg").read_bytes(), max_bytes=MAX_BYTES).ndim == 2
