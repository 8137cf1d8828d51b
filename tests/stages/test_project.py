"""Which dataset a source is, however its path is written."""

from pathlib import Path

import pytest

from pipeline.core.errors import UsageError
from pipeline.core.params import Params, read_params
from stages.ingest import run_ingest
from stages.project import dataset_name, dataset_of, local_folder, own_folders

PARAMS = read_params(Path(__file__).parents[2] / "params.yaml")


@pytest.fixture
def params(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Params:
    monkeypatch.chdir(tmp_path)
    return PARAMS


@pytest.mark.parametrize("src", ["raw/demo/rafdb", "raw/demo/rafdb/", "./raw/demo/rafdb", "raw/demo/../demo/rafdb"])
def test_source_of_a_dataset(params: Params, src: str) -> None:
    assert dataset_of(params, src) == ("demo-rafdb", params.datasets["demo-rafdb"])


def test_link_to_a_source(params: Params, tmp_path: Path) -> None:
    (tmp_path / "raw/demo/rafdb").mkdir(parents=True)
    (tmp_path / "faces").symlink_to("raw/demo/rafdb")
    assert dataset_name(params, "faces") == dataset_name(params, str(tmp_path / "faces")) == "demo-rafdb"


@pytest.mark.parametrize(
    ("src", "name"),
    [
        ("a/v1.0", "v1.0"),
        ("a/v1.1/", "v1.1"),
        ("x.tar.gz", "x"),
        ("x.y.TGZ", "x.y"),
        ("x.zip", "x"),
        ("x.tar", "x"),
        ("CK+", "CK"),
        ("raw/CK+48", "CK_48"),
        ("archive (1).zip", "archive_1"),
        ("my faces/", "my_faces"),
    ],
)
def test_name_of_another_source(params: Params, src: str, name: str) -> None:
    assert dataset_of(params, src) is None
    assert dataset_name(params, src) == name


@pytest.mark.parametrize("src", ["", " ", ".", "..", "a/..", ".hidden", "a/.zip", "/"])
def test_source_without_a_name(params: Params, src: str) -> None:
    with pytest.raises(UsageError, match=r"^--src") as raised:
        dataset_name(params, src)
    assert "\n" not in str(raised.value)


def test_a_folder_of_no_dataset_is_named(params: Params, tmp_path: Path) -> None:
    for name in (*params.datasets, ".rafdb.partial"):
        (tmp_path / name).mkdir()
    assert own_folders(params, tmp_path) == {name: tmp_path / name for name in params.datasets}
    (tmp_path / "other").mkdir()
    with pytest.raises(UsageError, match=r"other: params\.yaml has no dataset 'other'.*remove the folder"):
        own_folders(params, tmp_path)


def test_a_name_with_an_entry_of_another_source_is_refused(params: Params) -> None:
    with pytest.raises(
        UsageError, match=r"demo-rafdb is that of raw/demo/rafdb, .* demo-rafdb-2: \{src: mine/demo-rafdb,"
    ):
        dataset_name(params, "mine/demo-rafdb")


def test_a_name_whose_samples_are_of_another_tree_is_refused(params: Params, tmp_path: Path) -> None:
    for place, name in (("a", "happy/1.jpg"), ("a", "sad/2.jpg"), ("b", "happy/3.jpg"), ("b", "sad/4.jpg")):
        (tmp_path / place / "faces" / name).parent.mkdir(parents=True)
        (tmp_path / place / "faces" / name).write_bytes(name.encode())
    run_ingest(params, "a/faces")
    before = (tmp_path / "data/samples/faces/samples.parquet").read_bytes()
    run_ingest(params, "./a/faces/")
    with pytest.raises(UsageError, match=r"the name faces is that of a/faces \(see data/samples/faces\), .* faces-2: "):
        run_ingest(params, "b/faces")
    assert (tmp_path / "data/samples/faces/samples.parquet").read_bytes() == before


def test_an_address_is_refused_where_bytes_are_hashed() -> None:
    assert local_folder("--src", "data/shards") == Path("data/shards")
    with pytest.raises(UsageError, match=r"^--src s3://bucket/shards: expected a folder, .* copy it here first"):
        local_folder("--src", "s3://bucket/shards")
