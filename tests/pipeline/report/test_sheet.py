import os
import stat

import numpy as np
import pytest
from PIL import Image

from pipeline.core.errors import OutputError
from pipeline.report.sheet import Tile, build_sheet, write_png


def test_tiles_lie_in_rows_from_the_left():
    tiles = [Tile(np.full((20, 20, 3), 40 * number, np.uint8)) for number in range(1, 6)]
    sheet = build_sheet(tiles, columns=3, side_px=20)
    assert sheet.shape == (6 + 2 * 26, 6 + 3 * 26, 3)
    for number, (x, y) in enumerate([(0, 0), (1, 0), (2, 0), (0, 1), (1, 1)]):
        top, left = 6 + 26 * y, 6 + 26 * x
        assert (sheet[top : top + 20, left : left + 20] == 40 * (number + 1)).all()
    assert (sheet[32:, 6 + 2 * 26 :] == 255).all()


def test_grey_and_colour_are_scaled_to_one_side():
    tiles = [Tile(np.full((50, 50), 90, np.uint8)), Tile(np.full((8, 8, 3), 90, np.uint8))]
    sheet = build_sheet(tiles, columns=9, side_px=16)
    assert sheet.shape == (28, 50, 3)
    assert (sheet[6:22, 6:22] == 90).all()
    assert (sheet[6:22, 28:44] == 90).all()


def test_captions_are_drawn_below_and_stay_within_their_tile():
    plain = [Tile(np.zeros((30, 30), np.uint8), ("",)), Tile(np.zeros((30, 30), np.uint8), ("",))]
    long = "a very long name " * 20
    named = [Tile(plain[0].pixels, (long,)), plain[1]]
    without, with_name = build_sheet(plain, columns=2, side_px=30), build_sheet(named, columns=2, side_px=30)
    changed = np.argwhere((without != with_name).any(axis=2))
    assert len(changed) > 0
    assert changed[:, 0].min() >= 36
    assert changed[:, 1].max() < 6 + 30 + 6


def test_a_picture_has_no_metadata_and_the_same_bytes(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (20, 30, 3), dtype=np.uint8)
    for name in ("a.png", "b.png"):
        write_png(tmp_path / name, pixels)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    with Image.open(tmp_path / "a.png") as picture:
        assert not picture.info
        assert np.array_equal(np.asarray(picture), pixels)


def test_a_place_that_is_not_there_is_one_line(tmp_path):
    with pytest.raises(OutputError, match="cannot be written"):
        write_png(tmp_path / "no" / "a.png", np.zeros((4, 4), np.uint8))


def test_only_its_owner_reads_a_picture_new_or_written_over(tmp_path):
    """A face that others of the machine may read is as good as passed on."""
    old = tmp_path / "old.png"
    old.write_bytes(b"")
    old.chmod(0o644)
    before = os.umask(0o000)
    try:
        for path in (old, tmp_path / "new.png"):
            write_png(path, np.zeros((4, 4), np.uint8))
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
    finally:
        os.umask(before)
