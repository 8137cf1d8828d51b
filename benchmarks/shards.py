"""Compare reading and writing shards with torchvision, webdataset, datasets and litdata: `make bench-shards`.

All read the same faces in random order, decode them and yield uint8 batches of 64. Rounds are interleaved so that other
load on the machine affects all of them equally; the report uses medians of the rounds' ratios. Besides the clock, it
measures the processor time of this process and its workers, which a busy machine hardly changes.
"""

import gc
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from argparse import ArgumentParser
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ |= {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
ROOT = Path(__file__).resolve().parent.parent
MIN_FACES = 512
sys.path.insert(0, str(ROOT))

import torch  # noqa: E402 - the environment comes first
import yaml  # noqa: E402

from benchmarks.faces_input import cropped_faces, row, write_inputs  # noqa: E402
from benchmarks.photographs import photographs  # noqa: E402
from benchmarks.shards_peers import BATCH, READERS, WRITERS, clear, datasets  # noqa: E402
from benchmarks.shards_report import OURS, Numbers, draw, tell  # noqa: E402
from pipeline.core.params import ShardParams  # noqa: E402
from pipeline.shards.columns import AFFECTS, ROW_SCHEMA, pa  # noqa: E402
from pipeline.shards.parquet import write_parquet  # noqa: E402
from pipeline.shards.stage import run as write_shards  # noqa: E402
from pipeline.shards.webdataset_tar import write_tar  # noqa: E402

# In a process of its own, whose peak is its own: not the resource module's, which counts what was there before exec.
READ_ALL = """
import sys, torch
from models.data.loader import ShardLoader
torch.set_num_threads(1)
for batch in ShardLoader(sys.argv[1], "train", batch_size=64, shuffle=True, seed=0, workers=1):
    pass
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


def processor_seconds() -> float:
    """Return the processor time of this process and of its children that have ended."""
    usages = (resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def time_reader(name: str, root: Path, workers: int, count: int) -> Numbers:
    """Read one epoch: faces a second, processor time a face, seconds to the first batch."""
    reader, folder = READERS[name]
    gc.collect()
    before, start = processor_seconds(), time.perf_counter()
    batches = reader(root / folder, workers)
    first = next(batches)
    assert first.dtype == torch.uint8
    assert first.shape[1:] == (3, 224, 224)
    first_s = time.perf_counter() - start
    faces = len(first) + sum(len(batch) for batch in batches)
    seconds = time.perf_counter() - start
    assert faces == count, (name, faces)
    del batches, first
    gc.collect()
    return {
        "rate": (faces - BATCH) / (seconds - first_s),
        "cpu_us": (processor_seconds() - before) / faces * 1e6,
        "first_s": first_s,
    }


def time_writer(write: Callable[[Path], None], out: Path) -> Numbers:
    """Write all faces once: seconds, processor seconds."""
    clear(out)
    gc.collect()
    before, start = processor_seconds(), time.perf_counter()
    write(out)
    return {"seconds": time.perf_counter() - start, "cpu_s": processor_seconds() - before}


def rows_of(count: int, start: int) -> pa.Table:
    """Return rows as the stage hands them to the containers."""
    rows = []
    for number in range(start, start + count):
        entry = row(number, b"")
        has = {f"has_{name}": entry.get(name) is not None for name in AFFECTS}
        rows.append({name: ({**entry, **has, "weight": 1.0, "copy": 0}).get(name) for name in ROW_SCHEMA.names})
    return pa.Table.from_pylist(rows, ROW_SCHEMA)


def our_writers(faces: list[bytes], contract: dict[str, object]) -> dict[str, Callable[[Path], None]]:
    """Return our two containers, written from encoded faces as the others' writers do."""
    common = {"snapshot": "0" * 64, "contract": contract}
    groups = [(rows_of(len(part), n), part) for n in range(0, len(faces), 64) for part in [faces[n : n + 64]]]
    shards = [(n, groups[n : n + 16]) for n in range(0, len(groups), 16)]

    def parquet(out: Path) -> None:
        out.mkdir()
        for n, batches in shards:
            write_parquet(out / f"{n}.parquet", f"train-{n:05d}", batches, common)

    def tar(out: Path) -> None:
        out.mkdir()
        for n, batches in shards:
            write_tar(out / f"{n}.tar", f"train-{n:05d}", batches, common)

    def both(out: Path) -> None:
        parquet(out)
        tar(out / "tar")

    return {f"{OURS}, Parquet": parquet, f"{OURS}, tar": tar, f"{OURS}, both": both}


def measure_memory(shards: Path, copies: int, scratch: Path) -> float:
    """Return the peak MB of a process that reads `copies` times as many shards (hard links to the same bytes)."""
    many = clear(scratch / "many")
    (many / "parquet").mkdir(parents=True)
    manifest = json.loads((shards / "shards.json").read_text())
    entries = []
    for _ in range(copies):
        for entry in manifest["splits"]["train"]:
            name = f"train-{len(entries):05d}"
            os.link(shards / f"parquet/{entry['name']}.parquet", many / f"parquet/{name}.parquet")
            entries.append({"name": name, "rows": entry["rows"]})
    manifest["splits"] = {"train": entries}
    (many / "shards.json").write_text(json.dumps(manifest))
    command = [sys.executable, "-c", READ_ALL, str(many)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    return int(done.stdout) / 1024


def run(count: int, repeats: int, scratch: Path) -> dict[str, Any]:
    """Measure everything."""
    faces = cropped_faces(count, 224)
    changes = {"balance": "none", "containers": ["parquet", "webdataset"]}
    params = ShardParams.model_validate(yaml.safe_load((ROOT / "params.yaml").read_text())["shard"] | changes)
    inputs = write_inputs(scratch / "inputs", faces)
    write_shards(*inputs, scratch / "ours", params, seed=0, workers=1)
    labelled = [(face, number % 8) for number, face in enumerate(faces)]
    contract = json.loads((scratch / "ours/shards.json").read_text())["contract"]
    writers = our_writers(faces, contract)
    writers |= {name: lambda out, write=write: write(out, labelled) for name, write in WRITERS.items()}
    written: dict[str, list[Numbers]] = defaultdict(list)
    for _ in range(repeats):
        for name, write in writers.items():
            written[name].append(time_writer(write, scratch / name))
    read: dict[int, dict[str, list[Numbers]]] = {}
    for workers in (1, 2):
        rounds: dict[str, list[Numbers]] = defaultdict(list)
        for _ in range(repeats):
            for name in READERS:
                rounds[name].append(time_reader(name, scratch, workers, count))
        read[workers] = rounds
    memory = {copies: measure_memory(scratch / "ours", copies, scratch) for copies in (1, 4, 16)}
    facts = {
        "faces": count,
        "repeats": repeats,
        "size_kb": round(sum(map(len, faces)) / len(faces) / 1000),
        "cores": len(os.sched_getaffinity(0)),
        "shards": -(-count // params.rows_per_shard),
    }
    return {"facts": facts, "read": read, "written": written, "memory": memory}


def main() -> None:
    """Measure, and write shards.md and shards.png beside this file."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--faces", type=int, default=2048)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    if options.faces < MIN_FACES:
        parser.error(f"--faces: at least {MIN_FACES}, or a reader with two workers has one shard for both")
    torch.set_num_threads(1)
    datasets.disable_progress_bars()
    with tempfile.TemporaryDirectory(prefix="bench-shards-") as scratch:
        measured = run(options.faces, options.repeats, Path(scratch))
    text = photographs().described(tell(measured))
    results = photographs().results()
    (results / "shards.md").write_text(text, encoding="utf-8")
    draw(measured, results / "shards.png")
    print(text)


if __name__ == "__main__":
    main()
