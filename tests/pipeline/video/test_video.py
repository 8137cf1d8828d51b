"""Which frames of a video are used, and that they are the frames at those times. The oracle is what was encoded."""

import io
import random
import struct

import numpy as np
import pytest

from pipeline.core.errors import ImageError
from pipeline.core.params import VideoParams
from pipeline.demo.clips import write_video
from pipeline.video.clip import Clip
from pipeline.video.frames import list_frames

SUFFIXES = (".mp4", ".avi", ".mkv", ".webm", ".mov")


def choose(**more):
    return VideoParams(**({"fps": None, "first": 0, "last": None, "keyframes": False} | more))


def make(path, times_ms, size=(64, 48), **options):
    """Encode frames whose shade says which they are."""
    write_video(
        path, [np.full((size[1], size[0], 3), 8 * n % 256, np.uint8) for n in range(len(times_ms))], times_ms, **options
    )
    return path.read_bytes()


def shades(content, times_ms, **more):
    """Return the number of the frame at each time, or the reason why there is none."""
    clip = Clip(lambda: io.BytesIO(content), times_ms, **({"max_bytes": 10**9} | more))
    found = []
    for at in times_ms:
        try:
            found.append(round(float(clip.picture(at, lambda: None).mean()) / 8))
        except ImageError as error:
            found.append(error.status)
    clip.close()
    return found


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_frames_are_those_at_their_times(suffix, tmp_path):
    content = make(tmp_path / f"a{suffix}", range(0, 1200, 40))
    found = list_frames(io.BytesIO(content), choose(fps=5))
    assert found.problem is None
    start = found.times_ms[0]  # an AVI with frames out of order begins one frame late
    assert [at - start for at in found.times_ms] == [0, 200, 400, 600, 800, 1000]
    assert shades(content, found.times_ms) == [0, 5, 10, 15, 20, 25]


def test_a_rate_that_varies_and_the_part_that_is_used(tmp_path):
    times = [0, 40, 500, 510, 520, 1900, 2000]
    content = make(tmp_path / "a.mkv", times)
    assert list_frames(io.BytesIO(content), choose()).times_ms == times
    assert list_frames(io.BytesIO(content), choose(fps=2)).times_ms == [0, 500, 1900, 2000]
    assert list_frames(io.BytesIO(content), choose(first=0.5, last=1.9)).times_ms == [500, 510, 520, 1900]
    assert list_frames(io.BytesIO(content), choose(fps=1000)).times_ms == times
    assert shades(content, times) == list(range(7))


def test_key_frames_alone(tmp_path):
    content = make(tmp_path / "a.mp4", range(0, 1200, 40), g="10", keyint_min="10", sc_threshold="0")
    assert list_frames(io.BytesIO(content), choose(keyframes=True)).times_ms == [0, 400, 800]


def test_a_frame_far_in_is_found_without_decoding_what_comes_before(tmp_path):
    content = make(tmp_path / "a.mp4", range(0, 30_000, 1000), g="5")
    decoded = []
    clip = Clip(lambda: io.BytesIO(content), [27_000], max_bytes=10**9)
    picture = clip.picture(27_000, lambda: decoded.append(1))
    assert round(float(picture.mean()) / 8) == 27
    assert len(decoded) < 10
    clip.close()


def test_a_turned_video_is_turned(tmp_path):
    frame = np.zeros((48, 64, 3), np.uint8)
    frame[:, :32] = 200  # bright at the left
    write_video(tmp_path / "a.mp4", [frame] * 3, (0, 100, 200))
    content = (tmp_path / "a.mp4").read_bytes()
    # The matrix of a telephone held upright: a quarter clockwise (ISO 14496-12, 8.3.2).
    straight = struct.pack(">9i", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
    turned = struct.pack(">9i", 0, 1 << 16, 0, -1 << 16, 0, 0, 48 << 16, 0, 1 << 30)
    at = content.index(b"tkhd")
    place = content.index(straight, at)
    content = content[:place] + turned + content[place + len(turned) :]
    picture = Clip(lambda: io.BytesIO(content), [0], max_bytes=10**9).picture(0, lambda: None)
    assert picture.shape == (64, 48, 3)
    assert picture[:28].mean() > 180  # the left of the frame is now its top
    assert picture[36:].mean() < 20


@pytest.mark.parametrize("suffix", [".mkv", ".webm", ".avi"])
def test_of_a_cut_off_file_the_frames_before_are_kept(suffix, tmp_path):
    rng = np.random.default_rng(0)
    frames = [rng.integers(0, 255, (48, 64, 3), np.uint8) for _ in range(100)]
    write_video(tmp_path / f"a{suffix}", frames, range(0, 4000, 40))
    content = (tmp_path / f"a{suffix}").read_bytes()
    found = list_frames(io.BytesIO(content[: len(content) // 2]), choose(fps=5))
    assert found.problem is not None
    assert found.problem[0] == "truncated"
    assert "s" in found.problem[1]
    assert 5 <= len(found.times_ms) <= 15
    seen = shades(content[: len(content) // 2], found.times_ms)
    assert sum(isinstance(one, int) for one in seen) >= len(seen) - 1


def test_damage_loses_frames_and_never_more(tmp_path):
    content = bytearray(make(tmp_path / "a.mp4", range(0, 4000, 40), g="10"))
    chance = random.Random(1)
    for _ in range(5):
        content[chance.randrange(200, len(content) // 3)] = chance.randrange(256)
    found = list_frames(io.BytesIO(bytes(content)), choose())
    seen = shades(bytes(content), found.times_ms)
    assert {one for one in seen if not isinstance(one, int)} <= {"corrupt", "truncated"}


@pytest.mark.parametrize(
    "content",
    [b"", b"x" * 999, b"#EXTM3U\n#EXTINF:9,\nfile:///etc/hostname\n", b"ffconcat version 1.0\nfile a.mp4\n"],
    ids=["empty", "noise", "playlist", "concat"],
)  # fmt: skip
def test_what_is_no_video_is_said_and_opens_nothing_else(content):
    found = list_frames(io.BytesIO(content), choose())
    assert (list(found.times_ms), found.problem[0]) == ([], "corrupt")


def test_a_frame_that_takes_too_much_memory_is_refused_before_it_is_decoded(tmp_path):
    content = make(tmp_path / "a.mp4", [0, 100], size=(640, 480))
    assert shades(content, [0], max_bytes=640 * 480 * 32) == [0]
    assert shades(content, [0], max_bytes=640 * 480 * 32 - 1) == ["too_large"]
