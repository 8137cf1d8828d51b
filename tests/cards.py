"""GPUs that are not here: what torch would answer of them, for tests of what is decided by it."""

from contextlib import nullcontext

import torch

from pipeline.core.device import gpu_problem

H100 = ("NVIDIA H100 80GB HBM3", (9, 0))
A100 = ("NVIDIA A100-SXM4-40GB", (8, 0))
T4 = ("Tesla T4", (7, 5))
P100 = ("Tesla P100-PCIE-16GB", (6, 0))
NEXT = ("NVIDIA Z100", (13, 0))
BUILT = ["sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120"]


def pretend(monkeypatch, *cards, built=BUILT):
    """Let torch believe in these cards, given by name and compute capability."""
    gpu_problem.cache_clear()
    answers = {
        "is_available": lambda: bool(cards),
        "device_count": lambda: len(cards),
        "get_device_name": lambda index=0: cards[index][0],
        "get_device_capability": lambda index=0: cards[index][1],
        "get_arch_list": lambda: list(built),
        "device": lambda index: nullcontext(),
        # As torch has it: emulated, every card can.
        "is_bf16_supported": lambda including_emulation=True: including_emulation or cards[0][1] >= (8, 0),
    }
    for name, answer in answers.items():
        monkeypatch.setattr(torch.cuda, name, answer)
