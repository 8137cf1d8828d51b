"""Small inputs of the shard stage, made in the test's folder: tables of two datasets."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from pipeline.core.emotions import CLASSES
from pipeline.core.lineage.snapshot import Snapshot, write_snapshot
from pipeline.core.params import ShardParams
from pipeline.core.schema import FACES, LABELS, REJECTS, SELECTED, SPLIT
from pipeline.core.tables import part_name, rows_to_table, write_table
from pipeline.images import encode_face

SIZE_PX = 48
ALIGN = {"template": "arcface-112", "size_px": SIZE_PX, "margin": 0.25, "border": "constant"}
EQUALIZE = {"method": "clahe"}


@dataclass(frozen=True)
class Inputs:
    """Where the folders are, and what was put into them by sample_id."""

    faces: dict[str, Path]
    selected: dict[str, Path]
    labels: dict[str, Path]
    split: Path
    pictures: dict[str, bytes]
    rows: dict[str, dict]

    @property
    def tables(self) -> tuple[dict[str, Path], dict[str, Path], dict[str, Path], Path]:
        """What the stage reads, in its order."""
        return self.faces, self.selected, self.labels, self.split


def shard_params(**changes) -> ShardParams:
    values = {
        "train_on": None,
        "balance": "none",
        "train_per_class": 1500,
        "balance_over": "class",
        "max_copies": 10,
        "weighting": "inverse",
        "effective_beta": 0.999,
        "containers": ["parquet", "webdataset"],
        "rows_per_shard": 40,
        "world_size": 1,
    }
    return ShardParams(**(values | changes))


def make_inputs(
    root: Path,
    *,
    rows: int = 150,
    size_px: int = SIZE_PX,
    hostile: bool = True,
    unclassed: int = 0,
    classes: Sequence[str] = CLASSES,
) -> Inputs:
    """Two datasets: `one` in colour with valence and arousal and subjects, `two` in grey without any of them.

    The last `unclassed` of `one` have no class.
    """
    faces, selected, labels, pictures, all_rows = {}, {}, {}, {}, {}
    for name in ("one", "two"):
        made = [_row(name, number, size_px, hostile, classes) for number in range(rows)]
        for row in made[rows - unclassed :] if name == "one" else ():
            row |= {"label": None, "label_probs": None, "unclassed": "unlabelled", "valence": row["n"] / rows - 0.5}
        made.sort(key=lambda row: row["sample_id"])
        all_rows |= {row["sample_id"]: row for row in made}
        pictures |= {row["sample_id"]: row["image"] for row in made}
        seen = [row for row in made if row["n"] % 25 != 7]
        faces[name] = _write_faces(root / "faces" / name, seen)
        selected[name] = write_selected(root / "selected" / name, [row["sample_id"] for row in seen])
        _snapshot(selected[name], "select", {})
        labels[name] = _write_labels(root / "labels" / name, made, classes)
    split = root / "split"
    split.mkdir()
    ordered = sorted(all_rows.values(), key=lambda row: row["sample_id"])
    entries = [{"sample_id": row["sample_id"], "split": row["split"], "group_id": row["sample_id"]} for row in ordered]
    write_table(split / "split.parquet", pa.Table.from_pylist(entries, SPLIT))
    _snapshot(split, "split", {})
    return Inputs(faces, selected, labels, split, pictures, all_rows)


def _row(name: str, n: int, size_px: int, hostile: bool, classes: Sequence[str]) -> dict:
    random = np.random.default_rng((n, len(name), ord(name[0])))
    shape = (size_px, size_px, 3) if name == "one" else (size_px, size_px)
    low = random.integers(0, 255, (6, 6, 3) if name == "one" else (6, 6)).astype(np.float32)
    pixels = np.repeat(np.repeat(low, size_px // 6, 0), size_px // 6, 1)
    pixels = np.clip(pixels + random.normal(0, 3, shape), 0, 255).astype(np.uint8)
    odd = "a b/ü.x.#\"'\\/…" if hostile else "p"
    label = CLASSES.index(classes[(n * 3 + n // 7) % len(classes)])
    probs = np.zeros(8, np.float32)
    probs[label] = 1
    return {
        "sample_id": f"{name}/{odd}{n:04d}.png#0",
        "n": n,
        "dataset": name,
        "source_path": f"{odd}{n:04d}.png",
        "face_number": 0,
        "source_md5": "0" * 32,
        "subject_id": f"s{n // 5}" if name == "one" else None,
        "source_labels": ["x"],
        "gender": (None, "female", "male")[n % 3] if name == "one" else None,
        "age": "20-39" if n % 2 else "Kid",
        "age_years": 31.0 if n % 2 else None,
        "race": None,
        "valence": float(np.float32(n / 150)) if name == "one" and n % 3 else None,
        "arousal": -0.5 if name == "one" and n % 2 else None,
        "dominance": None,
        "image": encode_face(pixels),
        "face_box": [0.0, 0.0, 10.0, 10.0],
        "landmarks": (random.random(10) * 50).astype(np.float32).tolist(),
        "face_score": 1.0,
        "detector": "mtcnn",
        "attempt": "plain",
        "turn_deg": 0,
        "label": label,
        "label_probs": probs.tolist(),
        "split": ("train", "train", "train", "val", "test")[n % 5],
    }


def _write_faces(folder: Path, rows: list[dict]) -> Path:
    folder.mkdir(parents=True)
    for number, start in enumerate(range(0, len(rows), 60)):
        chosen = [{key: row.get(key) for key in FACES.names} for row in rows[start : start + 60]]
        write_table(folder / part_name(number), pa.Table.from_pylist(chosen, FACES))
    _snapshot(folder, "equalize", {"align": ALIGN, "equalize": EQUALIZE})
    return folder


def write_selected(folder: Path, ids: Iterable[str], rejects: Mapping[str, str] | None = None) -> Path:
    """Write which faces count, and of others by which reason they do not."""
    folder.mkdir(parents=True, exist_ok=True)
    kept = [{"sample_id": key, "dataset": folder.name} for key in ids]
    left = [
        {"sample_id": key, "dataset": folder.name, "stage": "select", "reason": reason}
        for key, reason in (rejects or {}).items()
    ]
    write_table(folder / "selected.parquet", rows_to_table(kept, SELECTED))
    write_table(folder / "rejects.parquet", rows_to_table(left, REJECTS))
    return folder


def _write_labels(folder: Path, rows: list[dict], classes: Sequence[str]) -> Path:
    folder.mkdir(parents=True)
    chosen = [{key: row.get(key) for key in LABELS.names} for row in rows]
    write_table(folder / "labels.parquet", pa.Table.from_pylist(chosen, LABELS))
    _snapshot(folder, "harmonize", {"taxonomy": {"name": folder.name, "version": 1}, "classes": list(classes)})
    return folder


def _snapshot(folder: Path, stage: str, contract: dict) -> None:
    write_snapshot(folder, Snapshot(stage, f"{stage}-{folder.name}", (), {}, {}, {}, contract))
