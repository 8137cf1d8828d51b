"""The device that networks run on, from PREP_DEVICE, in one way for all commands (docs/gpu.md).

Torch is imported only if a GPU may be meant, so that `prep align` on the CPU works without it.
"""

import importlib.util
import os
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from pipeline.core.errors import ParamsError

DEVICE: Final = "PREP_DEVICE"
CPU: Final = "cpu"
AUTO: Final = "auto"
_ASKED: Final = re.compile(r"cpu|mps|auto|cuda(:\d{1,3})?")
# How torch's messages begin on a machine without a GPU; any other message means a GPU that cannot be used.
_NONE_THERE: Final = ("Found no NVIDIA driver", "No CUDA GPUs")


@dataclass(frozen=True, slots=True)
class Device:
    """A device as torch names it: `cpu`, `cuda:1`, `mps`. `note` says why `auto` does not use an existing GPU."""

    name: str
    note: str = ""

    @property
    def kind(self) -> str:
        """Return cpu, cuda or mps."""
        return self.name.partition(":")[0]

    @property
    def index(self) -> int | None:
        """Return the number of the GPU; None for the CPU and Apple's GPU."""
        number = self.name.partition(":")[2]
        return int(number) if number else None


def asked_device(default: str = AUTO) -> str:
    """Return what PREP_DEVICE asks for: cpu, cuda, cuda:N, mps or auto; `default` where it is not set.

    Raises:
        ParamsError: it is anything else.
    """
    text = os.environ.get(DEVICE, "") or default
    if not _ASKED.fullmatch(text):
        raise ParamsError(f"{DEVICE}: expected cpu, cuda, cuda:N (N from 0), mps or auto, not {text!r}")
    return text


def find_device(default: str = AUTO) -> Device:
    """Return the device that PREP_DEVICE means on this machine.

    `auto` is the first NVIDIA GPU that the installed torch can use, otherwise the CPU. `cuda` is the first GPU; if
    several processes train together, each gets its own (LOCAL_RANK). Apple's GPUs are used only if named.

    Raises:
        ParamsError: an unknown value, or a device that is not here or that this torch cannot use.
    """
    asked = asked_device(default)
    if asked == CPU:
        return Device(CPU)
    if asked == AUTO and importlib.util.find_spec("torch") is None:
        return Device(CPU)
    return _mps() if asked == "mps" else _cuda(asked)


def _mps() -> Device:
    import torch

    if not torch.backends.mps.is_available():
        raise ParamsError(f"{DEVICE}: mps, but torch finds no Apple GPU here; use cpu or auto")
    return Device("mps")


def _cuda(asked: str) -> Device:
    index = int(asked[5:] or 0) if asked.startswith("cuda:") else int(os.environ.get("LOCAL_RANK", "") or 0)
    problem, there = gpu_problem(index)
    if not problem:
        return Device(f"cuda:{index}")
    if asked != AUTO:
        raise ParamsError(f"{DEVICE}: {asked}, but {problem}")
    return Device(CPU, problem if there else "")


@cache
def gpu_problem(index: int) -> tuple[str, bool]:
    """Return why a GPU cannot be used and what would help, empty if it can be used; and whether there is one at all."""
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns about the same problems, in several lines
        usable = torch.cuda.is_available()
    if not usable:
        return _unusable()
    count = torch.cuda.device_count()
    if index >= count:
        return f"torch finds {count} GPU{'s' * (count > 1)} here, counted from 0; use cpu or auto", True
    built, capability = torch.cuda.get_arch_list(), torch.cuda.get_device_capability(index)
    if torch.version.hip or runs_on(built, capability):
        return "", True
    card = f"{torch.cuda.get_device_name(index)} has compute capability {capability[0]}.{capability[1]}"
    help_ = f"{_other_torch(built, capability)}, or use {DEVICE}=cpu"
    return f"{card} and this torch has kernels for {', '.join(built)} alone; {help_}", True


def runs_on(built: Sequence[str], capability: tuple[int, int]) -> bool:
    """Say whether code built for some architectures runs on a card of this compute capability.

    Machine code (`sm_86`) runs on cards of the same major number that are not older, PTX (`compute_90`) on all that are
    not older, and code for one architecture alone (`sm_90a`) on that one (CUDA C++ Programming Guide, "Compute
    Capabilities" and "Application Compatibility").
    """
    for entry in built:
        kind, _, text = entry.partition("_")
        digits, alone = text.rstrip("af"), not text.isdigit()
        made = int(digits[:-1]), int(digits[-1])
        if made == capability or (not alone and made <= capability and (kind == "compute" or made[0] == capability[0])):
            return True
    return False


def _unusable() -> tuple[str, bool]:
    import torch

    if torch.version.cuda is None and torch.version.hip is None:
        return "this torch is built without CUDA; install the one of requirements.lock on Linux, or use cpu", False
    try:
        torch.cuda.init()  # type: ignore[no-untyped-call]  # torch's own
    except (RuntimeError, AssertionError) as error:
        why = " ".join(str(error).split())
        if why.startswith(_NONE_THERE):
            return "torch finds no GPU here; use cpu or auto", False
        built = f"this torch, built with CUDA {torch.version.cuda}, cannot use the GPU"
        return f"{built}: {why.partition('. ')[0][:160]}; update the NVIDIA driver, or use {DEVICE}=cpu", True
    return "torch finds no GPU here; use cpu or auto", False


def _other_torch(built: Sequence[str], capability: tuple[int, int]) -> str:
    oldest = min((int(digits) for entry in built if (digits := re.sub(r"\D", "", entry))), default=0)
    older = capability[0] * 10 + capability[1] < oldest
    return "install a torch built with an older CUDA" if older else "install a newer torch"


def use_full_float32() -> None:
    """Switch off TF32, which rounds the factors of float32 products to ten bits, so that answers differ by device."""
    import torch

    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False


def describe_device(device: Device) -> dict[str, str]:
    """Return what a snapshot records of a device: its kind and a GPU's product name.

    The number is left out, because equal cards give equal results.
    """
    if device.kind != "cuda":
        return {"device": device.kind}
    import torch

    return {"device": device.kind, "card": torch.cuda.get_device_name(device.index)}


def tell_device(ran: Mapping[str, Any]) -> str:
    """Return what a snapshot records under `ran` as a phrase, for example: NVIDIA H100 (cuda), bf16, 2 processes."""
    card = ran.get("card")
    parts = [f"{card} ({ran['device']})" if card else str(ran.get("device", "an unknown device"))]
    parts += [ran["precision"]] if "precision" in ran else []
    parts += ["TF32"] if ran.get("tf32") else []
    return ", ".join(parts + ([f"{ran['processes']} processes"] if ran.get("processes", 1) > 1 else []))
