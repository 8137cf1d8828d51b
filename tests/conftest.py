"""Tests run on the CPU, also where there are GPUs; one that is about a GPU asks for it by the fixture `gpu`."""

import os
import sys

import pytest

from tests.browser import browser

for name in ("PREP_DEVICES", "PREP_NODES", "PREP_STRATEGY"):
    os.environ.pop(name, None)
os.environ["PREP_DEVICE"] = "cpu"  # processes that tests start inherit it
# Threads that wait for others spin, and take the core from the other worker's tests.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
# Where it is set, as in many images, each of these processes would compile our code again.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False


def _at_once(_: int) -> None:
    """Do not wait for the disk, which took a quarter of the tests' time; a power cut is the matter of tests/faults."""


os.fsync = _at_once


@pytest.fixture
def gpu(monkeypatch):
    """Let one test use the first GPU; it is skipped where there is none."""
    import torch

    if not torch.cuda.is_available():
        pytest.skip("no GPU here")
    monkeypatch.setenv("PREP_DEVICE", "cuda:0")


@pytest.fixture(scope="module")
def tab():
    """Open pages in a headless browser (`tests.browser`); not for the session, because it keeps an event loop."""
    with browser() as opened:
        yield opened
