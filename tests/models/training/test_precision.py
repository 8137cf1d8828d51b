"""A whole training in bf16 learns what one in fp32 learns."""

import math

import numpy as np
import pytest
import torch

from benchmarks.faces_input import write_inputs
from models.checkpoint import load_checkpoint
from models.training import module, optimizer
from models.training.stage import run as train
from pipeline.images import encode_face
from pipeline.shards.stage import run as write_shards
from tests.models.training_inputs import train_params
from tests.shard_inputs import shard_params

SIDE_PX = 48
FACES = 240
HELD_OUT = 4  # one in so many


def draw(number):
    """Three places down the middle, bright or not: eight classes that a mirror, a shift or a small turn leaves alone.

    All of it is light grey. A warp in bf16 made every pixel 0 or 1, and one that is only brighter than the next all 1.
    """
    random = np.random.default_rng(number)
    y, x = np.mgrid[:SIDE_PX, :SIDE_PX]
    face = random.normal(165, 6, (SIDE_PX, SIDE_PX, 3))
    for bit, height in enumerate((14, 24, 34)):
        if number % 8 >> bit & 1:
            face += 40 * np.exp(-((y - height) ** 2 + (x - 24) ** 2) / 24)[..., None]
    return np.clip(face, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    root = tmp_path_factory.mktemp("precision")
    split = lambda number: "train" if number // 8 % HELD_OUT else "val"  # noqa: E731
    inputs = write_inputs(root, [encode_face(draw(number)) for number in range(FACES)], split)
    write_shards(*inputs, root / "shards", shard_params(), seed=1, workers=1)
    return root / "shards"


def test_bf16_learns_what_fp32_learns(shards, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ingredients = {"augment": "strong", "ema": 0.9, "label_smoothing": 0.1, "clip_norm": 1.0, "optimizer": "adamw"}
    found = {}
    for precision in ("fp32", "bf16"):
        params = train_params(
            model="compact", size_px=32, epochs=5, batch_size=16, learning_rate=0.006, select="loss",
            precision=precision, **ingredients
        )  # fmt: skip
        found[precision] = train(shards, tmp_path / precision, params, seed=5)["validation"]["accuracy"]
    rows = FACES // HELD_OUT
    noise = math.sqrt(2 * found["fp32"] * (1 - found["fp32"]) / rows)  # of a difference of two shares
    assert found["fp32"] > 0.6  # chance is 0.125
    assert found["bf16"] > found["fp32"] - max(3 * noise, 0.05), found


def test_a_fused_optimizer_is_clipped_in_bf16_as_one_that_is_not_fused(shards, tmp_path, monkeypatch):
    """As on a GPU, where bf16 with both is what `prep train` does unless told otherwise."""
    monkeypatch.chdir(tmp_path)
    states = {}
    for fused, clip_norm in ((False, 0.01), (True, 0.01), (True, 0.0)):
        build = lambda *given, fused_=fused, **_: optimizer.build_optimizer(*given, fused=fused_)  # noqa: E731
        monkeypatch.setattr(module, "build_optimizer", build)
        params = train_params(
            model="compact", optimizer="sgd", learning_rate=0.1, epochs=1, select="last", precision="bf16",
            clip_norm=clip_norm,
        )  # fmt: skip
        out = tmp_path / f"{fused}-{clip_norm}"
        train(shards, out, params, seed=5)
        weights = load_checkpoint(out).module.parameters()
        states[fused, clip_norm] = torch.cat([weight.flatten() for weight in weights]).detach()
    torch.testing.assert_close(states[True, 0.01], states[False, 0.01], rtol=1e-3, atol=1e-4)
    assert (states[True, 0.0] - states[False, 0.01]).abs().max() > 0.01  # the limit does limit
