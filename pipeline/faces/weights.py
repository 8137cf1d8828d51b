"""The weights of facenet-pytorch's MTCNN, read out of that package without importing torch.

They are files of torch's first format: pickles one after the other, then each storage as its length and its numbers.
Importing torch to read 2 MB would cost every worker process two seconds and 200 MB.
"""

import importlib.util
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import ModelError

Weights = Mapping[str, NDArray[np.float32]]

_MAGIC: Final = 0x1950A86A20F9469CFC6C
_COUNT_BYTES: Final = 8


def read_weights(network: str) -> Weights:
    """Return the parameters of `pnet`, `rnet` or `onet` by name.

    Raises:
        ModelError: facenet-pytorch is not installed, or its file is not what release 2.6 ships.
    """
    path = _package() / "data" / f"{network}.pt"
    try:
        with path.open("rb") as stream:
            return _read_state(stream)
    except (OSError, pickle.UnpicklingError, EOFError, ValueError, KeyError) as error:
        raise ModelError(f"{path}: not the weights of facenet-pytorch 2.6: {error}") from None


def _package() -> Path:
    spec = importlib.util.find_spec("facenet_pytorch")
    if spec is None or spec.origin is None:
        raise ModelError("facenet-pytorch is not installed; its package brings the weights of MTCNN")
    return Path(spec.origin).parent


class _State(dict[str, Any]):
    """A state dict; being a class of its own, it takes the attribute that torch hangs on to it."""


class _Storage:
    """One storage of the file; filled after the pickle that names it was read."""

    def __init__(self) -> None:
        self.numbers: NDArray[np.float32] = np.zeros(0, np.float32)


class _Tensor:
    """A view of a storage, resolved once the storages are filled."""

    def __init__(self, storage: _Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...]) -> None:
        self.storage, self.offset, self.shape, self.strides = storage, offset, shape, strides

    def array(self) -> NDArray[np.float32]:
        strides = [4 * stride for stride in self.strides]
        view = np.lib.stride_tricks.as_strided(self.storage.numbers[self.offset :], self.shape, strides)
        return np.ascontiguousarray(view)


def _rebuild(storage: _Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: Any) -> _Tensor:
    return _Tensor(storage, offset, shape, strides)


class _Reader(pickle.Unpickler):
    """Understands the three names a state dict needs, and no other: nothing else of the file can be run."""

    def __init__(self, stream: BinaryIO) -> None:
        super().__init__(stream)
        self.storages: dict[str, _Storage] = {}

    def find_class(self, module: str, name: str) -> Any:
        match module, name:
            case "collections", "OrderedDict":
                return _State
            case "torch._utils", "_rebuild_tensor_v2":
                return _rebuild
            case "torch", "FloatStorage":
                return _Storage
        raise pickle.UnpicklingError(f"unexpected {module}.{name}")

    def persistent_load(self, key: Any) -> _Storage:
        return self.storages.setdefault(key[2], _Storage())


def _read_state(stream: BinaryIO) -> Weights:
    if _Reader(stream).load() != _MAGIC:
        raise ValueError("wrong magic number")
    _Reader(stream).load()  # protocol
    _Reader(stream).load()  # sizes of the writer's machine
    reader = _Reader(stream)
    state = reader.load()
    for key in _Reader(stream).load():
        count = int.from_bytes(stream.read(_COUNT_BYTES), "little")
        reader.storages[key].numbers = np.frombuffer(stream.read(4 * count), "<f4")
    return {name: tensor.array() for name, tensor in state.items()}
