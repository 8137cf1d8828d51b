"""Published weights: downloaded from their hub or read from a file, verified, and never unpickled as code."""

import hashlib
import importlib.util
import re
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol
from urllib.parse import urlsplit
from urllib.request import getproxies

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from pipeline.core.errors import ModelError
from pipeline.core.extras import EXTRAS, lacking

State = Mapping[str, Tensor]

# torchvision and facenet-pytorch name a file by the first digits of its SHA-256.
_HASH_IN_NAME: Final = re.compile(r"-([0-9a-f]{8})\.pth$")
_CHUNK_BYTES: Final = 1 << 20
# Seconds until a machine without a network gives up, so that the error comes at once.
_CONNECT_S: Final = 5.0
# How an HDF5 file begins; Keras' .h5 exports are such files, and its .keras archives contain one.
_HDF5: Final = b"\x89HDF\r\n\x1a\n"
_HF_FILE: Final = "model.safetensors"
_KERAS: Final = frozenset({".h5", ".hdf5", ".keras"})


class Hub(Protocol):
    """The source of one network's published weights."""

    @property
    def source(self) -> str:
        """What gives them, for people: a hub, or an extra of this package."""

    @property
    def name(self) -> str:
        """What they are called there: a file, a repository or a package."""

    def path(self) -> Path | None:
        """Return the file if it is on this machine; never downloads it."""

    def fetch(self) -> State:
        """Return the state dict, downloading it when it is not in the cache."""


@dataclass(frozen=True, slots=True)
class Published:
    """Published weights of a network.

    Attributes:
        hub: where they come from.
        licence: under which their publisher gives them away; what they were trained on may have terms of its own.
        size_mb: returns the size of the file in units of 10^6 bytes; may take a second.
    """

    hub: Hub
    licence: str
    size_mb: Callable[[], float]


@dataclass(frozen=True, slots=True)
class Packaged:
    """A file that a package of an extra contains, so that no hub is needed.

    Attributes:
        module: the package as it is imported; it is found without running its code.
        file: inside the package.
        sha256: of the file.
        rename: returns the state dict with the names of the network here.
    """

    module: str
    file: Path
    sha256: str
    rename: Callable[[State], State]

    @property
    def source(self) -> str:
        """The extra that brings the package."""
        return f"extra [{EXTRAS[self.module]}]"

    @property
    def name(self) -> str:
        """The package."""
        return self.module.replace("_", "-")

    def path(self) -> Path | None:
        """Return the file if the package is installed."""
        spec = importlib.util.find_spec(self.module)
        folders = spec.submodule_search_locations if spec else None
        return next((Path(folder, self.file) for folder in folders or () if Path(folder, self.file).is_file()), None)

    def fetch(self) -> State:
        """Return the state dict.

        Raises:
            ExtraError: the package is not installed; names the extra.
            ModelError: the file has another SHA-256.
        """
        path = self.path()
        if path is None:
            raise lacking(self.module)
        return self.rename(read_weights(path, self.sha256))


@dataclass(frozen=True, slots=True)
class TorchHub:
    """A file that torch.hub downloads; the digits in its name are checked against its SHA-256."""

    url: str

    @property
    def source(self) -> str:
        """torch.hub, whose cache keeps the file."""
        return "torch.hub"

    @property
    def name(self) -> str:
        """The file."""
        return self.url.rpartition("/")[2]

    def path(self) -> Path | None:
        """Return the file if it is in the cache."""
        path = Path(torch.hub.get_dir(), "checkpoints", self.name)
        return path if path.is_file() else None  # torch.hub checks only what it has just downloaded

    def fetch(self) -> State:
        """Return the state dict.

        Raises:
            ModelError: the file is not in the cache and the hub cannot be reached (names the file and where to put it),
                or the file in the cache is damaged (names it).
        """
        cached = self.path()
        if cached is not None:
            return read_weights(cached)
        try:
            state: State = torch.hub.load_state_dict_from_url(
                self.url,
                map_location="cpu",
                progress=False,
                check_hash=bool(_HASH_IN_NAME.search(self.name)),
                weights_only=True,
            )
        except (OSError, RuntimeError) as error:
            folder = Path(torch.hub.get_dir(), "checkpoints").as_posix()
            raise ModelError(_absent(self.name, folder, error)) from None
        return state


