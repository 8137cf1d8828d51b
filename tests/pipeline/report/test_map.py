"""Which map the page has: the network's, where its evaluation made one, else that of what looks alike."""

import re

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from pipeline.core.params import read_params
from pipeline.core.schema import DOUBT, EMBEDDING
from pipeline.core.stage_output import stage_output
from pipeline.core.tables import write_table
from pipeline.report.doubt import has_map, read_map
from pipeline.report.stage import run as write_report
from pipeline.select.stage import run as select
from pipeline.shards.stage import run as write_shards
from tests.imports import ROOT
from tests.shard_inputs import shard_params


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


def test_the_networks_map_comes_first(folders):
    doubt, evaluation = folders
    assert has_map(evaluation)
    found = read_map(doubt, evaluation)
    assert found.to_pydict() == {"sample_id": ["b", "c"], "map_x": [0.0, 4.0], "map_y": [3.0, 1.0]}


def test_without_one_faces_that_look_alike_are_shown(folders):
    doubt, evaluation = folders
    assert read_map(doubt, None)["sample_id"].to_pylist() == ["a", "b"]
    write_table(evaluation / "embedding.parquet", EMBEDDING.empty_table())
    assert not has_map(evaluation)
    assert read_map(doubt, evaluation)["sample_id"].to_pylist() == ["a", "b"]
    (evaluation / "embedding.parquet").unlink()
    assert read_map(doubt, evaluation)["sample_id"].to_pylist() == ["a", "b"]


def test_only_faces_that_the_page_shows_are_drawn_and_the_others_counted(shards, tmp_path, params):
    """Of seven faces on the map, select turned one away after it was drawn, and one is gone from the dataset."""
    root = shards.parent
    detections = pq.read_table(root / "aligned/detections.parquet").filter(pc.field("sharpness").is_valid())
    sharpness = dict(zip(detections["sample_id"].to_pylist(), detections["sharpness"].to_pylist(), strict=True))
    ids = sorted(sharpness)
    least = sorted(sharpness.values())[1]
    limits = read_params(ROOT / "params.yaml").select.model_copy(update={"min_sharpness": least})
    select(root / "aligned", tmp_path / "selected", limits)
    tables = {"one": root / "faces"}, {"one": tmp_path / "selected"}, {"one": root / "labels"}
    write_shards(*tables, root / "split", tmp_path / "shards", shard_params(), seed=1, workers=1)
    marks = {"sample_id": [*ids, "one/gone.jpg#0"], "x": [*range(len(ids)), -1], "y": [0.0] * (len(ids) + 1)}
    with stage_output(tmp_path / "doubts", stage="doubt", sources=[tmp_path / "shards"], params={}) as output:
        output.write_table("embedding.parquet", pa.table(marks, schema=EMBEDDING))
        output.write_table("doubt.parquet", DOUBT.empty_table())
        output.finish(rows_in=0, rows_out=0)
    write_report(tmp_path / "shards", tmp_path / "page", params, doubt=tmp_path / "doubts")
    kept = [key for key in ids if sharpness[key] >= least]
    assert 0 < len(kept) < len(ids)
    page = (tmp_path / "page/index.html").read_text()
    clouds = re.findall(r'<path class="cloud[^>]* d="([^"]*)"', page)
    drawn = [float(x) for x in re.findall(r"M(\S+) ", "".join(clouds))]
    # In a square of 240 with a margin of 5, from the first face that is shown to the last one.
    first, last = ids.index(kept[0]), ids.index(kept[-1])
    expected = [5 + 230 * (ids.index(key) - first) / (last - first) for key in kept]
    assert sorted(drawn) == pytest.approx(expected, abs=0.051)
    assert f"{len(ids) + 1 - len(kept)} more faces are not drawn" in page
