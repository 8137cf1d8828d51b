"""Decoding with threads, including the one that waits for the result.

simplejpeg (libjpeg-turbo) releases the interpreter's lock while it decodes, so threads scale like processes here and
share memory at no cost. Every path to a network decodes here, so that all of them give the same pixels.
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

_CHUNK_ROWS: Final = 8  # pictures that a thread decodes at a time, which takes some milliseconds

Pixels = npt.NDArray[np.uint8]
Result = TypeVar("Result")


class Task(Generic[Result]):
    """Work for a thread of the pool, or for the thread that asks for the result before the pool has begun."""

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
    """A pool of pixel blocks, which are reused when nothing refers to them any more.

    New memory costs some percent of the decoding time, because the kernel clears it first. A block that a tensor, a
    view or a thread still refers to is never reused.
    """

    def __init__(self, most: int) -> None:
        self._blocks: deque[Pixels] = deque(maxlen=most)

    def take(self, shape: tuple[int, ...]) -> Pixels:
        """Return a block of this shape with arbitrary content."""
        for block in self._blocks:
            if block.shape == shape and sys.getrefcount(block) == _UNHELD:
                return block
        block = np.empty(shape, np.uint8)
        self._blocks.append(block)
        return block


def _references_of_an_unheld_block() -> int:
    """Return the reference count of a block that only the pool refers to, measured in a loop like `Blocks.take`.

    The count includes the references of the container, the loop and the call, and these differ between Python versions.
    """
    return max(sys.getrefcount(block) for block in deque([np.empty(1, np.uint8)]))


_UNHELD: Final = _references_of_an_unheld_block()


class Decoding:
    """The pictures of one batch while they are decoded into one block of memory (B, H, W, 3).

    Args:
        rows: with the encoded pictures.
        pool: threads that help; None: none.
        blocks: where memory comes from.
        spec: the network's input, which determines the scale of decoding; None: full size.
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
        """Return the decoded pictures; the calling thread helps to decode instead of waiting.

        Raises:
            DataError: a picture cannot be decoded or has another size than the first; names its sample.
        """
        for task in reversed(self._tasks):
            task.steal()
        for task in self._tasks:
            task.result()
        self._tasks = []  # they refer to this object, and so would keep the pixels in memory
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
    """Decode stored faces of one size to (N, H, W, 3), at the scale that an input needs.

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