@dataclass(frozen=True, slots=True)
class HuggingFace:
    """The `model.safetensors` of a repository of timm's organization."""

    repository: str

    @property
    def source(self) -> str:
        """The hub."""
        return "Hugging Face"

    @property
    def name(self) -> str:
        """The repository."""
        return self.repository

    def path(self) -> Path | None:
        """Return the file if it is in the cache."""
        from huggingface_hub import try_to_load_from_cache

        path = try_to_load_from_cache(self.repository, _HF_FILE)
        return Path(path) if isinstance(path, str) else None

    def fetch(self) -> State:
        """Return the state dict.

        Raises:
            ModelError: see `TorchHub.fetch`.
        """
        from huggingface_hub import hf_hub_download

        path = self.path()
        try:
            if path is None:
                _reach_hub()
                path = Path(hf_hub_download(self.repository, _HF_FILE))
        except Exception as error:  # noqa: BLE001  the hub's client raises errors of four libraries when it is offline
            where = f"the cache by hf download {self.repository} on a machine that reaches it"
            raise ModelError(_absent(f"{_HF_FILE} of {self.repository}", where, error)) from None
        return read_weights(path)


def _reach_hub() -> None:
    """Fail at once if the hub cannot be reached; its own client tries for half a minute.

    Behind a proxy the hub's address need not be reachable, so nothing is checked there.
    """
    from huggingface_hub.constants import ENDPOINT

    address = urlsplit(ENDPOINT)
    if not getproxies():
        socket.create_connection((address.hostname or "", address.port or 443), timeout=_CONNECT_S).close()


def read_weights(path: Path, sha256: str | None = None) -> State:
    """Read a state dict from a file: safetensors, or a .pth or .pt that contains nothing but tensors.

    Args:
        path: the file.
        sha256: the SHA-256 that the file must have, or its first digits. If None, digits in the name are checked.

    Raises:
        ModelError: missing, of another SHA-256, an export of Keras, or not a file of tensors.
    """
    if not path.is_file():
        raise ModelError(f"{path}: no such file; train.weights names a .safetensors, .pth or .pt file")
    _refuse_keras(path)
    known = _HASH_IN_NAME.search(path.name)
    _check_sha256(path, sha256 or (known.group(1) if known else ""))
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # noqa: BLE001  a damaged file raises whatever its decoder meets
        reason = "damaged" if isinstance(error, SafetensorError) else "holds more than tensors, or damaged"
        raise ModelError(f"{path}: {reason}; expected a state dict") from None
    state = state.get("state_dict", state) if isinstance(state, dict) else state
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise ModelError(f"{path}: not a state dict; expected tensors by name")
    return state


def load_base(network: nn.Module, state: State, head: str) -> None:
    """Load weights into a network, except a head that has another shape.

    Args:
        network: the network as its library builds it.
        state: the weights; those whose name starts with `head`, and those the network does not know, are left out.
        head: prefix of the classifier's parameter names.

    Raises:
        ModelError: a parameter of the base is missing or has another shape.
    """
    own = network.state_dict()
    kept = {name: value for name, value in state.items() if name in own and own[name].shape == value.shape}
    absent = [name for name in own if name not in kept and not name.startswith(head)]
    absent = [name for name in absent if not name.endswith("num_batches_tracked")]
    if absent:
        raise ModelError(f"weights for another network: {len(absent)} tensors do not fit, the first is {absent[0]!r}")
    network.load_state_dict(kept, strict=False)


def _refuse_keras(path: Path) -> None:
    with path.open("rb") as stream:
        is_hdf5 = stream.read(len(_HDF5)) == _HDF5
    if is_hdf5 or path.suffix.lower() in _KERAS:
        raise ModelError(
            f"{path}: weights of Keras, whose layers have other names and whose axes have another order; copy each "
            "kernel (H, W, in, out) as (out, in, H, W) to its name in models.create_model(...).state_dict() and save "
            "that with safetensors.torch.save_file (docs/networks.md has the lines)"
        )


def _check_sha256(path: Path, expected: str) -> None:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            digest.update(chunk)
    if not digest.hexdigest().startswith(expected.lower()):
        raise ModelError(f"{path}: its SHA-256 is {digest.hexdigest()}, expected {expected}")


def _absent(name: str, folder: str, error: Exception) -> str:
    reason = " ".join(str(error).split())[:80]
    return (
        f"{name}: not here and its hub cannot be reached ({reason}); "
        f"put the file into {folder}, or give its path as train.weights"
    )
