"""Index a tree of many small pictures: seconds, rows a second and memory, beside plain reading and hashing of it.

`make bench-ingest`. The pictures are random bytes of the size of small JPEGs: ingest reads, it does not decode.
"""

import argparse
import hashlib
import json
import os
import random
import resource
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from pathlib import Path

LAYOUTS = ("folder", "csv", "zip", "tar.gz")


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


def hash_plainly(root: Path) -> float:
    """The floor: every file read and hashed once, in the order of the folder, by one thread."""
    start = time.perf_counter()
    for folder, _, names in os.walk(root):
        for name in names:
            hashlib.md5(Path(folder, name).read_bytes(), usedforsecurity=False).hexdigest()
    return time.perf_counter() - start


def ingest_once(src: str, fmt: str) -> None:
    """Run in a process of its own, so that the memory is that of ingest alone."""
    from pipeline.ingest import ingest
    from pipeline.params import read_params

    with tempfile.TemporaryDirectory() as out:
        start = time.perf_counter()
        params = read_params(Path("params.yaml")).ingest
        summary = ingest(src, Path(out, "o"), dataset="bench", fmt=fmt, params=params)
        seconds = time.perf_counter() - start
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"rows": summary["rows_out"], "seconds": seconds, "peak_mib": peak_mib}))


def run(src: Path, fmt: str) -> dict[str, float]:
    """Ingest in another process; return what it measured."""
    command = [sys.executable, __file__, "--once", str(src), "--format", fmt]
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
        write_tree(root, given.pictures, given.bytes)
        workers = os.environ.get("PREP_WORKERS")
        print(f"{given.pictures} pictures, {len(os.sched_getaffinity(0))} cores, PREP_WORKERS={workers}")
        for layout in given.layouts:
            src = root if layout in {"folder", "csv"} else pack(root, Path(folder, f"packed.{layout}"))
            floor = hash_plainly(root)
            found = run(src, layout if layout in {"folder", "csv"} else "folder")
            print(
                f"{layout:8} {found['seconds']:6.1f} s  {found['rows'] / found['seconds']:7.0f} rows/s  "
                f"{found['peak_mib']:5.0f} MiB  {found['seconds'] / floor:4.1f} x the time of reading and hashing alone"
            )


if __name__ == "__main__":
    main()
