import pickle
import subprocess
import sys

import numpy as np
import pytest
import simplejpeg
import torch

from models.data.loader import ShardLoader
from pipeline.core.errors import DataError, ModelError, TableError, UsageError
from pipeline.shards.stage import run as write_shards
from tests.shard_inputs import SIZE_PX, make_inputs, shard_params


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    return make_inputs(tmp_path_factory.mktemp("inputs"), rows=700)


@pytest.fixture(scope="module")
def shards(inputs, tmp_path_factory):
    out = tmp_path_factory.mktemp("written") / "shards"
    params = shard_params(rows_per_shard=130)
    write_shards(*inputs.tables, out, params, seed=1, workers=1)
    return out


def loader(shards, split="train", **changes):
    options = {"batch_size": 16, "shuffle": True, "seed": 3} | changes
    return ShardLoader(shards, split, **options)


def ids(batches):
    return [key for batch in batches for key in batch.sample_ids]


def expected_ids(inputs, split):
    return sorted(key for key, row in inputs.rows.items() if row["split"] == split and row["n"] % 25 != 7)


@pytest.mark.parametrize("workers", [0, 2])
def test_an_epoch_yields_every_sample_once_with_its_pixels_and_labels(inputs, shards, workers):
    source = loader(shards, workers=workers)
    batches = list(source)
    assert sorted(ids(batches)) == expected_ids(inputs, "train")
    assert len(batches) == len(source)
    assert source.rows == len(ids(batches))
    assert {len(batch) for batch in batches[:-1]} == {16}
    for batch in batches:
        assert batch.images.shape == (len(batch), 3, SIZE_PX, SIZE_PX)
        assert batch.images.dtype == torch.uint8
        assert batch.images.is_contiguous(memory_format=torch.channels_last)
        for at, key in enumerate(batch.sample_ids):
            truth = inputs.rows[key]
            pixels = simplejpeg.decode_jpeg(inputs.pictures[key], "RGB")
            assert np.array_equal(batch.images[at].permute(1, 2, 0).numpy(), pixels)
            assert batch.labels[at] == truth["label"]
            assert batch.probs[at].tolist() == truth["label_probs"]
            assert batch.datasets[at] == truth["dataset"]
            assert bool(batch.valence_mask[at]) == (truth["valence"] is not None)
            assert bool(batch.arousal_mask[at]) == (truth["arousal"] is not None)
            assert batch.valence[at] == (truth["valence"] or 0.0)
            assert batch.weights[at] == 1


def test_the_order_does_not_depend_on_workers_and_changes_with_seed_and_epoch(shards):
    first = ids(loader(shards))
    assert ids(loader(shards, workers=1)) == first
    assert ids(loader(shards, workers=3)) == first
    assert ids(loader(shards, seed=4)) != first
    source = loader(shards)
    assert ids(source) == first
    second = ids(source)
    assert second != first
    assert sorted(second) == sorted(first)
    source.set_epoch(0)
    assert ids(source) == first


def test_pixels_that_somebody_holds_are_never_written_over(inputs, shards):
    kept = {}
    for batch in loader(shards, workers=2):
        kept[batch.sample_ids[3]] = batch.images[3, :, 5:9]
    for key, part in kept.items():
        pixels = simplejpeg.decode_jpeg(inputs.pictures[key], "RGB")
        assert np.array_equal(part.permute(1, 2, 0).numpy(), pixels[5:9])


def test_memory_of_batches_that_nobody_holds_is_used_again(shards):
    places = {batch.images.data_ptr() for batch in loader(shards)}
    assert len(places) <= 4


def test_shuffling_moves_samples_far(shards):
    stored = ids(loader(shards, shuffle=False))
    place = {key: at for at, key in enumerate(stored)}
    moved = [abs(place[key] - at) for at, key in enumerate(ids(loader(shards)))]
    # A uniform permutation of n moves by n / 3 on average.
    assert np.mean(moved) == pytest.approx(len(stored) / 3, rel=0.15)


