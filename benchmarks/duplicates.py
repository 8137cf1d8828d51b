"""Duplicates and identities on real photographs: recall, false pairs, the curve of the threshold, and time for many.

    python benchmarks/duplicates.py calibrate [--photos 500]     recall and false pairs by threshold, on muxspace
    python benchmarks/duplicates.py identities                   false merges by distance, on muxspace's names
    python benchmarks/duplicates.py speed [--faces 100000]       seconds on two cores, and growth with the number

The photographs are read at ../shared/data/muxspace. What is written to benchmarks/ are numbers and curves, no faces.
"""

import argparse
import json
import re
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.components import components
from pipeline.duplicates import find_duplicates
from pipeline.identities import close_pairs, describe
from pipeline.images import encode_face
from pipeline.tables import part_name, write_table

PHOTOS = Path("../shared/data/muxspace/images")
HERE = Path(__file__).parent
Pixels = NDArray[np.uint8]
SIZE_PX, MARGIN = 224, 0.25
THRESHOLDS = (0.80, 0.85, 0.88, 0.90, 0.92, 0.94, 0.95, 0.96, 0.97, 0.98, 0.99)
DISTANCES = (0.30, 0.35, 0.38, 0.40, 0.42, 0.45, 0.50, 0.55, 0.60)


def align_photo(detector: Any, pixels: Pixels) -> Pixels | None:
    """Detect and crop as the align stage does; None where no face is found."""
    from pipeline.faces.geometry import fit_similarity, template_points
    from pipeline.faces.warp import warp_face

    boxes, _, points = detector.detect(pixels, landmarks=True)
    if boxes is None:
        return None
    largest = int(np.argmax((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])))
    matrix = fit_similarity(points[largest][None].astype(float), template_points(SIZE_PX, MARGIN))[0]
    return warp_face(pixels, matrix, SIZE_PX, "constant")


def copies(pixels: Pixels, seed: int) -> Iterator[tuple[str, Pixels]]:
    """Return one changed copy of a photograph of each kind, changed before the face is found in it again."""
    random = np.random.default_rng(seed)
    height, width = pixels.shape[:2]
    scale, quality = random.uniform(0.5, 1.5), int(random.integers(30, 96))
    right, down = [(2, 0), (0, 2), (-2, 0), (0, -2), (2, 2)][seed % 5]
    gamma = float(random.choice([0.5, 0.7, 1.4, 2.0]))
    move = np.float32([[1, 0, right], [0, 1, down]])
    area = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    yield "resized", cv2.resize(pixels, (round(width * scale), round(height * scale)), interpolation=area)
    yield "re-encoded", cv2.imdecode(cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], 1)
    yield "shifted", cv2.warpAffine(pixels, move, (width, height), borderMode=cv2.BORDER_REPLICATE)
    yield "mirrored", np.ascontiguousarray(pixels[:, ::-1])
    yield "gamma", np.round(255 * (pixels / 255) ** gamma).astype(np.uint8)


def read_faces(planted: int) -> tuple[list[Pixels], NDArray[Any], NDArray[Any], list[str]]:
    """Return faces, the photograph of each and what was done to it; `planted` photographs have one copy, by turns."""
    import torch
    from facenet_pytorch import MTCNN

    torch.set_num_threads(2)
    detector = MTCNN(keep_all=True, post_process=False)
    files = sorted(PHOTOS.iterdir())
    chosen = set(np.random.default_rng(5).choice(len(files), planted, replace=False).tolist()) if planted else set()
    faces, photos, kinds, names = [], [], [], []
    for number, file in enumerate(files):
        pixels = cv2.imread(str(file))
        wanted = [("original", pixels)]
        if number in chosen:
            every = list(copies(pixels, number))
            wanted.append(every[number % len(every)])
        for kind, picture in wanted:
            face = align_photo(detector, cv2.cvtColor(picture, cv2.COLOR_BGR2RGB))
            if face is not None:
                faces.append(face[:, :, 1])
                photos.append(number)
                kinds.append(kind)
                names.append(file.name)
    return faces, np.array(photos), np.array(kinds), names


def write_parts(folder: Path, faces: list[Any], rows_per_part: int = 1024) -> list[Path]:
    """Write faces as parts; the sample id is the number of the face."""
    for number, start in enumerate(range(0, len(faces), rows_per_part)):
        part = faces[start : start + rows_per_part]
        ids = [f"{start + index:07d}" for index in range(len(part))]
        images = [face if isinstance(face, bytes) else encode_face(np.ascontiguousarray(face)) for face in part]
        write_table(folder / part_name(number), pa.table({"sample_id": ids, "image": pa.array(images, pa.binary())}))
    return sorted(folder.glob("part-*.parquet"))


