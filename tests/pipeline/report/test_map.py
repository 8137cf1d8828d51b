"""Which map the page has: the network's, where its evaluation made one, else that of what looks alike."""

import pyarrow as pa
import pytest

from pipeline.core.schema import DOUBT, EMBEDDING
from pipeline.core.tables import write_table
from pipeline.report.doubt import has_map, read_map


def _nothing(kind):
    if pa.types.is_fixed_size_list(kind):
        return [0.0] * kind.list_size
    return [] if pa.types.is_list(kind) else "" if pa.types.is_string(kind) else 0


@pytest.fixture
def folders(tmp_path):
    doubt, evaluation = tmp_path / "doubt", tmp_path / "evaluate"
    for folder, names in ((doubt, ["a", "b"]), (evaluation, ["b", "c"])):
        folder.mkdir()
        places = {"sample_id": names, "x": [0.0, 4.0], "y": [3.0, 1.0]}
        write_table(folder / "embedding.parquet", pa.table(places, schema=EMBEDDING))
    known = {"sample_id": ["a", "b"], "label": [3, 4], "score": [0.25, 0.75]}
    filled = [known.get(field.name) or [_nothing(field.type)] * 2 for field in DOUBT]
    write_table(doubt / "doubt.parquet", pa.table(dict(zip(DOUBT.names, filled, strict=True)), schema=DOUBT))
    return doubt, evaluation


def test_the_networks_map_comes_first_and_a_face_without_a_doubt_is_on_it(folders):
    doubt, evaluation = folders
    assert has_map(evaluation)
    found = read_map(doubt, evaluation)
    assert found.to_pydict() == {
        "sample_id": ["b", "c"], "map_x": [0.0, 1.0], "map_y": [1.0, 0.0], "label": [4, None], "doubt": [0.75, None]
    }  # fmt: skip


def test_without_one_faces_that_look_alike_are_shown(folders):
    doubt, evaluation = folders
    assert read_map(doubt, None)["sample_id"].to_pylist() == ["a", "b"]
    write_table(evaluation / "embedding.parquet", EMBEDDING.empty_table())
    assert not has_map(evaluation)
    assert read_map(doubt, evaluation)["sample_id"].to_pylist() == ["a", "b"]
    (evaluation / "embedding.parquet").unlink()
    assert read_map(doubt, evaluation)["sample_id"].to_pylist() == ["a", "b"]
