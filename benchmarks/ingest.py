"""Time ingest on a tree of many small pictures, compared with only reading and hashing it: `make bench-ingest`.

It prints seconds, rows per second and memory. The pictures are random bytes of the size of small JPEGs, because ingest
reads files and does not decode them. The layouts affectnet and affectnet_npy have 68 points per row, the most that any
reader gives; the latter has five files per picture.
"""

import argparse
import hashlib
import io
import json
import os
import random
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from pathlib import Path

import numpy as np

LAYOUTS = ("folder", "csv", "zip", "tar.gz", "affectnet", "affectnet_npy")
POINTS = 68


def write_tree(root: Path, count: int, size_bytes: int) -> None:
    """Write class folders of pictures and a csv that lists them."""
    rand = random.Random(1)
    rows = ["path,label"]
    for n in range(count):
        label = ("anger", "fear", "happy", "sad")[n % 4]
        path = root / label / f"person{n // 20:05d}_{n % 20:04d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(rand.randbytes(rand.randrange(size_bytes // 2, size_bytes * 3 // 2)))
        rows.append(f"{label}/{path.name},{label}")
    (root / "labels.csv").write_text("\n".join(rows))


def write_affectnet(root: Path, count: int, size_bytes: int) -> None:
    """Write the csv release of AffectNet: numbered folders, and a list with boxes, points, valence and arousal."""
    rand = random.Random(2)
    rows = ["subDirectory_filePath,face_x,face_y,face_width,face_height,facial_landmarks,expression,valence,arousal"]
    for n in range(count):
        name = f"{n // 400 + 1}/{rand.getrandbits(224):056x}.jpg"
        path = root / "Manually_Annotated_Images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(rand.randbytes(rand.randrange(size_bytes // 2, size_bytes * 3 // 2)))
        points = ";".join(f"{rand.uniform(0, 400):.2f}" for _ in range(2 * POINTS))
        affect = f"{rand.uniform(-1, 1):.6f},{rand.uniform(-1, 1):.6f}"
        rows.append(f"{name},1,2,{rand.randrange(90, 400)},{rand.randrange(90, 400)},{points},{n % 2},{affect}")
    lists = root / "Manually_Annotated_file_lists"
    lists.mkdir()
    (lists / "training.csv").write_text("\n".join(rows))


def write_affectnet_npy(root: Path, count: int, size_bytes: int) -> None:
    """Write the npy release of AffectNet: a picture, and four arrays beside it."""
    rand = random.Random(3)
    images, annotations = root / "train_set" / "images", root / "train_set" / "annotations"
    images.mkdir(parents=True)
    annotations.mkdir()
    for n in range(count):
        (images / f"{n}.jpg").write_bytes(rand.randbytes(rand.randrange(size_bytes // 2, size_bytes * 3 // 2)))
        affect = {name: f"{rand.uniform(-1, 1):.6f}" for name in ("val", "aro")}
        points = np.array([rand.uniform(0, 224) for _ in range(2 * POINTS)])
        for name, value in {"exp": str(n % 8), **affect, "lnd": points}.items():
            stream = io.BytesIO()
            np.save(stream, np.array(value))
            (annotations / f"{n}_{name}.npy").write_bytes(stream.getvalue())


def pack(root: Path, archive: Path) -> Path:
    """Pack the pictures."""
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive, "w") as packed:
            for path in root.rglob("*.jpg"):
                packed.write(path, path.relative_to(root).as_posix())
    else:
        with tarfile.open(archive, "w:gz", compresslevel=1) as packed:
            for path in root.rglob("*.jpg"):
                packed.add(path, path.relative_to(root).as_posix())
    return archive


WRITERS = {"affectnet": write_affectnet, "affectnet_npy": write_affectnet_npy}


def hash_plainly(root: Path) -> float:
    """The floor: every file read and hashed once, in the order of the folder, by one thread."""
    start = time.perf_counter()
    for folder, _, names in os.walk(root):
        for name in names:
            hashlib.md5(Path(folder, name).read_bytes(), usedforsecurity=False).hexdigest()
    return time.perf_counter() - start


def ingest_once(src: str, fmt: str) -> None:
    """Run in a process of its own, so that the memory is that of ingest alone."""
    from pipeline.core.params import read_params
    from pipeline.ingest.stage import run as ingest
    from tests.memory import peak_mib

    with tempfile.TemporaryDirectory() as out:
        start = time.perf_counter()
        params = read_params(Path("params.yaml")).ingest
        # Random counts, points and affect are no release's.
        summary = ingest(src, Path(out, "o"), dataset="bench", fmt=fmt, params=params, accept_mismatch=True)
        seconds = time.perf_counter() - start
    print(json.dumps({"rows": summary["rows_out"], "seconds": seconds, "peak_mib": peak_mib()}))


def run(src: Path, fmt: str) -> dict[str, float]:
    """Ingest in another process; return what it measured."""
    command = [sys.executable, "-m", "benchmarks.ingest", "--once", str(src), "--format", fmt]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main() -> None:
    """Print one line a layout."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=100_000)
    parser.add_argument("--bytes", type=int, default=6000, help="mean size of a picture")
    parser.add_argument("--layouts", nargs="*", default=list(LAYOUTS), choices=LAYOUTS)
    parser.add_argument("--once")
    parser.add_argument("--format")
    given = parser.parse_args()
    if given.once:
        ingest_once(given.once, given.format)
        return
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, "raw")
        if set(given.layouts) - WRITERS.keys():
            write_tree(root, given.pictures, given.bytes)
        workers = os.environ.get("PREP_WORKERS")
        print(f"{given.pictures} pictures, {len(os.sched_getaffinity(0))} cores, PREP_WORKERS={workers}")
        for layout in given.layouts:
            src = root
            if layout in WRITERS:
                src = Path(folder, layout)
                WRITERS[layout](src, given.pictures, given.bytes)
            elif layout not in {"folder", "csv"}:
                src = pack(root, Path(folder, f"packed.{layout}"))
            floor = hash_plainly(src if src.is_dir() else root)
            found = run(src, "folder" if src.is_file() else layout)
            print(
                f"{layout:13} {found['seconds']:6.1f} s  {found['rows'] / found['seconds']:7.0f} rows/s  "
                f"{found['peak_mib']:5.0f} MiB  {found['seconds'] / floor:4.1f} x the time of reading and hashing alone"
            )


if __name__ == "__main__":
    main()
