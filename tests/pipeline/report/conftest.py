"""A small dataset that went through the real stages, and its page."""

import json

import numpy as np
import pytest
from skimage import data

from pipeline.align.stage import run as align
from pipeline.core.params import ReportParams, read_params
from pipeline.equalize.stage import run as equalize
from pipeline.ingest.stage import run as ingest
from pipeline.labels.stage import run as harmonize
from pipeline.report.stage import run as write_report
from pipeline.select.stage import run as select
from pipeline.shards.stage import run as write_shards
from pipeline.split.stage import run as split
from tests.imports import ROOT
from tests.pictures import encoded
from tests.shard_inputs import shard_params

PARAMS = ReportParams(faces_per_class=5, faces_per_cell=2, rejects_per_reason=3)


@pytest.fixture(scope="session")
def params():
    return PARAMS


@pytest.fixture(scope="session")
def shards(tmp_path_factory):
    """Dataset `one`: the NASA portrait in two classes, and a wall in each; its table contradicts its folders."""
    root = tmp_path_factory.mktemp("report")
    params = read_params(ROOT / "params.yaml")
    face, wall = data.astronaut()[:256, 100:356], data.brick()
    raw = root / "raw" / "one"
    labels = {"sad": "happy", "happy": "sad"}  # by folder
    for folder, label in labels.items():
        (raw / folder).mkdir(parents=True)
        for number in range(3):
            turned = np.roll(face, 5 * number + (label == "sad"), axis=1)
            (raw / folder / f"face{number}.jpg").write_bytes(encoded(turned, 90 - number))
        (raw / folder / "wall.jpg").write_bytes(encoded(wall, 80 if label == "sad" else 81))
    (raw / "sad" / "torn.jpg").write_bytes(encoded(face, 90)[:2000])
    listed = sorted(path.relative_to(raw).as_posix() for path in raw.rglob("*.jpg"))
    rows = [f"{name},{labels[name.partition('/')[0]]}" for name in listed]
    (raw / "labels.csv").write_text("\n".join(["path,label", *rows]))
    small = params.align.model_copy(update={"size_px": 64})
    ingest(str(raw), root / "samples", dataset="one", fmt="csv", params=params.ingest, accept_mismatch=True)
    align(root / "samples", str(raw), root / "aligned", small, workers=1)
    equalize(root / "aligned", root / "faces", params.equalize, workers=1)
    harmonize(root / "samples", root / "labels", params.harmonize)
    free = params.split.model_copy(update={"duplicates": "none"})
    one = {"one": root / "labels"}
    split({"one": root / "aligned"}, one, {"one": "both"}, root / "split", free, seed=1, workers=1)
    select(root / "aligned", root / "selected", params.select)
    faces = {"one": root / "faces"}, {"one": root / "selected"}
    write_shards(*faces, one, root / "split", root / "shards", shard_params(), seed=1, workers=1)
    return root / "shards"


@pytest.fixture(scope="session")
def out(shards):
    write_report(shards, shards.parent / "out", PARAMS)
    return shards.parent / "out"


@pytest.fixture(scope="session")
def card(out):
    return json.loads((out / "card.json").read_text())
