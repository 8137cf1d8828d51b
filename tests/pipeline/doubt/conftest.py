"""Two datasets of made faces whose class can be seen: eight people, light bars whose directions are the class."""

from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pytest

from pipeline.core.lineage.snapshot import Snapshot, write_snapshot
from pipeline.core.params import DoubtParams
from pipeline.core.schema import ALIGNED, DETECTIONS, FACES, LABELS, SPLIT
from pipeline.core.tables import write_table
from pipeline.doubt.stage import run
from pipeline.geometry.similarity import template_points
from pipeline.images import encode_face
from pipeline.split.duplicates import DUPLICATES

SIDE_PX, MARGIN = 96, 0.1
PEOPLE, CLASSES_SEEN, SHOTS = 8, (0, 1, 2), 3
WRONG = ("one/p1_1_1.png#0", "two/p6_0_2.png#0")  # labelled as the next class
FACELESS = "one/p2_0_0.png#0"
COPIES = ("one/p0_2_0.png#0", "one/p3_2_1.png#0")  # the second is labelled otherwise
BLURRED = "two/p7_1_0.png#0"


def face(label: int, random: np.random.Generator) -> np.ndarray:
    pixels = random.normal(90, 2, (SIDE_PX, SIDE_PX))
    middle = SIDE_PX / 2 + random.normal(0, 1, 2)
    # The mirror image of a face has the same class, so that of a bar must have it, too.
    for degrees in ((0,), (90,), (0, 90))[label]:
        along = np.radians(degrees + random.normal(0, 2))
        ends = [(middle + step * np.array([np.cos(along), np.sin(along)])).astype(int).tolist() for step in (-26, 26)]
        cv2.line(pixels, *ends, 200.0, 8)
    return np.clip(cv2.GaussianBlur(pixels, (0, 0), 1), 0, 255).astype(np.uint8)


class World:
    """The folders, and the rows that were written by sample_id."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.rows: dict[str, dict] = {}
        random = np.random.default_rng(1)
        for name, people in (("one", range(PEOPLE // 2)), ("two", range(PEOPLE // 2, PEOPLE))):
            made = [
                self._row(name, person, label, shot, random)
                for person in people
                for label in CLASSES_SEEN
                for shot in range(SHOTS)
            ]
            self._write(name, sorted(made, key=lambda row: row["sample_id"]))
        used = [row for row in self.rows.values() if row["sample_id"] not in COPIES]
        split = root / "split"
        write_table(split / "split.parquet", _table(sorted(used, key=lambda row: row["sample_id"]), SPLIT))
        pair = {"first": COPIES[0], "second": COPIES[1], "kind": "pixels", "similarity": 1.0, "mirrored": False}
        write_table(split / "duplicates.parquet", pa.Table.from_pylist([pair], schema=DUPLICATES))

    def _row(self, name: str, person: int, label: int, shot: int, random: np.random.Generator) -> dict:
        sample_id = f"{name}/p{person}_{label}_{shot}.png#0"
        pixels, wrong = face(label, random), sample_id in (*WRONG, COPIES[1])
        if sample_id == COPIES[1]:
            pixels = self.rows[COPIES[0]]["pixels"]
        if sample_id == BLURRED:
            pixels = cv2.GaussianBlur(pixels, (0, 0), 4)
        sharpness = 4.0 if sample_id == BLURRED else 300.0 + random.normal(0, 20)
        row = {
            "sample_id": sample_id,
            "dataset": name,
            "source_path": sample_id.partition("/")[2].partition("#")[0],
            "face_number": 0,
            "source_md5": sample_id,
            "subject_id": f"p{person}",
            "source_labels": [],
            "label": (label + wrong) % len(CLASSES_SEEN),
            "label_probs": [0.125] * 8,
            "pixels": pixels,
            "image": encode_face(pixels),
            "face_box": [0.0, 0.0, 1.0, 1.0],
            "landmarks": (template_points(SIDE_PX, MARGIN) + random.normal(0, 0.5, (5, 2))).ravel().tolist(),
            "face_score": 0.999,
            "detector": "none",
            "attempt": "none",
            "turn_deg": 0,
            "status": "no_face" if sample_id == FACELESS else ALIGNED,
            "sharpness": sharpness,
            "outside_share": 0.0,
            "other_faces": 0,
            "split": "train",
            "group_id": f"subject:{name}/p{person}",
        }
        self.rows[sample_id] = row
        return row

    def _write(self, name: str, rows: list[dict]) -> None:
        aligned, labels = self.root / "aligned" / name, self.root / "labels" / name
        for folder in (aligned, labels, self.root / "split"):
            folder.mkdir(parents=True, exist_ok=True)
        seen = [row for row in rows if row["status"] == ALIGNED]
        write_table(aligned / "part-00000.parquet", _table(seen, FACES))
        write_table(aligned / "detections.parquet", _table(rows, DETECTIONS))
        write_table(labels / "labels.parquet", _table(rows, LABELS))
        contract = {"align": {"size_px": SIDE_PX, "margin": MARGIN}}
        write_snapshot(aligned, Snapshot("align", name, (), {}, {}, {}, contract))

    def run(self, out: Path, *, workers: int = 1, seed: int = 1) -> dict:
        folders = [{name: self.root / kind / name for name in ("one", "two")} for kind in ("aligned", "labels")]
        params = DoubtParams(features="histograms", folds=4, map_faces=40)
        return run(*folders, self.root / "split", out, params, copy=0.97, seed=seed, workers=workers)


def _table(rows: list[dict], schema: pa.Schema) -> pa.Table:
    return pa.Table.from_pylist([{name: row.get(name) for name in schema.names} for row in rows], schema=schema)


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """The world, its output and its summary."""
    root = tmp_path_factory.mktemp("doubt")
    world = World(root)
    return world, root / "out", world.run(root / "out")
