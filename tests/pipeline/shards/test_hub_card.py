"""The dataset card, as the Hub's own library reads it."""

import pyarrow as pa
import pytest
import yaml
from huggingface_hub import DatasetCard, DatasetCardData

from pipeline.core.tables import read_table
from pipeline.shards.hub_card import build_hub_card
from tests.shard_inputs import ALIGN

# Of https://huggingface.co/docs/hub/datasets-gated: the types that a field of the form may have.
FIELDS = {"text", "checkbox", "date_picker", "country"}


@pytest.fixture(scope="module")
def card(shards):
    return DatasetCard.load(shards / "README.md")


def test_the_header_is_the_hub_s(card, shards):
    header = card.data.to_dict()
    given = yaml.safe_load((shards / "README.md").read_text().split("---")[1])
    assert header == given
    known = DatasetCardData(**header)
    assert known.license == "other"  # the Hub's word for terms of one's own, which license_name and _link then state
    assert {header["license_name"], header["license_link"]} == {"terms-of-the-source-datasets", "README.md#terms"}
    assert known.task_categories == ["image-classification"]
    assert known.size_categories == ["n<1K"]


def test_access_is_asked_for(card):
    header = card.data.to_dict()
    kinds = {field if isinstance(field, str) else field["type"] for field in header["extra_gated_fields"].values()}
    assert "checkbox" in kinds <= FIELDS
    assert "not known to this project" in header["extra_gated_prompt"]


def test_the_splits_are_files_that_are_there(card, shards):
    (config,) = card.data.to_dict()["configs"]
    counted = {}
    for entry in config["data_files"]:
        files = sorted(shards.glob(entry["path"]))
        counted[entry["split"]] = sum(len(read_table(file, ["sample_id"])) for file in files)
    assert sum(counted.values()) == 288
    assert counted.keys() == {"train", "validation", "test"}


@pytest.mark.parametrize(("rows", "size"), [(999, "n<1K"), (1_000, "1K<n<10K"), (99_999, "10K<n<100K"), (0, "n<1K")])
def test_sizes_are_those_of_the_hub(shards, rows, size):
    tables = [read_table(shards / f"{name}.parquet") for name in ("index", "missing_faces")]
    index = tables[0].take(pa.array([row % len(tables[0]) for row in range(rows)], pa.int64()))
    contract = {"align": ALIGN, "taxonomy": {"one": {"name": "rafdb", "version": 1}}, "rendered": ["two"]}
    text = build_hub_card(index, tables[1], "0" * 64, contract, ["webdataset"])
    header = yaml.safe_load(text.split("---")[1])
    assert header["size_categories"] == [size]
    assert "configs" not in header  # of Parquet alone
    assert "of no real person: two" in text
    assert rows == 0 or "non-commercial" in text
