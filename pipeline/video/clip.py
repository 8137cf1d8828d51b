"""The frames of one video as pixels, in the order of their times: each packet is decoded once."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import Any, BinaryIO, Final

import av
import numpy as np
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from pipeline.core.errors import ImageError
from pipeline.core.schema import Reason
from pipeline.video.container import open_video, time_ms, why

Pixels = NDArray[np.uint8]
# Packets of some AVI files are in another order than their times. So many frames beyond a missing one are looked at.
_AHEAD: Final = 4
# Earlier than this, decoding from the start costs less than finding out where to begin.
_SEEK_MS: Final = 10_000
# Of a decoder that keeps 17 frames of 1.5 bytes a pixel for reference, and the frame that leaves it as RGB.
_BYTES_PER_PIXEL: Final = 32
_LARGEST_ASPECT: Final = 4  # of pixels that are not square; beyond it, the header is not believed


class Clip:
    """One open video; `picture` is asked for ascending times."""

    def __init__(self, opener: Callable[[], BinaryIO], times_ms: Sequence[int], *, max_bytes: int) -> None:
        """Remember what to open; nothing is read yet.

        Args:
            opener: opens the file's bytes, seekable.
            times_ms: the times that will be asked for, ascending. Frames between them that no other frame is made from
                are not decoded.
            max_bytes: the limit on the memory that decoding takes.
        """
        self._opener = opener
        self._wanted = frozenset(times_ms)
        self._max_pixels = max_bytes // _BYTES_PER_PIXEL
        self._stack = ExitStack()
        self._frames: Iterator[Any] = iter(())
        self._stream: Any = None
        self._seen: dict[int, Any] = {}  # decoded frames that may yet be asked for
        self._at: int | None = None  # the time of the latest decoded frame
        self._damage = ""
        self._reformatter = VideoReformatter()  # one for all frames: to set it up takes longer than to convert a frame

    def close(self) -> None:
        """Close the file."""
        self._stack.close()

    def picture(self, at_ms: int, beat: Callable[[], None]) -> Pixels:
        """Return the frame at a time, (H, W, 3) RGB, turned as the file says and with square pixels.

        Args:
            at_ms: one of the times that were announced, later than those asked for before.
            beat: called before each packet is decoded.

        Raises:
            ImageError: corrupt, truncated or too_large.
        """
        if self._stream is None:
            self._open(at_ms, seek=at_ms > _SEEK_MS)
        beyond = 0
        while at_ms not in self._seen:
            frame = next(self._frames, None)
            beat()
            if frame is None:
                raise ImageError(Reason.corrupt if self._damage else Reason.truncated, self._damage or "ends before it")
            now = time_ms(frame.pts, self._stream)
            if now is None:
                continue
            if self._at is None and now > at_ms > _SEEK_MS and not self._seen:
                self._open(at_ms, seek=False)  # the file's index led too far
                continue
            self._at = now
            self._keep(now, frame)
            beyond += now > at_ms
            if beyond > _AHEAD:
                raise ImageError(Reason.corrupt, self._damage or "no such frame could be decoded")
        frame = self._seen.pop(at_ms)
        return self._pixels(frame)

    def _keep(self, now: int, frame: Any) -> None:
        if now in self._wanted:
            self._seen[now] = frame
        for old in [time for time in self._seen if len(self._seen) > _AHEAD + 1][:1]:
            del self._seen[old]

    def _open(self, at_ms: int, *, seek: bool) -> None:
        self._stack.close()
        container, stream = self._stack.enter_context(open_video(self._stack.enter_context(self._opener())))
        self._stream, self._at = stream, None
        self._check_size(stream.codec_context.width, stream.codec_context.height)
        # The size may change between frames, so the decoder is told, too.
        stream.codec_context.options = {"max_pixels": str(self._max_pixels)}
        if seek:
            container.seek(int(at_ms / 1000 / stream.time_base), stream=stream)
        self._frames = self._decode(container, stream)

    def _decode(self, container: Any, stream: Any) -> Iterator[Any]:
        context = stream.codec_context
        packets = container.demux(stream)
        while True:
            try:
                packet = next(packets, None)
                if packet is None:
                    return
                at = time_ms(packet.dts if packet.pts is None else packet.pts, stream)
                # No frame is made from one that is no reference, so it is only decoded if it is asked for.
                context.skip_frame = "DEFAULT" if at is None or at in self._wanted else "NONREF"
                frames = packet.decode()
            except (av.FFmpegError, OSError, ValueError) as error:
                self._damage = self._damage or f"damaged after {(self._at or 0) / 1000:g} s: {why(error)}"
                if isinstance(error, av.error.InvalidDataError):
                    continue
                return
            yield from (frame for frame in frames if not frame.is_corrupt)

    def _check_size(self, width: int, height: int) -> None:
        if width * height > self._max_pixels:
            raise ImageError(
                Reason.too_large,
                f"{width}x{height} pixels; align.max_decode_mb allows {self._max_pixels} pixels of a video",
            )

    def _pixels(self, frame: Any) -> Pixels:
        self._check_size(frame.width, frame.height)
        aspect = self._stream.codec_context.sample_aspect_ratio or 1
        aspect = float(aspect) if 1 / _LARGEST_ASPECT <= aspect <= _LARGEST_ASPECT else 1.0
        width = max(1, round(frame.width * aspect))
        self._check_size(width, frame.height)
        # One thread, because there is one worker process per core already.
        rgb: Any = self._reformatter.reformat(frame, width, frame.height, "rgb24", threads=1)
        pixels: Pixels = rgb.to_ndarray()
        return np.ascontiguousarray(np.rot90(pixels, round(frame.rotation / 90)))
