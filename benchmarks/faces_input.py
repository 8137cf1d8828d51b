"""Colour faces for benchmarks: crops around the 68 points of the shared photographs, jittered, stored as faces are.

Nothing of them is kept after the benchmark.
"""

import csv
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa

from benchmarks.photographs import FRAMES, photographs
from pipeline.core.emotions import CLASSES
from pipeline.core.lineage.snapshot import Snapshot, write_snapshot
from pipeline.core.schema import FACES, LABELS, REJECTS, SELECTED, SPLIT
from pipeline.core.tables import part_name, rows_to_table, write_table
from pipeline.images import encode_face

PART_ROWS = 512


def cropped_faces(count: int, size_px: int, seed: int = 0) -> list[bytes]:
    """Return `count` JPEGs of `size_px` square faces: the box of the points, shifted and scaled by up to a tenth."""
    photos = photographs().folder / FRAMES
    with (photos / "keypoints68.csv").open(encoding="utf-8") as stream:
        rows = list(csv.reader(stream))[1:]
    random = np.random.default_rng(seed)
    pictures: dict[str, np.ndarray] = {}
    faces = []
    for number in range(count):
        name, *values = rows[number % len(rows)]
        if name not in pictures:
            content = np.frombuffer(find(photos, name).read_bytes(), np.uint8)
            pictures[name] = cv2.cvtColor(cv2.imdecode(content, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
        points = np.array(values, float).reshape(-1, 2)
        centre = (points.min(0) + points.max(0)) / 2
        side = float((points.max(0) - points.min(0)).max()) * (1.5 + random.uniform(-0.15, 0.15))
        corner = centre - side / 2 + random.uniform(-0.1, 0.1, 2) * side
        scale = size_px / side
        matrix = np.array([[scale, 0, -corner[0] * scale], [0, scale, -corner[1] * scale]])
        crop = cv2.warpAffine(pictures[name], matrix, (size_px, size_px), flags=cv2.INTER_LINEAR)
        faces.append(encode_face(crop))
    return faces


def find(photos: Path, name: str) -> Path:
    """Return the photograph with this name, wherever it lies below the folder."""
    direct = photos / name
    return direct if direct.is_file() else next(photos.rglob(Path(name).name))


def write_inputs(
    root: Path, faces: list[bytes], split_of: Callable[[int], str] = lambda _: "train"
) -> tuple[dict[str, Path], dict[str, Path], dict[str, Path], Path]:
    """Write faces that all count, labels and a split as the shard stage reads them; `split_of` says a face's set."""
    rows = [row(number, face) for number, face in enumerate(faces)]
    folders = {name: root / name for name in ("faces", "selected", "labels", "split")}
    for folder in folders.values():
        folder.mkdir(parents=True)
    for part, start in enumerate(range(0, len(rows), PART_ROWS)):
        chosen = [{name: entry.get(name) for name in FACES.names} for entry in rows[start : start + PART_ROWS]]
        write_table(folders["faces"] / part_name(part), pa.Table.from_pylist(chosen, FACES))
    write_table(folders["selected"] / "selected.parquet", rows_to_table(rows, SELECTED))
    write_table(folders["selected"] / "rejects.parquet", REJECTS.empty_table())
    labels = [{name: entry.get(name) for name in LABELS.names} for entry in rows]
    write_table(folders["labels"] / "labels.parquet", pa.Table.from_pylist(labels, LABELS))
    split = [
        {"sample_id": entry["sample_id"], "split": split_of(number), "group_id": entry["sample_id"]}
        for number, entry in enumerate(rows)
    ]
    write_table(folders["split"] / "split.parquet", pa.Table.from_pylist(split, SPLIT))
    align = {"template": "arcface-112", "size_px": 224, "margin": 0.25}
    contracts = {"faces": {"align": align, "equalize": {"method": "none"}}, "selected": {}, "labels": {}, "split": {}}
    for name, folder in folders.items():
        write_snapshot(folder, Snapshot(name, name, (), {}, {}, {}, contracts[name]))
    return *({"bench": folders[name]} for name in ("faces", "selected", "labels")), folders["split"]


def row(number: int, face: bytes) -> dict[str, object]:
    """Return one row with the columns of faces and labels; `number` decides the class."""
    label = number % len(CLASSES)
    return {
        "sample_id": f"bench/{number:06d}.jpg#0",
        "dataset": "bench",
        "source_path": f"{number:06d}.jpg",
        "face_number": 0,
        "source_md5": "0" * 32,
        "subject_id": f"s{number // 10}",
        "source_labels": [CLASSES[label]],
        "valence": 0.5,
        "arousal": -0.5,
        "image": face,
        "face_box": [0.0, 0.0, 10.0, 10.0],
        "landmarks": [90.0, 90.0, 130.0, 90.0, 110.0, 110.0, 95.0, 130.0, 125.0, 130.0],
        "turn_deg": 0,
        "face_score": 1.0,
        "detector": "given",
        "attempt": "given",
        "label": label,
        "label_probs": [float(label == other) for other in range(len(CLASSES))],
    }
