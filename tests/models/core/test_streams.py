import itertools

from models.core.streams import Purpose, stream_seed


def test_no_two_streams_of_a_training_are_one():
    """As (seed, epoch) and (seed, epoch, 0, 0) were, and seed * 1000003 + epoch and (seed * 1000003 + step) * 64."""
    numbers = [given for count in (1, 2, 3, 4) for given in itertools.product((0, 1, 64, 1_000_003), repeat=count)]
    unpadded = [given for given in numbers if given[-1] != 0]
    seeds = [stream_seed(purpose, *given) for purpose in Purpose for given in unpadded]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**63 for seed in seeds)
