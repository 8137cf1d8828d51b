"""Duplicates and identities on real photographs: recall, false pairs by threshold, and time by number of faces.

    python -m benchmarks.duplicates calibrate                    recall and false pairs by threshold, on muxspace
    python -m benchmarks.duplicates identities                   false merges by distance, on muxspace's names
    python -m benchmarks.duplicates speed [--faces 100000]       seconds on two cores, and how they grow
    python -m benchmarks.duplicates all                          all three

The photographs are those of muxspace (see `photographs`). Only numbers and curves are written, never faces.
"""

import argparse
import json
import os
import re
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from benchmarks.duplicates_changes import CHANGES
from benchmarks.duplicates_report import write_report
from benchmarks.photographs import PORTRAITS, photographs
from pipeline.align.stage import run as align
from pipeline.core.graph import components
from pipeline.core.lineage.snapshot import Snapshot, write_snapshot
from pipeline.core.params import read_params
from pipeline.core.tables import count_rows, part_name, read_part, table_files, write_table
from pipeline.images import decode_face, encode_face
from pipeline.ingest.stage import run as ingest
from pipeline.split.duplicates import find_duplicates
from pipeline.split.identities import close_pairs, describe

Pixels = NDArray[np.uint8]
ROWS_PER_PART = 512
THRESHOLDS = (0.80, 0.85, 0.88, 0.90, 0.91, 0.92, 0.93, 0.94, 0.95, 0.97)
DISTANCES = (0.30, 0.35, 0.38, 0.40, 0.42, 0.45, 0.50, 0.55, 0.60)


def align_photographs(root: Path, *, planted: bool) -> Path:
    """Run ingest and align on the photographs and, if `planted`, on one changed copy of each; the changes take turns.

    Files are named `<number of the photograph>-<kind>`. Returns the folder of aligned faces.
    """
    tree = root / "tree/neutral"
    tree.mkdir(parents=True)
    for number, file in enumerate(portraits()):
        shutil.copy(file, tree / f"{number:04d}-original{file.suffix}")
        if planted:
            kind = list(CHANGES)[number % len(CHANGES)]
            pixels = CHANGES[kind](cv2.imread(str(file)), np.random.default_rng(number))
            cv2.imwrite(str(tree / f"{number:04d}-{kind}.png"), pixels)
    params = read_params(Path("params.yaml"))
    ingest(str(root / "tree"), root / "samples", dataset="muxspace", fmt="folder", params=params.ingest)
    align(root / "samples", str(root / "tree"), root / "aligned", params.align, workers=2)
    return root / "aligned"


def portraits() -> list[Path]:
    """Return the photographs, one face each, sorted by name."""
    return sorted((photographs().folder / PORTRAITS / "images").iterdir())


def read_faces(folder: Path) -> tuple[list[str], list[Pixels]]:
    """Return sample ids and grey faces of a folder."""
    rows = [row for part in table_files(folder) for row in read_part(part, ["sample_id", "image"]).to_pylist()]
    faces = [decode_face(row["image"]) for row in rows]
    grey = [face if face.ndim == 2 else cv2.cvtColor(face, cv2.COLOR_RGB2GRAY) for face in faces]
    return [row["sample_id"] for row in rows], grey


def photograph(sample_id: str) -> int:
    """Return the number of the photograph that a sample shows."""
    return int(sample_id.rpartition("/")[2][:4])


def calibrate() -> None:
    """Plant copies, find them, and write recall and false pairs by threshold."""
    names = [file.name for file in portraits()]
    with tempfile.TemporaryDirectory() as folder:
        parts = table_files(align_photographs(Path(folder), planted=True))
        ids = [name for part in parts for name in read_part(part, ["sample_id"])["sample_id"].to_pylist()]
        found = find_duplicates(parts, near=True, threshold=0.0, workers=2).table.to_pylist()
    best: dict[tuple[str, str], float] = {}
    for row in found:
        pair = (row["first"], row["second"])
        best[pair] = max(row["similarity"], best.get(pair, 0.0))
    of_photo: dict[int, list[str]] = {}
    for name in sorted(ids):
        of_photo.setdefault(photograph(name), []).append(name)
    planted = [(pair[0], pair[1]) for pair in of_photo.values() if len(pair) == 2]
    true = np.array([best.get(pair, 0.0) for pair in planted])
    kinds = np.array([next(k for k in CHANGES if any(f"-{k}." in name for name in pair)) for pair in planted])
    other = [(score, pair) for pair, score in best.items() if photograph(pair[0]) != photograph(pair[1])]
    two = np.array([len({person(names[photograph(name)]) for name in pair}) > 1 for _, pair in other])
    scores = np.array([score for score, _ in other])
    different = len(ids) * (len(ids) - 1) // 2 - len(planted)
    rows = [
        {
            "threshold": threshold,
            "recall": float((true >= threshold).mean()),
            "recall_by_kind": {kind: float((true[kinds == kind] >= threshold).mean()) for kind in CHANGES},
            "pairs_of_two_photos": int((scores >= threshold).sum()),
            "of_them_two_people": int((scores[two] >= threshold).sum()),
            "false_rate": float((scores >= threshold).sum() / different),
        }
        for threshold in THRESHOLDS
    ]
    write("duplicates_curve", {"faces": len(ids), "planted": len(planted), "different_pairs": different, "rows": rows})
    draw(rows)


