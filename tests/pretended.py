"""A GPU that is not here: real tensors of the CPU that claim to lie on `cuda:0`, and are held to it.

What is computed is computed, on the CPU, forwards and backwards; an operation that sees two devices fails, as it would
on a GPU. `PretendedGpu` is on while its `with` block runs, in that thread.

torch's own FakeTensorMode does the same without values. It cannot take a gradient on a machine without a driver, nor
build networks that read a number out of a tensor, which is why this is here.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from lightning.pytorch.accelerators import Accelerator
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

CPU = torch.device("cpu")
GPU = torch.device("cuda:0")
_COPIES = {torch.ops.aten.copy_.default, torch.ops.aten._to_copy.default}
# Their indices may lie on the CPU.
_INDEXING = {"aten::index", "aten::index_put", "aten::index_put_", "aten::_index_put_impl_", "aten::_unsafe_index"}
# What answers with a number, or with as many rows as the values say.
_ASKING = {
    torch.ops.aten._local_scalar_dense.default, torch.ops.aten.nonzero.default, torch.ops.aten.equal.default,
    torch.ops.aten.masked_select.default, torch.ops.aten._unique2.default,
}  # fmt: skip
_TO_NUMPY = (Tensor.numpy, Tensor.__array__)


class MixUpError(RuntimeError):
    """One operation saw tensors of two devices."""


class PretendedGpu:
    """Both layers of it: what is asked of torch, and the operations that come of it."""

    def __init__(self) -> None:
        self._places: dict[int, tuple[StorageWeakRef, torch.device]] = {}
        self._asked, self._done = _Asked(self), _Done(self)
        self.operations = 0  # that saw a tensor of the GPU
        self.waits: list[str] = []  # for which the processor needs what the GPU has yet to compute
        self.here = CPU  # where torch's own code puts the tensors that it makes for itself

    def __enter__(self) -> "PretendedGpu":
        self._done.__enter__()
        self._asked.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._asked.__exit__(*error)
        self._done.__exit__(*error)

    def place(self, tensor: Tensor) -> torch.device:
        """Return where a tensor claims to lie."""
        with torch._C.DisableTorchFunction():
            found = self._places.get(tensor.untyped_storage()._cdata)
        return CPU if found is None else found[1]

    def put(self, tensor: Tensor, place: torch.device) -> Tensor:
        """Let a tensor, and all that shares its memory, claim to lie there."""
        with torch._C.DisableTorchFunction():
            storage = tensor.untyped_storage()
            # The weak reference keeps the address from being given to another storage.
            self._places[storage._cdata] = StorageWeakRef(storage), place
        return tensor

    @contextmanager
    def within(self, given: list[Any]) -> Iterator[None]:
        """Let what a function of torch makes for itself lie where its arguments do, as it would in C++."""
        before = self.here
        # One list deep: the memo of a deep copy has everything that was copied so far.
        flat = (leaf for one in given for leaf in (one if isinstance(one, list | tuple) else [one]))
        tensors = (leaf for leaf in flat if isinstance(leaf, Tensor))
        self.here = next((GPU for tensor in tensors if self.place(tensor) == GPU), before)
        try:
            yield
        finally:
            self.here = before

    def copy(self, tensor: Tensor, place: torch.device, dtype: torch.dtype | None, layout: Any) -> Tensor:
        """Return a copy that lies there, or the tensor itself if it does."""
        if place == CPU != self.place(tensor):
            self.waits.append("copy")
        with torch._C.DisableTorchFunction():
            copied = tensor.to(dtype or tensor.dtype, copy=self.place(tensor) != place)
            if layout is not None:
                copied = copied.contiguous(memory_format=layout)
        return copied if copied is tensor else self.put(copied, place)


class _Asked(TorchFunctionMode):
    """Devices in calls: what names one, moves there or asks where a tensor is."""

    def __init__(self, gpu: PretendedGpu) -> None:
        super().__init__()
        self._gpu = gpu

    def __torch_function__(self, function: Any, _types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if function == Tensor.device.__get__:
            return self._gpu.place(args[0])
        if function == Tensor.is_cuda.__get__:
            return self._gpu.place(args[0]).type == "cuda"
        if function in (Tensor.to, Tensor.cpu, Tensor.cuda):
            return self._move(function, args, kwargs)
        if function in _TO_NUMPY and self._gpu.place(args[0]) != CPU:
            raise TypeError("can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() first.")
        if function is Tensor.pin_memory:
            return args[0]
        asked = kwargs.pop("device", None)
        with self._gpu.within([*args, *kwargs.values()]):
            result = function(*args, **kwargs)
        if asked is not None and isinstance(result, Tensor):
            self._gpu.put(result, torch.device(asked))
        return result

    def _move(self, function: Any, args: Any, kwargs: Any) -> Tensor:
        tensor, *rest = args
        if function is not Tensor.to:
            return self._gpu.copy(tensor, CPU if function is Tensor.cpu else GPU, None, None)
        if rest and isinstance(rest[0], Tensor):
            return self._gpu.copy(tensor, self._gpu.place(rest[0]), rest[0].dtype, None)
        device, dtype, _, layout = torch._C._nn._parse_to(*rest, **kwargs)
        return self._gpu.copy(tensor, self._gpu.place(tensor) if device is None else device, dtype, layout)


class _Done(TorchDispatchMode):
    """Operations: all their tensors lie on one device, and so does what they return."""

    def __init__(self, gpu: PretendedGpu) -> None:
        super().__init__()
        self._gpu = gpu

    def __torch_dispatch__(self, function: Any, _types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        given = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        # A number on the CPU may meet a tensor of any device.
        places = {self._gpu.place(tensor) for tensor in given if tensor.ndim or self._gpu.place(tensor) != CPU}
        if function._schema.name in _INDEXING and self._gpu.place(args[0]) != CPU:
            places.discard(CPU)
        if len(places) > 1 and function not in _COPIES:
            raise MixUpError(f"{function}: expected all tensors on one device, but found {sorted(map(str, places))}")
        if function in _ASKING and self._gpu.place(args[0]) != CPU:
            self._gpu.waits.append(str(function))
        result = function(*args, **kwargs)
        place = (
            self._gpu.place(given[0]) if function in _COPIES else next(iter(places), CPU if given else self._gpu.here)
        )
        if place != CPU:
            self._gpu.operations += 1
            for tensor in tree_leaves(result):
                if isinstance(tensor, Tensor):
                    self._gpu.put(tensor, place)
        return result


class PretendedAccelerator(Accelerator):
    """What lets Lightning's own loop run on `GPU`."""

    def setup_device(self, device: torch.device) -> None:
        """Have nothing to set up."""

    def teardown(self) -> None:
        """Have nothing to tear down."""

    @staticmethod
    def parse_devices(devices: Any) -> Any:
        return devices

    @staticmethod
    def get_parallel_devices(devices: Any) -> Any:
        return [GPU]

    @staticmethod
    def auto_device_count() -> int:
        return 1

    @staticmethod
    def is_available() -> bool:
        return True

    @staticmethod
    def name() -> str:
        return "pretended"
