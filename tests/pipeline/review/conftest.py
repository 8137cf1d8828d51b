"""A small project as `prep review` needs it: pictures with two faces each, of which the larger one was aligned."""

import io
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml

from pipeline.core.emotions import CLASSES
from pipeline.core.schema import DETECTIONS, DOUBT, FACES, LABELS
from pipeline.core.tables import rows_to_table, write_table
from pipeline.images import encode_face
from tests.imports import ROOT
from tests.pipeline.align.inputs import ingested, jpeg, portrait, write_tree

COUNT = 12
WIDTH_PX = 1024


def picture(number: int) -> bytes:
    """Return a portrait of 512 px, beside it a smaller one, and a square that tells the picture from the others."""
    small = np.full((512, 512, 3), 90 + number, np.uint8)
    small[100:356, 100:356] = portrait()[::2, ::2]
    both = np.concatenate([portrait(), small], axis=1)
    cv2.rectangle(both, (10 + 20 * number, 480), (24 + 20 * number, 500), (255, 0, 0), -1)
    return jpeg(both)


def write_project(root: Path, count: int = COUNT, crop_px: int = 96) -> Path:
    """Write raw pictures, samples, crops, labels and a table of doubt below a folder, and return it."""
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["datasets"] = {"toy": {"src": "raw/toy", "format": "folder", "role": "both"}}
    (root / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    shown = [picture(number) for number in range(COUNT)]
    write_tree(root / "raw/toy", {f"happy/{number:02d}.jpg": shown[number % COUNT] for number in range(count)})
    ingested(root / "raw/toy", root / "data/samples/toy")
    rows = pq.read_table(root / "data/samples/toy/samples.parquet").to_pylist()
    face = {"face_box": [170, 60, 280, 200], "landmarks": [204, 101, 247, 103, 224, 127, 203, 140, 245, 141]}
    face |= {"face_score": 0.9, "detector": "mtcnn", "attempt": "mtcnn", "turn_deg": 0}
    crops = [encode_face(cv2.resize(portrait()[40 + top : 220, 135:315], (crop_px, crop_px))) for top in range(COUNT)]
    faces = [row | face | {"image": crops[number % COUNT]} for number, row in enumerate(rows)]
    label = {"label": CLASSES.index("happy"), "label_probs": [float(name == "happy") for name in CLASSES]}
    seen = [row | {"status": "aligned", "face_score": 0.5 + number / count / 2} for number, row in enumerate(rows)]
    ids = [row["sample_id"] for row in rows]
    doubt = [
        {"rank": number + 1, "rank_in_class": number + 1, "sample_id": name, "dataset": "toy", "reason": "label"}
        | {"detail": "others call it fear", "score": 0.9, "label_score": 0.9, "duplicate_score": 0.0}
        | {"outlier_score": 0.0, "crop_score": 0.0, "label": 4, "suggested": 3, "probs": [0.125] * 8}
        | {"neighbours": [ids[(number + count // 3 + 1009 * step) % count] for step in range(5)]}
        for number, name in enumerate(ids)
    ]
    for path, table, schema in (
        ("data/aligned/toy/part-00000.parquet", faces, FACES),
        ("data/aligned/toy/detections.parquet", seen, DETECTIONS),
        ("data/labels/toy/labels.parquet", [row | label for row in rows], LABELS),
        ("runs/doubt/doubt.parquet", doubt, DOUBT),
    ):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        known = [{name: row.get(name) for name in schema.names} for row in table]
        write_table(root / path, rows_to_table(known, schema))
    return root


class Server:
    """`prep review` in a process of its own."""

    def __init__(self, root: Path, *words: str) -> None:
        command = [sys.executable, "-m", "stages", "review", *words]
        self.process = subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert isinstance(self.process.stdout, io.TextIOBase)
        said = self.process.stdout.readline()
        assert "http://" in said, said + (self.process.stdout.read() if self.process.poll() is not None else "")
        self.address = next(word for word in said.split() if word.startswith("http://"))

    def kill(self) -> None:
        """End it as a power cut would."""
        self.process.kill()
        self.process.wait(30)
        assert self.process.stdout is not None
        self.process.stdout.close()


@pytest.fixture
def project(tmp_path):
    return write_project(tmp_path)


@pytest.fixture
def serve(project, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    servers: list[Server] = []

    def start(*words: str) -> Server:
        servers.append(Server(project, *words))
        return servers[-1]

    yield start
    for server in servers:
        server.kill()
