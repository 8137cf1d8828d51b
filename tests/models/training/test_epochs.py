"""What an epoch reads: every face once, in an order of its own, from memory as from the shards."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import simplejpeg
import torch

from models.core.inputs import InputSpec
from models.data.faces import FaceBatch, concat_faces
from models.data.loader import ShardLoader
from models.training.epochs import MemoryEpochs, Reading, StreamedEpochs, build_epochs, read_faces
from pipeline.shards.stage import run as write_shards
from tests.shard_inputs import make_inputs, shard_params

SPEC = InputSpec(48, (0.5,) * 3, (0.25,) * 3)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    return make_inputs(tmp_path_factory.mktemp("inputs"), rows=60, hostile=False)


@pytest.fixture(scope="module")
def shards(inputs, tmp_path_factory):
    out = tmp_path_factory.mktemp("written") / "shards"
    write_shards(
        *inputs.tables,
        out,
        shard_params(balance="weights"),
        seed=1,
        workers=1,
    )
    return out


def reading(shards, **changes):
    return replace(Reading(shards, "train", SPEC, 16, seed=3, cache_mb=64), **changes)


def test_a_split_in_memory_is_what_was_written(inputs, shards):
    faces = read_faces(reading(shards))
    (batch,) = ShardLoader(shards, "train", batch_size=500, shuffle=False, seed=0)
    assert len(faces) == len(batch.sample_ids) > 64
    assert torch.equal(faces.weights, batch.weights)
    assert len(faces.weights.unique()) > 1
    for at, key in enumerate(batch.sample_ids):
        truth = inputs.rows[key]
        pixels = simplejpeg.decode_jpeg(inputs.pictures[key], "RGB")
        assert np.array_equal(faces.pixels[at].permute(1, 2, 0).numpy(), pixels)
        assert faces.labels[at] == truth["label"]
        assert faces.probs[at].tolist() == truth["label_probs"]
        assert faces.affect[at].tolist() == [truth["valence"] or 0.0, truth["arousal"] or 0.0, 0.0]
        assert faces.affect_given[at].tolist() == [truth["valence"] is not None, truth["arousal"] is not None, False]


def numbered(count, size, seed=3, at=0, *, shuffle=True):
    """Faces whose labels are their places."""
    rest = (torch.zeros(count, 8), torch.ones(count), torch.zeros(count, 2), torch.zeros(count, 2, dtype=torch.bool))
    faces = FaceBatch(torch.zeros(count, 1, 2, 2, dtype=torch.uint8), torch.arange(count), *rest)
    return MemoryEpochs(faces, size, seed, lambda: at, shuffle=shuffle)


def labels(epochs):
    return [faces.labels.tolist() for faces in epochs]


def flat(epochs):
    return [label for batch in labels(epochs) for label in batch]


def test_every_epoch_has_each_face_once_in_an_order_of_its_own():
    orders = [flat(numbered(40, 8, at=epoch)) for epoch in range(5)]
    assert all(sorted(order) == list(range(40)) for order in orders)
    assert len({tuple(order) for order in orders}) == 5
    assert flat(numbered(40, 8, at=1)) == orders[1]
    assert flat(numbered(40, 8, seed=4, at=1)) not in orders
    assert flat(numbered(40, 8, at=1, shuffle=False)) == list(range(40))


@pytest.mark.parametrize(("count", "shuffle", "sizes"), [
    (8, True, [4, 4]), (9, True, [4, 4]), (9, False, [4, 4, 1]), (10, True, [4, 4, 2]), (3, True, [3]),
])  # fmt: skip
def test_only_training_leaves_out_a_last_batch_of_one(count, shuffle, sizes):
    epochs = numbered(count, 4, shuffle=shuffle)
    assert [len(batch) for batch in labels(epochs)] == sizes
    assert len(epochs) == len(sizes)


def test_it_goes_on_in_the_middle_of_its_epoch_alone():
    whole = labels(numbered(40, 8, at=2))
    begun = numbered(40, 8, at=2)
    assert begun.state_dict() == {"epoch": 2, "done": 0}
    passing = iter(begun)
    assert [next(passing).labels.tolist() for _ in range(3)] == whole[:3]
    state = begun.state_dict()
    assert state == {"epoch": 2, "done": 3}
    again = numbered(40, 8, at=2)
    again.load_state_dict(state)
    assert labels(again) == whole[3:]
    assert labels(again) == whole  # what was restored is used once
    other = numbered(40, 8, at=3)
    other.load_state_dict(state)
    assert labels(other) == labels(numbered(40, 8, at=3))


def test_faces_stay_in_memory_up_to_the_limit_and_come_from_the_shards_above_it(shards):
    from models.training import epochs as data

    loader = ShardLoader(shards, "train", batch_size=16, shuffle=True, seed=3)
    needed = loader.rows * 3 * 48 * 48
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(data, "_BYTES_PER_MB", 1)
        kinds = {}
        for name, changes in {
            "fits": {"cache_mb": needed}, "does not": {"cache_mb": needed - 1},
            "grey fits": {"cache_mb": needed // 3, "spec": InputSpec(48, (0.5,), (0.25,))},
            "of two": {"cache_mb": needed, "world_size": 2},
        }.items():  # fmt: skip
            feed = build_epochs(reading(shards, **changes), lambda: 0, shuffle=True)
            kinds[name] = type(feed._epochs)
    assert kinds == {
        "fits": MemoryEpochs, "does not": StreamedEpochs, "grey fits": MemoryEpochs, "of two": StreamedEpochs,
    }  # fmt: skip


@pytest.mark.parametrize("cache_mb", [0, 64])
def test_from_either_place_all_faces_come_and_mixed_only_in_training(shards, cache_mb):
    rows = {split: ShardLoader(shards, split, batch_size=9, shuffle=False, seed=0).rows for split in ("train", "val")}
    for split, shuffle in (("train", True), ("val", False)):
        of = reading(shards, split=split, cache_mb=cache_mb)
        stored = torch.cat([faces.labels for faces in build_epochs(of, lambda: 0, shuffle=False)])
        assert len(stored) == rows[split]
        (batch,) = ShardLoader(shards, split, batch_size=500, shuffle=False, seed=0)
        assert torch.equal(stored, batch.labels)
        epochs = build_epochs(of, lambda: 4, shuffle=shuffle)
        found = list(epochs)
        assert len(epochs) == len(found)
        assert {len(faces) for faces in found[:-1]} == {16} or len(found) == 1
        assert torch.equal(torch.cat([faces.labels for faces in found]), stored) == (not shuffle)
        other = torch.cat([faces.labels for faces in build_epochs(replace(of, seed=8), lambda: 4, shuffle=shuffle)])
        assert torch.equal(torch.cat([faces.labels for faces in found]), other) == (not shuffle)
        assert found[0].pixels.shape[1:] == (3, 48, 48)


def test_the_stream_follows_the_epoch_and_each_process_its_share(shards):
    def read(**changes):
        epoch = changes.pop("epoch", 0)
        feed = build_epochs(reading(shards, cache_mb=0, batch_size=11, **changes), lambda: epoch, shuffle=True)
        return torch.cat([faces.pixels.flatten(1).double().mean(1) for faces in feed])

    assert not torch.equal(read(epoch=1), read(epoch=2))
    torch.testing.assert_close(read(epoch=1, workers=2), read(epoch=1))
    halves = [read(epoch=1, rank=rank, world_size=2) for rank in (0, 1)]
    assert not torch.equal(*halves)
    assert len({round(value, 9) for half in halves for value in half.tolist()}) == len(read())


def test_a_stream_ends_as_memory_does():
    for rows, size, shuffle, expected in [(9, 4, True, 2), (9, 4, False, 3), (10, 4, True, 3), (8, 4, False, 2)]:
        loader = SimpleNamespace(rows=rows, batch_size=size)
        assert len(StreamedEpochs(loader, lambda: 0, shuffle=shuffle)) == expected


def test_the_state_of_a_stream_is_its_loaders_and_each_process_keeps_its_rank(shards):
    first = ShardLoader(shards, "train", batch_size=8, shuffle=True, seed=3, rank=0, world_size=2)
    second = ShardLoader(shards, "train", batch_size=8, shuffle=True, seed=3, rank=1, world_size=2)
    stream, follower = (StreamedEpochs(loader, lambda: 6, shuffle=True) for loader in (first, second))
    passing = iter(stream)
    next(passing), next(passing)
    assert stream.state_dict() == first.state_dict()
    assert stream.state_dict()["position"] == 16
    whole = [faces.labels.tolist() for faces in StreamedEpochs(second, lambda: 6, shuffle=True)]
    follower.load_state_dict(stream.state_dict())
    assert [faces.labels.tolist() for faces in follower] == whole[2:]


def test_rows_are_taken_and_joined_in_every_column():
    generator = torch.Generator().manual_seed(1)
    faces = FaceBatch(
        torch.randint(0, 256, (6, 3, 4, 4), dtype=torch.uint8, generator=generator), torch.arange(6),
        torch.rand(6, 8, generator=generator), torch.rand(6, generator=generator),
        torch.rand(6, 2, generator=generator), torch.rand(6, 2, generator=generator) < 0.5,
    )  # fmt: skip
    parts = [faces.take(torch.tensor([4, 1])), faces.take(torch.tensor([5]))]
    joined = concat_faces(parts)
    assert len(joined) == 3
    for name in ("pixels", "labels", "probs", "weights", "affect", "affect_given"):
        assert torch.equal(getattr(joined, name), getattr(faces, name)[[4, 1, 5]])
    bare = faces.without_pixels()
    assert bare.pixels.numel() == 0
    assert len(bare.pixels) == 6
    assert torch.equal(bare.probs, faces.probs)
