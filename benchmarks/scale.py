"""Time, processor time and peak memory of the stages as rows grow, and the exponent of the growth: `make bench-scale`.

Rows are light and made up: 20 pictures a person, one dataset, tiny JPEGs, since what grows with rows is meant here and
not what each pixel costs. Each stage runs in a process of its own, with one worker.

The exponent is the slope of log(processor time) over log(rows) between the two largest sizes, without the time of the
smallest, which is that of starting: 1 is proportional, and n log n is 1.07 between 100,000 and a million.
"""

import argparse
import json
import math
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from pipeline.core.emotions import CLASSES
from pipeline.core.params import Params, read_params
from pipeline.core.schema import ALIGNED, DETECTIONS, FACES, SAMPLES
from pipeline.core.stage_output import stage_output
from pipeline.core.tables import part_name
from tests.memory import peak_mib

ROOT = Path(__file__).resolve().parent.parent
SIZES = (1000, 10_000, 100_000, 1_000_000)
# What nothing may grow faster than: n log n between the two largest sizes, and the noise of a busy machine.
LIMIT = 1.07 + 0.13
PART_ROWS = 512
_POINTS = [75.0, 90.0, 149.0, 90.0, 112.0, 132.0, 81.0, 170.0, 143.0, 170.0]


def _row(number: int) -> dict[str, object]:
    """Return one sample: its name sorts as its number does."""
    path = f"{CLASSES[number % 8]}/p{number // 20:06d}_{number:07d}.jpg"
    return {
        "sample_id": f"bench/{path}#0",
        "dataset": "bench",
        "source_path": path,
        "face_number": 0,
        "source_md5": f"{number:032x}",
        "subject_id": f"p{number // 20:06d}",
        "source_labels": [CLASSES[number % 8]],
    }


def _picture(number: int, tiny: bytes) -> bytes:
    """Return a JPEG that differs from all others in a comment."""
    return tiny[:2] + b"\xff\xfe\x00\x0a" + f"{number:08d}".encode() + tiny[2:]


def _tables(rows: int, schema: pa.Schema, make: Callable[[int], dict[str, object]]) -> Iterator[pa.Table]:
    order = sorted(range(rows), key=lambda number: str(_row(number)["sample_id"]))
    for start in range(0, rows, PART_ROWS):
        yield pa.Table.from_pylist([make(number) for number in order[start : start + PART_ROWS]], schema=schema)


def make_inputs(root: Path, rows: int) -> None:
    """Write what ingest and align would have written."""
    import pyarrow.parquet as pq

    from pipeline.align.stage import build_contract
    from pipeline.images import encode_face

    params = read_params(ROOT / "params.yaml").align
    tiny = encode_face(np.random.default_rng(0).integers(0, 255, (32, 32), dtype=np.uint8))
    raw = root / "raw"
    raw.mkdir()
    (raw / "a").write_bytes(b"a")
    with stage_output(root / "samples", stage="ingest", sources=[raw], params={}) as output:
        with pq.ParquetWriter(output.path("samples.parquet"), SAMPLES) as writer:
            for table in _tables(rows, SAMPLES, _row):
                writer.write_table(table)
        output.finish(rows_in=rows, rows_out=rows, format="folder")
    with stage_output(
        root / "aligned", stage="align", sources=[root / "samples", raw], params=params.plain()
    ) as output:
        found = {"face_box": [0.0, 0.0, 99.0, 99.0], "landmarks": _POINTS, "face_score": 1.0, "turn_deg": 0}
        found |= {"detector": "mtcnn", "attempt": "mtcnn-box"}
        tables = _tables(rows, FACES, lambda n: {**_row(n), **found, "image": _picture(n, tiny)})
        for number, table in enumerate(tables):
            output.write_table(part_name(number), table)
        measured = dict.fromkeys(["frontality", "sharpness", "brightness", "box_iou", "face_size_px"], 0.5)
        with pq.ParquetWriter(output.path("detections.parquet"), DETECTIONS) as writer:
            for table in _tables(rows, DETECTIONS, lambda n: {**_row(n), **found, **measured, "status": ALIGNED}):
                writer.write_table(table)
        output.finish(rows_in=rows, rows_out=rows, contract={"align": build_contract(params)})


def _harmonize(root: Path, params: Params) -> None:
    from pipeline.labels.stage import run

    run(root / "samples", root / "labels", params.harmonize)


