"""Training, evaluate, predict and export show a network the same pixels of a face, at whatever scale it is decoded."""

import numpy as np
import onnxruntime
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import simplejpeg
import torch
from skimage import data

from models.checkpoint import load_checkpoint
from models.core.inputs import InputSpec, shrink
from models.data.decode import decode_for
from models.data.loader import ShardLoader
from models.evaluation.stage import run as evaluate
from models.inference.export import CLASSES_OUTPUT, INPUT_NAME, export_onnx
from models.inference.predictor import Predictor
from models.training.epochs import Reading, read_faces
from pipeline.align.stage import run as align
from pipeline.core.lineage.snapshot import Snapshot, write_snapshot
from pipeline.core.params import read_params
from pipeline.core.schema import SPLIT
from pipeline.core.tables import write_table
from pipeline.equalize.stage import run as equalize
from pipeline.ingest.stage import run as ingest
from pipeline.labels.stage import run as harmonize
from pipeline.select.stage import run as select
from pipeline.shards.stage import run as write_shards
from tests.imports import ROOT
from tests.pictures import encoded
from tests.run_inputs import evaluate_params, make_run
from tests.shard_inputs import shard_params


def spec(size_px, zoom=1.0):
    return InputSpec(size_px, (0.5,) * 3, (0.25,) * 3, zoom)


@pytest.fixture(scope="module")
def pictures():
    """One portrait as it is, mirrored, and in grey, by path."""
    portrait = data.astronaut()
    grey = portrait.mean(2).astype(np.uint8)
    return {
        "happy/a.jpg": encoded(portrait), "happy/b.jpg": encoded(portrait[:, ::-1]), "sad/c.jpg": encoded(grey)
    }  # fmt: skip


@pytest.fixture(scope="module")
def shards(pictures, tmp_path_factory):
    """The portraits as a test set, through the stages."""
    root = tmp_path_factory.mktemp("same")
    params = read_params(ROOT / "params.yaml")
    for name, content in pictures.items():
        (root / "raw" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "raw" / name).write_bytes(content)
    ingest(str(root / "raw"), root / "samples", dataset="one", fmt="folder", params=params.ingest)
    align(root / "samples", str(root / "raw"), root / "aligned", params.align, workers=1)
    equalize(root / "aligned", root / "faces", params.equalize, workers=1)
    harmonize(root / "samples", root / "labels", params.harmonize)
    ids = pq.read_table(root / "labels" / "labels.parquet")["sample_id"].to_pylist()
    rows = [{"sample_id": key, "split": "test", "group_id": key} for key in ids]
    (root / "split").mkdir()
    write_table(root / "split" / "split.parquet", pa.Table.from_pylist(rows, SPLIT))
    write_snapshot(root / "split", Snapshot("split", "split", (), {}, {}, {}, {}))
    select(root / "aligned", root / "selected", params.select)
    given = *({"one": root / name} for name in ("faces", "selected", "labels")), root / "split"
    write_shards(*given, root / "shards", shard_params(), seed=1, workers=1)
    return root / "shards"


@pytest.fixture(scope="module")
def run(shards):
    """An untrained network of 32 px: the faces of 224 px are decoded at half the size."""
    run = make_run(shards, shards.parent / "run")
    assert load_checkpoint(run).spec.factor(224) == 2
    return run


def test_predict_answers_a_picture_as_evaluate_its_row(shards, run, pictures, tmp_path):
    evaluate(shards, run, tmp_path / "out", evaluate_params(), seed=1)
    rows = pq.read_table(tmp_path / "out" / "predictions.parquet").to_pylist()
    assert len(rows) == len(pictures) == 3
    answers = Predictor(load_checkpoint(run)).predict(list(pictures.values()))
    for row, name, (face,) in zip(rows, pictures, answers, strict=True):
        assert name in row["sample_id"]
        np.testing.assert_allclose(list(face.probabilities.values()), row["probabilities"], atol=1e-6)
    assert np.ptp([row["probabilities"] for row in rows], axis=0).max() > 1e-3


def test_training_reads_what_evaluate_answers(shards, run):
    checkpoint = load_checkpoint(run)
    (batch,) = ShardLoader(shards, "test", batch_size=9, shuffle=False, seed=0, spec=checkpoint.spec)
    assert batch.images.shape == (3, 3, 112, 112)
    learned = read_faces(Reading(shards, "test", checkpoint.spec, 9, 0, 64)).pixels
    assert torch.equal(checkpoint.spec.normalize(learned), checkpoint.prepare(batch.images))


def test_faces_in_full_are_answered_as_stored_ones(shards, run, tmp_path):
    """Arrays, and what an exported network is given: they differ by the decoder's rounding alone."""
    checkpoint = load_checkpoint(run)
    whole, stored = (
        next(iter(ShardLoader(shards, "test", batch_size=9, shuffle=False, seed=0, spec=given))).images
        for given in (None, checkpoint.spec)
    )
    assert whole.shape[-1] == 224
    scaled = [checkpoint.spec.resize(images).int() for images in (whole, stored)]
    assert (scaled[0] - scaled[1]).abs().max() <= 1
    np.testing.assert_allclose(checkpoint.predict(whole), checkpoint.predict(stored), atol=5e-3)
    export_onnx(load_checkpoint(run), tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    (found,) = session.run([CLASSES_OUTPUT], {INPUT_NAME: whole.contiguous().numpy()})
    np.testing.assert_allclose(found, checkpoint.predict(whole), atol=1e-4)


@pytest.mark.parametrize("factor", [2, 4, 8])
def test_a_shrunk_face_is_what_the_decoder_makes_of_the_stored_one(shards, factor):
    images = [row["image"]["bytes"] for row in pq.read_table(next((shards / "parquet").glob("test-*"))).to_pylist()]
    side = 224 // factor
    assert spec(side // 2).factor(224) == factor
    found = decode_for(images, spec(side // 2))
    whole = torch.from_numpy(np.stack([simplejpeg.decode_jpeg(image, "RGB") for image in images])).permute(0, 3, 1, 2)
    expected = shrink(whole, factor)
    assert found.shape == (3, side, side, 3)
    apart = (torch.from_numpy(found).permute(0, 3, 1, 2).int() - expected.int()).abs()
    assert apart.max() <= 3
    assert apart.float().mean() < 0.4
    means = whole.double().unfold(2, factor, factor).unfold(3, factor, factor).mean((4, 5))
    assert (expected - means).abs().max() <= 0.5


def test_what_is_shrunk_has_twice_the_inputs_side_and_its_cut_in_the_same_place():
    asked = [
        (56, 1.0, 2), (57, 1.0, 1), (28, 1.0, 4), (14, 1.0, 8), (224, 1.0, 1),
        (48, 8 / 9, 2),  # 12 of 224 px are cut off, 6 of 112; 50 of 56 would be less than twice 48
        (24, 8 / 9, 4), (32, 0.875, 2),  # 14 of 224, 7 of 112
        (32, 0.9, 1),  # 11 of 224 px: none of a half
    ]  # fmt: skip
    assert [(size, zoom, spec(size, zoom).factor(224)) for size, zoom, _ in asked] == asked
    assert spec(20).factor(101) == 1
    # Shrunk once, it is not shrunk again.
    assert all(spec(size, zoom).factor(224 // factor) == 1 for size, zoom, factor in asked)
