import pytest

from pipeline.shards.stage import run as write_shards
from tests.shard_inputs import make_inputs, shard_params


@pytest.fixture(scope="session")
def inputs(tmp_path_factory):
    return make_inputs(tmp_path_factory.mktemp("inputs"))


@pytest.fixture(scope="session")
def shards(inputs, tmp_path_factory):
    out = tmp_path_factory.mktemp("written") / "shards"
    write_shards(*inputs.tables, out, shard_params(), seed=1, workers=1)
    return out