def test_without_shuffle_rows_come_as_stored(inputs, shards):
    assert ids(loader(shards, "test", shuffle=False, workers=2)) == expected_ids(inputs, "test")


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize(("taken", "workers"), [(1, 0), (30, 2), (45, 1)])
def test_resumes_in_the_middle_of_an_epoch(shards, shuffle, workers, taken):
    whole = loader(shards, shuffle=shuffle)
    whole.set_epoch(5)
    expected = ids(whole)
    source = loader(shards, shuffle=shuffle, workers=workers)
    source.set_epoch(5)
    batches = iter(source)
    before = ids(next(batches) for _ in range(taken))
    state = pickle.loads(pickle.dumps(source.state_dict()))  # noqa: S301 - made a line before
    batches.close()
    after = loader(shards, shuffle=shuffle, batch_size=10)
    after.load_state_dict(state)
    after.set_epoch(5)
    assert before + ids(after) == expected
    assert after.epoch == 6
    assert len(ids(after)) == len(expected)


def test_leaving_an_epoch_early_and_iterating_again_starts_it_anew(shards):
    source = loader(shards, workers=1)
    first = next(iter(source)).sample_ids
    assert next(iter(source)).sample_ids == first


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("world_size", [2, 3, 7])
def test_ranks_get_equal_shares_that_cover_everything(inputs, shards, shuffle, world_size):
    ranks = [loader(shards, shuffle=shuffle, rank=rank, world_size=world_size) for rank in range(world_size)]
    shares = [list(rank) for rank in ranks]
    assert len({len(batches) for batches in shares}) == 1
    assert len(shares[0]) == len(ranks[0])
    assert len({len(ids(batches)) for batches in shares}) == 1
    every = [key for batches in shares for key in ids(batches)]
    expected = expected_ids(inputs, "train")
    assert sorted(set(every)) == expected
    assert 0 <= len(every) - len(expected) < world_size


def test_rows_of_a_rank_that_begins_within_a_row_group_are_whole(inputs, shards):
    batches = list(loader(shards, rank=1, world_size=7))
    assert batches
    for batch in batches:
        for at, key in enumerate(batch.sample_ids):
            truth = inputs.rows[key]
            pixels = simplejpeg.decode_jpeg(inputs.pictures[key], "RGB")
            assert np.array_equal(batch.images[at].permute(1, 2, 0).numpy(), pixels)
            assert batch.probs[at].tolist() == truth["label_probs"]
            assert batch.valence[at] == (truth["valence"] or 0.0)


def test_more_ranks_than_rows_still_get_equal_shares(tmp_path):
    few = make_inputs(tmp_path, rows=5)
    write_shards(*few.tables, tmp_path / "out", shard_params(), seed=1, workers=1)
    shares = [ids(loader(tmp_path / "out", "test", rank=rank, world_size=9)) for rank in range(9)]
    assert {len(share) for share in shares} == {1}


@pytest.mark.parametrize("change", [{"seed": 4}, {"shuffle": False}, {"rank": 1, "world_size": 2}, {"split": "val"}])
def test_a_state_of_another_order_is_refused(shards, change):
    state = loader(shards).state_dict()
    with pytest.raises(ModelError, match="the state has"):
        loader(shards, **change).load_state_dict(state)


def test_a_first_batch_loads_no_pandas(shards):
    code = (
        "import sys; from models.data.loader import ShardLoader; "
        f"next(iter(ShardLoader({str(shards)!r}, 'train', batch_size=8, shuffle=True, seed=1))); "
        "print('pandas' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_unknown_split_missing_folder_and_bad_numbers_are_named(shards, tmp_path):
    with pytest.raises(DataError, match=r"no split 'dev'; it has test, train, val"):
        loader(shards, "dev")
    with pytest.raises(TableError, match=r"shards\.json: cannot be read"):
        loader(tmp_path / "nowhere")
    with pytest.raises(UsageError, match="rank"):
        loader(shards, rank=2, world_size=2)


def test_a_torn_shard_is_named(inputs, tmp_path):
    out = tmp_path / "out"
    write_shards(*inputs.tables, out, shard_params(), seed=1, workers=1)
    victim = out / "parquet/train-00002.parquet"
    victim.write_bytes(victim.read_bytes()[:-100])
    with pytest.raises(TableError, match=r"train-00002\.parquet"):
        list(loader(out, workers=2))
