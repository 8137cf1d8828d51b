"""Opening a video file that somebody else made.

PyAV is FFmpeg's own libraries in one wheel. OpenCV's reader uses them, too, but it lists no times without decoding,
does not tell a file that ended from one that broke, and takes no limit on the size of a frame.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, Final

import av

from pipeline.core.errors import ImageError
from pipeline.core.schema import Reason

VIDEO_SUFFIXES: Final = frozenset(
    {".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".wmv", ".flv", ".mpg", ".mpeg", ".3gp"}
)
# Demuxers of these files only: a playlist in a file named .mp4 could otherwise make FFmpeg open other files and hosts.
_FORMATS: Final = "mov,matroska,avi,asf,flv,mpeg,mpegts,mpegvideo"
_OPTIONS: Final = {"format_whitelist": _FORMATS, "protocol_whitelist": "none"}

Container = Any  # PyAV's classes are compiled, and their stubs say less than is used here
Stream = Any


def is_video(name: str) -> bool:
    """Return whether a name has the suffix of a video."""
    base, dot, suffix = name.rpartition("/")[2].rpartition(".")
    return bool(base) and dot + suffix.lower() in VIDEO_SUFFIXES


@contextmanager
def open_video(content: BinaryIO) -> Iterator[tuple[Container, Stream]]:
    """Open a file and its first stream of pictures.

    Args:
        content: the bytes of the file, seekable.

    Raises:
        ImageError: corrupt or not_an_image; says what FFmpeg misses.
    """
    try:
        container = av.open(content, metadata_errors="ignore", container_options=dict(_OPTIONS))
    except (av.FFmpegError, OSError, ValueError) as error:
        raise ImageError(Reason.corrupt, f"not a readable video: {why(error)}") from None
    with container:
        # A cover picture is a stream of one frame.
        streams = [stream for stream in container.streams.video if not stream.disposition & _COVER]
        if not streams:
            raise ImageError(Reason.not_an_image, "no stream of pictures, such as a file of sound alone")
        streams[0].thread_type = "NONE"
        yield container, streams[0]


_COVER: Final = av.stream.Disposition.attached_pic


def why(error: BaseException) -> str:
    """Return what FFmpeg says of an error, in one line."""
    return str(getattr(error, "strerror", "") or error).splitlines()[0]


def time_ms(pts: int | None, stream: Stream) -> int | None:
    """Return a time in the units of a stream as milliseconds from the start of the file; None where there is none."""
    base = stream.time_base
    if pts is None or base is None:
        return None
    # Rounded to even in whole numbers, as `round` does: arithmetic with fractions takes longer than reading the packet.
    whole, rest = divmod(pts * 1000 * base.numerator, base.denominator)
    return int(whole + (2 * rest + whole % 2 > base.denominator))