def _select(root: Path, params: Params) -> None:
    from pipeline.select.stage import run

    run(root / "aligned", root / "selected", params.select)


def _equalize(root: Path, params: Params) -> None:
    from pipeline.equalize.stage import run

    run(root / "aligned", root / "faces", params.equalize.model_copy(update={"method": "none"}), workers=1)


def _split(root: Path, params: Params) -> None:
    from pipeline.split.stage import run

    settings = params.split.model_copy(update={"duplicates": "none", "keep": None})
    aligned, labels = {"bench": root / "aligned"}, {"bench": root / "labels"}
    run(aligned, labels, {"bench": "both"}, root / "split", settings, seed=0, workers=1)


def _shard(root: Path, params: Params) -> None:
    from pipeline.shards.stage import run

    folders = ({"bench": root / name} for name in ("faces", "selected", "labels"))
    run(*folders, root / "split", root / "shards", params.shard, seed=0, workers=1)


def _verify(root: Path, _: Params) -> None:
    from pipeline.split.check import check
    from pipeline.verify.links import Verifier

    verifier = Verifier({})
    folders = (root / name for name in ("labels", "selected", "faces", "split", "shards"))
    problems = [problem for folder in folders for problem in verifier.check(folder)]
    assert not problems, problems[:3]
    assert not check(root / "split", root / "shards")


def _report(root: Path, params: Params) -> None:
    from pipeline.report.stage import run

    run(root / "shards", root / "report", params.report)


STAGES: dict[str, Callable[[Path, Params], None]] = {
    "harmonize": _harmonize,
    "select": _select,
    "equalize": _equalize,
    "split": _split,
    "shard": _shard,
    "verify": _verify,
    "report": _report,
}


def run_stage(name: str, root: Path) -> None:
    """Run one stage in this process and print what it took."""
    params = read_params(ROOT / "params.yaml")
    start = time.perf_counter()
    STAGES[name](root, params)
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    seconds, cpu = time.perf_counter() - start, sum(one.ru_utime + one.ru_stime for one in used)
    print(json.dumps({"seconds": seconds, "cpu": cpu, "mib": peak_mib()}))


def measure(rows: int, stages: list[str]) -> dict[str, dict[str, float]]:
    """Run the stages on so many rows."""
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as folder:
        root = Path(folder)
        subprocess.run([sys.executable, "-m", "benchmarks.scale", "--make", folder, "--rows", str(rows)], check=True)
        found = {}
        for name in stages:
            command = [sys.executable, "-m", "benchmarks.scale", "--stage", name, str(root)]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            found[name] = json.loads(done.stdout)
            print(f"{rows:9,} {name:10} {found[name]['seconds']:8.1f} s {found[name]['cpu']:8.1f} s CPU", end="")
            print(f" {found[name]['mib']:7.0f} MiB", flush=True)
        return found


def exponent(found: dict[int, dict[str, dict[str, float]]], name: str) -> float | None:
    """Return the slope between the two largest sizes of a stage's processor time, less that of the smallest size."""
    sizes = sorted(found)
    if len(sizes) < 3:
        return None
    base, low, high = (found[size][name]["cpu"] for size in (sizes[0], *sizes[-2:]))
    if low - base < 0.2:
        return None
    return math.log((high - base) / (low - base)) / math.log(sizes[-1] / sizes[-2])


def main() -> None:
    """Print one line a stage and size, then the exponents; exit with 1 if one is too large."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="*", default=list(SIZES))
    parser.add_argument("--stages", nargs="*", default=list(STAGES), choices=list(STAGES))
    parser.add_argument("--make")
    parser.add_argument("--stage", nargs=2)
    given = parser.parse_args()
    if given.make:
        make_inputs(Path(given.make), given.rows[0])
        return
    if given.stage:
        run_stage(given.stage[0], Path(given.stage[1]))
        return
    found = {rows: measure(rows, given.stages) for rows in given.rows}
    steep = []
    for name in given.stages:
        slope = exponent(found, name)
        print(f"{name:10} grows as n^{slope:.2f}" if slope is not None else f"{name:10} too fast to tell")
        steep += [name] if slope is not None and slope > LIMIT else []
    if steep:
        sys.exit(f"faster than n log n: {', '.join(steep)}")


if __name__ == "__main__":
    main()
