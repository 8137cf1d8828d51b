"""Decoding over threads, and by the thread that waits.

simplejpeg (libjpeg-turbo) releases the interpreter's lock while it decodes, so threads scale like processes here and
share memory for nothing. Whoever shows faces to a network decodes them here, so that it sees the same pixels.
"""

import sys
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from typing import Any, Final, Generic, TypeVar

import numpy as np
import numpy.typing as npt
import simplejpeg

from models.core.inputs import InputSpec
from models.data.encoded import EncodedRows
from pipeline.core.errors import DataError

_CHUNK_ROWS: Final = 8  # what a thread decodes at a time: some milliseconds

Pixels = npt.NDArray[np.uint8]
Result = TypeVar("Result")


class Task(Generic[Result]):
    """Work for a thread of the pool, or for whoever asks for the result before a thread has begun it."""

    def __init__(self, work: Callable[[], Result], pool: Executor | None) -> None:
        self._work = work
        self._future: Future[Result] = Future() if pool is None else pool.submit(work)

    def steal(self) -> None:
        """Do the work here and now, unless a thread has begun it or it is done."""
        if self._future.cancel():
            self._future = Future()
            self._future.set_running_or_notify_cancel()
            self._future.set_result(self._work())

    def result(self) -> Result:
        """Return what the work gives; raises what it raises."""
        self.steal()
        return self._future.result()


class Blocks:
    """Blocks of pixels, given out again when nobody holds them any more.

    Fresh memory costs some percent of the decoding, because the kernel clears it first. A block that is still held, by
    a tensor, by a view of one or by a thread, is never given out.
    """

    def __init__(self, most: int) -> None:
        self._blocks: deque[Pixels] = deque(maxlen=most)

    def take(self, shape: tuple[int, ...]) -> Pixels:
        """Return a block of this shape with whatever is in it."""
        for block in self._blocks:
            if block.shape == shape and sys.getrefcount(block) == _UNHELD:
                return block
        block = np.empty(shape, np.uint8)
        self._blocks.append(block)
        return block


def _references_of_an_unheld_block() -> int:
    """Count what the container, the loop and the call hold, in a loop like that of `Blocks.take`."""
    return max(sys.getrefcount(block) for block in deque([np.empty(1, np.uint8)]))


_UNHELD: Final = _references_of_an_unheld_block()


class Decoding:
    """The pictures of one batch on their way to one block of memory (B, H, W, 3).

    Args:
        rows: with the pictures.
        pool: whose threads help.
        blocks: of memory.
        spec: the input that they are for, which says at what scale they are decoded; None: in full.
    """

    def __init__(self, rows: EncodedRows, pool: Executor | None, blocks: Blocks, spec: InputSpec | None) -> None:
        self.rows = rows
        try:
            height, width = _size(rows.images[0], spec)
        except ValueError as error:
            raise DataError(f"{rows.sample_ids[0]}: its picture cannot be decoded: {error}") from None
        self._pixels = blocks.take((len(rows), height, width, 3))
        self._tasks = [Task(_Chunk(self, start), pool) for start in range(0, len(rows), _CHUNK_ROWS)]

    def pixels(self) -> Pixels:
        """Return the decoded pictures; helps decoding while it waits.

        Raises:
            DataError: a picture cannot be decoded or has another size than the first; names its sample.
        """
        for task in reversed(self._tasks):
            task.steal()
        for task in self._tasks:
            task.result()
        self._tasks = []  # they hold this object in turn, and with it the pixels
        return self._pixels

    def decode(self, start: int) -> None:
        """Decode one chunk into its place."""
        images = self.rows.images[start : start + _CHUNK_ROWS]
        for at, content in enumerate(images, start):
            target = self._pixels[at]
            try:
                decoded = _decode_into(content, target)
            except ValueError as error:
                raise DataError(f"{self.rows.sample_ids[at]}: its picture cannot be decoded: {error}") from None
            if decoded.shape != target.shape:
                raise DataError(f"{self.rows.sample_ids[at]}: {_named(decoded)}, the others {_named(target)}")


class _Chunk:
    def __init__(self, decoding: Decoding, start: int) -> None:
        self._decoding, self._start = decoding, start

    def __call__(self) -> None:
        self._decoding.decode(self._start)


def decode_for(contents: Sequence[bytes], spec: InputSpec) -> Pixels:
    """Return stored faces of one size as (N, H, W, 3), at the scale that an input needs.

    Raises:
        ValueError: one cannot be decoded, or has another size than the first.
    """
    pixels = np.empty((len(contents), *_size(contents[0], spec), 3), np.uint8)
    for content, target in zip(contents, pixels, strict=True):
        _decode_into(content, target)
    return pixels


def _decode_into(content: Any, target: Pixels) -> Pixels:
    """Decode a picture, at the smallest scale that fills the target (H, W, 3)."""
    height, width = target.shape[:2]
    decoded: Pixels = simplejpeg.decode_jpeg(content, "RGB", buffer=target, min_height=height, min_width=width)
    return decoded


def _size(content: Any, spec: InputSpec | None) -> tuple[int, int]:
    """Return height and width at which a picture is decoded."""
    height, width, *_ = simplejpeg.decode_jpeg_header(content)
    factor = spec.factor(height) if spec and height == width else 1
    return height // factor, width // factor


def _named(pixels: npt.NDArray[Any]) -> str:
    return f"{pixels.shape[1]}x{pixels.shape[0]} px"
