"""Which frames of a video become samples, by the times of its packets: nothing is decoded."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO, Final

import av

from pipeline.core.errors import ImageError
from pipeline.core.params import VideoParams
from pipeline.core.schema import Reason
from pipeline.video.container import Container, Stream, open_video, time_ms, why

# A day at 60 frames a second. More is no clip, and a file can claim any number of frames of no bytes at all.
_MOST_FRAMES: Final = 60 * 60 * 60 * 24
_MOST_MS: Final = 2**31 - 1  # times are stored in 32 bits: 24 days
_SLACK_FRAMES: Final = 2  # a container's count of frames may include some that are not shown
_SLACK_MS: Final = 500  # nor does a file say exactly how long it is


@dataclass(frozen=True, slots=True)
class Frames:
    """The times of the chosen frames, in milliseconds and ascending, and why the rest of the file has none."""

    times_ms: Sequence[int]
    problem: tuple[Reason, str] | None = None


def list_frames(content: BinaryIO, choice: VideoParams) -> Frames:
    """Return the times of the frames of a video that are used.

    Args:
        content: the bytes of the file, seekable.
        choice: frames a second, the part of the video, and whether only key frames count.
    """
    try:
        with open_video(content) as (container, stream):
            shown, problem = _read_packets(container, stream, keyframes=choice.keyframes)
            return Frames(list(_choose(sorted(shown), choice)), problem)
    except ImageError as error:
        return Frames((), (Reason(error.status), error.detail))


def _read_packets(
    container: Container, stream: Stream, *, keyframes: bool
) -> tuple[set[int], tuple[Reason, str] | None]:
    """Return the times of all frames, and what is wrong with the end of the file."""
    shown: set[int] = set()
    packets = 0
    try:
        for packet in container.demux(stream):
            at = time_ms(packet.dts if packet.pts is None else packet.pts, stream)
            if not packet.size or at is None:
                continue
            packets += 1
            if packets > _MOST_FRAMES or at > _MOST_MS:
                return shown, (Reason.too_long, f"more than {_MOST_FRAMES} frames or {_MOST_MS // 1000} s")
            # Frames before 0 are cut away by the container; two frames at one time cannot both be shown.
            if at >= 0 and not packet.is_discard and not packet.is_corrupt and (packet.is_keyframe or not keyframes):
                shown.add(at)
    except (av.FFmpegError, OSError, ValueError) as error:
        return shown, (Reason.truncated, f"readable up to {_end(shown)}: {why(error)}")
    if not packets:
        return shown, (Reason.truncated, "a header without a single frame")
    return shown, _cut_off(container, stream, packets, shown)


def _cut_off(container: Container, stream: Stream, packets: int, shown: set[int]) -> tuple[Reason, str] | None:
    """Return what is missing of a file that declares more than it has."""
    kind = container.format.name
    if "mp4" in kind and stream.frames > packets + _SLACK_FRAMES:
        return Reason.truncated, f"declares {stream.frames} frames and has {packets}, up to {_end(shown)}"
    declared_s = _declared_s(kind, stream)
    if declared_s is not None and len(shown) > 1:
        last = sorted(shown)[-2:]
        if declared_s * 1000 > last[1] + 3 * (last[1] - last[0]) + _SLACK_MS:
            return Reason.truncated, f"declares {declared_s:g} s and ends at {_end(shown)}"
    return None


def _declared_s(kind: str, stream: Stream) -> float | None:
    """Return the length that an AVI or Matroska file declares for its pictures; its sound may be longer."""
    if kind == "avi":
        return float(stream.frames * stream.time_base) if stream.frames and stream.time_base else None
    found = re.fullmatch(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)", stream.metadata.get("DURATION", ""), re.ASCII)
    return int(found[1]) * 3600 + int(found[2]) * 60 + float(found[3]) if found else None


def _end(shown: set[int]) -> str:
    return f"{max(shown, default=0) / 1000:g} s"


def _choose(times: Sequence[int], choice: VideoParams) -> Iterator[int]:
    """Yield the first frame at or after each tick of `fps`; the first tick is at `first`."""
    if not times:
        return
    begin = times[0] + choice.first * 1000
    end = None if choice.last is None else times[0] + choice.last * 1000
    tick = 0  # of the next frame that is due
    for at in times:
        if at < begin or (end is not None and at > end):
            continue
        if choice.fps is None:
            yield at
            continue
        # Times are rounded to milliseconds, so a frame may seem to be one too early.
        passed = int((at + 1 - begin) * choice.fps // 1000)
        if passed >= tick:
            yield at
            tick = passed + 1
