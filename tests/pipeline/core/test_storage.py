import tempfile
import warnings

import pytest

from models.data.loader import ShardLoader
from pipeline.core.errors import OutputError, TableError, UsageError
from pipeline.core.storage import Location, is_address
from pipeline.shards.read import iter_shards, open_shards
from pipeline.shards.stage import run as write_shards
from tests.shard_inputs import make_inputs, shard_params

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import boto3
    from moto.server import ThreadedMotoServer


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    return make_inputs(tmp_path_factory.mktemp("inputs"), rows=40)


@pytest.fixture
def bucket(monkeypatch, tmp_path):
    """A real S3 server of this test's own on the loopback address, and dummy keys for it."""
    import fsspec

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for key, value in {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_CONFIG_FILE": str(tmp_path / "none"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "none"),
    }.items():
        monkeypatch.setenv(key, value)
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    boto3.client("s3").create_bucket(Bucket="faces")
    yield "s3://faces"
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    server.stop()


def names(prefix=""):
    listed = boto3.client("s3").list_objects_v2(Bucket="faces", Prefix=prefix)
    return {entry["Key"]: entry["ETag"] for entry in listed.get("Contents", [])}


def write(inputs, out, **params):
    return write_shards(*inputs.tables, out, shard_params(**params), seed=1, workers=1)


def test_shards_go_to_a_storage_address_and_are_read_from_there(inputs, bucket, tmp_path):
    write(inputs, f"{bucket}/shards")
    write(inputs, tmp_path / "shards")
    local = {path.relative_to(tmp_path).as_posix() for path in (tmp_path / "shards").rglob("*") if path.is_file()}
    assert set(names()) == local
    assert open_shards(f"{bucket}/shards").snapshot_id == open_shards(tmp_path / "shards").snapshot_id
    here, there = (
        list(ShardLoader(where, "train", batch_size=8, shuffle=True, seed=1, workers=2))
        for where in (tmp_path / "shards", f"{bucket}/shards")
    )
    assert [batch.sample_ids for batch in here] == [batch.sample_ids for batch in there]
    assert all(bool((a.images == b.images).all()) for a, b in zip(here, there, strict=True))
    rows = [table["sample_id"].to_pylist() for table in iter_shards(open_shards(f"{bucket}/shards"), "test")]
    assert len(rows[0]) == 16


def test_writing_again_replaces_what_was_there_and_removes_what_is_over(inputs, bucket):
    write(inputs, f"{bucket}/shards", rows_per_shard=10)
    before = names()
    write(inputs, f"{bucket}/shards", rows_per_shard=40)
    after = names()
    assert len(after) < len(before)
    assert after["shards/shards.json"] != before["shards/shards.json"]
    assert sum(1 for _ in ShardLoader(f"{bucket}/shards", "train", batch_size=1, shuffle=False, seed=1)) == 44


def test_what_is_not_ours_is_left_alone(inputs, bucket):
    boto3.client("s3").put_object(Bucket="faces", Key="mine/thesis.pdf", Body=b"x")
    with pytest.raises(OutputError, match=r"s3://faces/mine: not empty"):
        write(inputs, f"{bucket}/mine")
    assert set(names("mine")) == {"mine/thesis.pdf"}


def test_what_an_interrupted_run_left_is_replaced(inputs, bucket, monkeypatch):
    import s3fs

    put, sent = s3fs.S3FileSystem.put_file, []

    def break_off(self, here, there, **options):
        sent.append(there)
        if len(sent) > 5:
            raise ConnectionResetError("connection lost")
        return put(self, here, there, **options)

    with monkeypatch.context() as patched:
        patched.setattr(s3fs.S3FileSystem, "put_file", break_off)
        with pytest.raises(OutputError, match=r"s3://faces/shards: cannot be written: connection lost"):
            write(inputs, f"{bucket}/shards")
    assert "shards/shards.json" not in names()
    write(inputs, f"{bucket}/shards")
    assert len(open_shards(f"{bucket}/shards").entries("train")) == 2


def test_an_unknown_storage_is_wrong_use(inputs):
    with pytest.raises(UsageError, match=r"s4://bucket/x: not a storage"):
        write(inputs, "s4://bucket/x")
    with pytest.raises(UsageError, match=r"s4://bucket/x/shards\.json: not a storage"):
        open_shards("s4://bucket/x")


def test_an_unknown_bucket_is_one_line(inputs, bucket):
    with pytest.raises(OutputError, match=r"s3://nowhere/shards: cannot be written") as caught:
        write(inputs, "s3://nowhere/shards")
    assert "\n" not in str(caught.value)
    with pytest.raises(TableError, match=r"s3://faces/none/shards\.json: cannot be read"):
        open_shards(f"{bucket}/none")


def test_paths_and_addresses_are_told_apart(tmp_path):
    assert is_address("s3://bucket/x")
    assert not is_address("data/shards")
    assert not is_address(tmp_path)
    assert str(Location("s3://bucket/x/") / "y") == "s3://bucket/x/y"
    assert str(Location(tmp_path) / "y") == str(tmp_path / "y")


def test_a_folder_as_an_address_is_made(inputs, tmp_path):
    write(inputs, f"file://{tmp_path}/new/shards")
    assert (tmp_path / "new/shards/parquet").is_dir()
    assert (tmp_path / "new/shards/index.parquet").is_file()


def test_faces_on_their_way_to_an_address_stay_beside_the_split(inputs, tmp_path, monkeypatch):
    """The folder that all accounts of a machine share would keep them, were the run killed."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "not there"))
    before = set(inputs.split.parent.iterdir())
    write(inputs, f"file://{tmp_path}/shards")
    assert (tmp_path / "shards/parquet").is_dir()
    assert set(inputs.split.parent.iterdir()) == before