def calibrate(photos: int) -> None:
    """Plant copies, find them, and write recall and false pairs by threshold."""
    faces, photo, kind, names = read_faces(photos)
    with tempfile.TemporaryDirectory() as folder:
        found = find_duplicates(write_parts(Path(folder), faces), near=True, threshold=0.0, workers=2).table.to_pydict()
    first, second = np.array(found["first"], int), np.array(found["second"], int)
    best = {}
    for pair, score in zip(zip(first.tolist(), second.tolist(), strict=True), found["similarity"], strict=True):
        best[pair] = max(score, best.get(pair, 0.0))
    original = {int(photo[row]): row for row in np.flatnonzero(kind == "original")}
    planted = {
        (original[int(photo[row])], int(row)): str(kind[row])
        for row in np.flatnonzero(kind != "original")
        if int(photo[row]) in original
    }
    true = np.array([best.get((min(pair), max(pair)), 0.0) for pair in planted])
    kinds = np.array(list(planted.values()))
    people = [person(names[row]) for row in range(len(names))]
    other = [(score, pair) for pair, score in best.items() if photo[pair[0]] != photo[pair[1]]]
    strangers = np.array([score for score, (a, b) in other if people[a] != people[b]])
    same_person = np.array([score for score, (a, b) in other if people[a] == people[b]])
    different = len(faces) * (len(faces) - 1) // 2 - len(planted)
    rows = [
        {
            "threshold": threshold,
            "recall": float((true >= threshold).mean()),
            "recall_by_kind": {k: float((true[kinds == k] >= threshold).mean()) for k in sorted(set(planted.values()))},
            "pairs_of_two_photos": int((strangers >= threshold).sum() + (same_person >= threshold).sum()),
            "of_them_two_people": int((strangers >= threshold).sum()),
            "false_rate": float(((strangers >= threshold).sum() + (same_person >= threshold).sum()) / different),
        }
        for threshold in THRESHOLDS
    ]
    write(
        "duplicates_curve", {"faces": len(faces), "planted": len(planted), "different_pairs": different, "rows": rows}
    )
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
    figure.savefig(HERE / "duplicates_curve.png", dpi=120, metadata={"Software": None})


def identities() -> None:
    """Measure, against the names, what linking by descriptor merges and what it keeps apart."""
    faces, _, _, names = read_faces(0)
    known = [index for index, name in enumerate(names) if person(name) != name]
    people = np.unique([person(names[index]) for index in known], return_inverse=True)[1]
    start = time.perf_counter()
    descriptors = describe([np.ascontiguousarray(faces[index]) for index in known], MARGIN)
    each_ms = (time.perf_counter() - start) / len(known) * 1000
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
                "false_merge_rate": false_merged / different_pairs,
                "true_pairs_merged": true_merged / same_pairs,
                "largest_cluster": int(sizes.max()),
            }
        )
    write("identities_curve", {"faces": len(known), "people": int(people.max() + 1), "rows": rows})
    print(f"{each_ms:.1f} ms a descriptor on one core")


def speed(count: int) -> None:
    """Time find_duplicates on `count` distinct made faces, and on a quarter of them."""
    random = np.random.default_rng(0)
    seconds = {}
    with tempfile.TemporaryDirectory() as folder:
        for number in (count // 4, count):
            place = Path(folder, str(number))
            place.mkdir()
            faces = (made_face(random) for _ in range(number))
            parts = write_parts(place, [encode_face(face) for face in faces])
            start = time.perf_counter()
            found = find_duplicates(parts, near=True, threshold=0.93, workers=2).table
            seconds[number] = time.perf_counter() - start
            print(f"{number} faces: {seconds[number]:.1f} s, {len(found)} pairs")
    print(f"four times the faces take {seconds[count] / seconds[count // 4]:.1f} times as long")


_SOURCES: list[Pixels] = []


def made_face(random: np.random.Generator) -> Pixels:
    """Return a face that is nobody's: two photographs blended along a random mask, bent by a random smooth field."""
    if not _SOURCES:
        _SOURCES.extend(face for face in read_faces(0)[0])
    first, second = (_SOURCES[int(index)] for index in random.integers(0, len(_SOURCES), 2))
    field = cv2.resize(
        random.normal(0, 7, (5, 5, 2)).astype(np.float32), (SIZE_PX, SIZE_PX), interpolation=cv2.INTER_CUBIC
    )
    mask = cv2.resize(random.random((4, 4)).astype(np.float32), (SIZE_PX, SIZE_PX), interpolation=cv2.INTER_CUBIC)
    y, x = np.mgrid[0:SIZE_PX, 0:SIZE_PX].astype(np.float32)
    mixed = (first * mask + second * (1 - mask)).clip(0, 255).astype(np.uint8)
    return cv2.remap(mixed, x + field[..., 0], y + field[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)


def write(name: str, content: dict[str, Any]) -> None:
    """Write and print a result."""
    (HERE / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    for row in content["rows"]:
        print({key: round(value, 7) if isinstance(value, float) else value for key, value in row.items()})


def main() -> None:
    """Run one of the three."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["calibrate", "identities", "speed"])
    parser.add_argument("--photos", type=int, default=500)
    parser.add_argument("--faces", type=int, default=100_000)
    arguments = parser.parse_args()
    if not PHOTOS.is_dir():
        raise SystemExit(f"{PHOTOS}: not here; the benchmark needs the shared photographs")
    if arguments.what == "calibrate":
        calibrate(arguments.photos)
    elif arguments.what == "identities":
        identities()
    else:
        speed(arguments.faces)


if __name__ == "__main__":
    main()