def person(name: str) -> str:
    """Return whose photograph it is: the file's name up to its last number; of stock photos nobody knows."""
    found = re.fullmatch(r"(.*?)_?\d+[a-z]?\.\w+", name)
    return name if found is None or found[1].startswith("facial-expressions") else found[1].lower()


def draw(rows: list[dict[str, Any]]) -> None:
    """Draw the curve of the threshold."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, left = plt.subplots(figsize=(6, 3.6), layout="constrained")
    threshold = [row["threshold"] for row in rows]
    left.plot(threshold, [row["recall"] for row in rows], "o-", color="tab:blue", label="planted copies found")
    left.set(xlabel="duplicate_similarity", ylabel="recall", ylim=(0.9, 1.001))
    right = left.twinx()
    right.plot(threshold, [row["pairs_of_two_photos"] for row in rows], "s--", color="tab:red", label="other pairs")
    right.plot(threshold, [row["of_them_two_people"] for row in rows], "^:", color="tab:orange", label="two people")
    right.set(ylabel="pairs of two photographs", yscale="symlog")
    figure.legend(loc="outside upper center", ncols=3)
    figure.savefig(photographs().results() / "duplicates_curve.png", dpi=120, metadata={"Software": None})


def identities() -> None:
    """Measure, against the names, what linking by descriptor merges and what it keeps apart."""
    files = [file.name for file in portraits()]
    with tempfile.TemporaryDirectory() as folder:
        ids, faces = read_faces(align_photographs(Path(folder), planted=False))
    names = [files[photograph(name)] for name in ids]
    known = [index for index, name in enumerate(names) if person(name) != name]
    people = np.unique([person(names[index]) for index in known], return_inverse=True)[1]
    margin = read_params(Path("params.yaml")).align.margin
    start = time.process_time()
    descriptors = describe([np.ascontiguousarray(faces[index]) for index in known], margin)
    each_ms = (time.process_time() - start) / len(known) * 1000
    same_pairs = int((np.bincount(people) * (np.bincount(people) - 1) // 2).sum())
    different_pairs = len(people) * (len(people) - 1) // 2 - same_pairs
    rows = []
    for distance in DISTANCES:
        pairs = close_pairs(descriptors, distance)
        same = people[pairs[:, 0]] == people[pairs[:, 1]]
        cluster = components(len(people), [pairs])
        sizes = np.bincount(cluster)
        joined = np.unique(np.stack([cluster, people]), axis=1, return_counts=True)[1]
        true_merged = int((joined * (joined - 1) // 2).sum())
        false_merged = int((sizes * (sizes - 1) // 2).sum()) - true_merged
        rows.append(
            {
                "distance": distance,
                "false_pairs": int((~same).sum()),
                "false_pair_rate": float((~same).sum() / different_pairs),
                "true_pairs_found": float(same.sum() / same_pairs),
                "false_merges": false_merged,
                "false_merge_rate": false_merged / different_pairs,
                "true_pairs_merged": true_merged / same_pairs,
                "largest_cluster": int(sizes.max()),
            }
        )
    counts = {"faces": len(known), "people": int(people.max() + 1), "descriptor_ms": each_ms}
    write("identities_curve", {**counts, "rows": rows})


def speed(count: int) -> None:
    """Time find_duplicates with two processes on `count` faces of each kind, and on a quarter of them."""
    rows = []
    with tempfile.TemporaryDirectory() as root:
        _, faces = read_faces(align_photographs(Path(root, "photographs"), planted=False))
        contract = {"align": {"margin": read_params(Path("params.yaml")).align.margin}}
        for name, make in (("nobody's", made_face), ("alike", bent_face)):
            folder = Path(root, make.__name__)
            folder.mkdir()
            write_snapshot(folder, Snapshot("align", "made", (), {}, {}, {}, contract))
            random = np.random.default_rng(0)
            for number, start in enumerate(range(0, count, ROWS_PER_PART)):
                ids = [f"{row:07d}" for row in range(start, min(count, start + ROWS_PER_PART))]
                images = pa.array([encode_face(make(random, faces)) for _ in ids], pa.binary())
                write_table(folder / part_name(number), pa.table({"sample_id": ids, "image": images}))
            parts = sorted(folder.glob("part-*.parquet"))
            rows += [{"kind": name, **time_find(given)} for given in (parts[: len(parts) // 4], parts)]
            shutil.rmtree(folder)
    write("duplicates_speed", {"rows": rows})


def time_find(parts: list[Path]) -> dict[str, Any]:
    """Time find_duplicates with two processes."""
    threshold = read_params(Path("params.yaml")).split.duplicate_similarity
    clock, before = time.perf_counter(), sum(os.times()[:4])
    found = find_duplicates(parts, near=True, threshold=threshold, workers=2).table
    seconds, processor = time.perf_counter() - clock, sum(os.times()[:4]) - before
    faces = sum(count_rows(part) for part in parts)
    return {"faces": faces, "clock_s": seconds, "processor_s": processor, "pairs": len(found)}


def made_face(random: np.random.Generator, faces: list[Pixels]) -> Pixels:
    """Return a colour face that belongs to nobody.

    The inner part mixes two photographs along a random mask, the outer part comes from a third, and the whole is
    distorted by a smooth random field of about three pixels.
    """
    outer, first, second = (faces[int(index)].astype(np.float32) for index in random.integers(0, len(faces), 3))
    side = outer.shape[0]
    field, mask = smooth(random.normal(0, 3, (5, 5, 2)), side), smooth(random.random((4, 4)), side)
    y, x = np.mgrid[0:side, 0:side].astype(np.float32)
    radius = np.hypot((x - side / 2) / (side * 0.36), (y - side / 2) / (side * 0.42))
    inside = np.clip((1.15 - radius) / 0.3, 0, 1)
    mixed = outer * (1 - inside) + inside * (first * mask + second * (1 - mask))
    return tinted(
        random, cv2.remap(mixed, x + field[..., 0], y + field[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    )


def bent_face(random: np.random.Generator, faces: list[Pixels]) -> Pixels:
    """Return a photograph distorted by a smooth random field of about three pixels, turned, scaled and relit.

    Among many such faces each photograph appears often. The faces made from it are no copies of each other, but show
    the same person, light and background, like the frames of a video.
    """
    face = faces[int(random.integers(0, len(faces)))].astype(np.float32)
    side = face.shape[0]
    field, move = smooth(random.normal(0, 3, (5, 5, 2)), side), random.normal(0, 3, 2)
    matrix = cv2.getRotationMatrix2D((side / 2, side / 2), random.uniform(-6, 6), random.uniform(0.96, 1.04))
    y, x = np.mgrid[0:side, 0:side].astype(np.float32)
    to_x = (matrix[0, 0] * x + matrix[0, 1] * y + matrix[0, 2] + move[0] + field[..., 0]).astype(np.float32)
    to_y = (matrix[1, 0] * x + matrix[1, 1] * y + matrix[1, 2] + move[1] + field[..., 1]).astype(np.float32)
    bent = cv2.remap(face, to_x, to_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    return tinted(random, 255 * (bent.clip(0, 255) / 255) ** random.uniform(0.6, 1.6))


def smooth(values: NDArray[Any], side: int) -> NDArray[np.float32]:
    """Return a few values grown to a square of `side` pixels."""
    grown = cv2.resize(values.astype(np.float32), (side, side), interpolation=cv2.INTER_CUBIC)
    return np.asarray(grown, np.float32)


def tinted(random: np.random.Generator, grey: NDArray[Any]) -> Pixels:
    """Return a grey face with random soft colours added."""
    tint = smooth(random.normal(0, 12, (4, 4, 3)), grey.shape[0])
    return (grey[..., None] * random.uniform(0.8, 1.1, 3) + tint).clip(0, 255).astype(np.uint8)


def write(name: str, content: dict[str, Any]) -> None:
    """Write and print a result."""
    (photographs().results() / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    for row in content["rows"]:
        print({key: round(value, 7) if isinstance(value, float) else value for key, value in row.items()})


def main() -> None:
    """Run one of the three, or all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", nargs="?", default="all", choices=["calibrate", "identities", "speed", "all"])
    parser.add_argument("--faces", type=int, default=100_000)
    arguments = parser.parse_args()
    if arguments.what in ("calibrate", "all"):
        calibrate()
    if arguments.what in ("identities", "all"):
        identities()
    if arguments.what in ("speed", "all"):
        speed(arguments.faces)
    write_report(photographs())


if __name__ == "__main__":
    main()
