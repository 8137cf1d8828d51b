"""Compare face detection and alignment with facenet-pytorch, dlib, mtcnn and deepface: `make bench-align`.

Every tool turns the bytes of a picture into the stored crop, on one thread, in this process. mtcnn and deepface run in
a process of their own, with the interpreter that PEERS_PYTHON names; its environment needs
benchmarks/requirements-peers.txt. All tools see the same pictures in interleaved chunks. Times are processor time,
which other load on the machine changes less than the clock; the report uses medians of the rounds' ratios.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from argparse import ArgumentParser
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
os.environ |= dict.fromkeys(THREADS, "1") | {"PYTHONWARNINGS": "ignore"}
ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import cv2  # noqa: E402 - the environment comes first
import numpy as np  # noqa: E402

from benchmarks import align_tools  # noqa: E402
from benchmarks.align_profile import profile  # noqa: E402
from benchmarks.align_report import PROFILE, REFINED, draw, tell  # noqa: E402
from benchmarks.align_sets import CROPS, SETS, Photo, errors, recall, wrong_share  # noqa: E402
from benchmarks.align_tools import Answer, build_tools  # noqa: E402
from benchmarks.photographs import photographs  # noqa: E402

CHUNK = 32
PEERS_CHUNKS = 3
# The peak is asked of the processes themselves while they work: the resource module counts what was there before exec.
SCALE_RUN = """
import os, sys, time
from pathlib import Path
from pipeline.core.params import read_params

peak = [0]

def watch(done, total, note):
    me = os.getpid()
    for pid in [str(me), *Path(f"/proc/{me}/task/{me}/children").read_text().split()]:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        peak[0] = max([peak[0], *(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))])

if __name__ == "__main__":
    from pipeline.align.stage import run as align
    start = time.perf_counter()
    params = read_params(Path("params.yaml")).align
    align(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]), params, workers=int(sys.argv[4]), progress=watch)
    print(time.perf_counter() - start, peak[0] / 1024)
"""


class Peers:
    """mtcnn and deepface in their own environment: they get a chunk of pictures when their turn comes."""

    def __init__(self, python: str) -> None:
        self.state = "side by side with the others" if python else "measured earlier than the others; only rough"
        command = [python, str(ROOT / "benchmarks" / "align_peers.py")]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        self._process = subprocess.Popen(command, text=True, **pipes) if python else None

    def run(self, photos: list[Photo]) -> dict[str, tuple[float, list[Answer]]]:
        """Return seconds and answers of each peer; nothing where they are not installed or ended."""
        if self._process is None or self._process.stdin is None or self._process.stdout is None:
            return {}
        try:
            print(json.dumps([str(photo.path) for photo in photos]), file=self._process.stdin, flush=True)
            results = json.loads(self._process.stdout.readline())
        except (OSError, ValueError):
            self.state, self._process = "installed, but ended with an error", None
            return {}
        return {name: (result["seconds"], _answers(result["faces"])) for name, result in results.items()}

    def end(self) -> None:
        """Close the pipe, which ends the process."""
        if self._process is not None:
            self._process.communicate()


def _answers(faces: list[dict[str, Any]]) -> list[Answer]:
    return [
        Answer(
            np.array(face["boxes"], float).reshape(-1, 4),
            face["largest"],
            np.array(face["points"], float) if face["points"] else None,
        )
        for face in faces
    ]


def measure(
    photos: list[Photo], tools: dict[str, Callable[[list[Photo]], list[Answer]]], peers: Peers, rounds: int
) -> dict[str, Any]:
    """Run every tool over the photos in turn, chunk by chunk; milliseconds a picture of each round, and the answers.

    The peers take part in the first round, and see its first chunks.
    """
    times: dict[str, list[float]] = defaultdict(list)
    answers: dict[str, list[Answer]] = {}
    for number in range(rounds):
        spent: dict[str, float] = defaultdict(float)
        seen: dict[str, int] = defaultdict(int)
        for start in range(0, len(photos), CHUNK):
            chunk = photos[start : start + CHUNK]
            results = peers.run(chunk) if number == 0 and start < CHUNK * PEERS_CHUNKS else {}
            for name, tool in tools.items():
                before = time.process_time()
                found = tool(chunk)
                results[name] = time.process_time() - before, found
            for name, (seconds, found) in results.items():
                spent[name] += seconds
                seen[name] += len(chunk)
                if number == 0:
                    answers.setdefault(name, []).extend(found)
        for name, seconds in spent.items():
            times[name].append(seconds / seen[name] * 1e3)
    return {
        "times": {name: times[name] for name in (*tools, *(name for name in times if name not in tools))},
        "answers": answers,
    }


def measure_refined(photos: list[Photo], rounds: int) -> dict[str, Any]:
    """Return error and time of the ways to find the landmarks again, for the cascade and for dlib's HOG alone."""
    ways = {}
    for detector, cascade in (("cascade", align_tools.PARAMS.cascade), ("dlib-hog", ["dlib-hog"])):
        for refine in ("none", "upright", "mirrored"):
            params = align_tools.PARAMS.model_copy(update={"cascade": cascade, "refine": refine})
            attempts = align_tools.build_cascade(params)
            ways[f"{detector}, {refine}"] = partial(align_tools.ours, attempts, with_boxes=False, params=params)
    measured = measure(photos, ways, Peers(""), rounds)
    found = measured["answers"]
    return {
        name: {
            "error": errors(photos, found[name]),
            "mouth": errors(photos, found[name], slice(3, 5))[0],
            "ms": float(np.median(measured["times"][name])),
        }
        for name in ways
    }


def scale(photos: list[Photo], counts: tuple[int, int]) -> dict[str, Any]:
    """Align trees of links to the photos: the time with one and two processes, and the peak memory of few and many."""
    result: dict[str, Any] = {"counts": counts}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        few, many = counts
        for count in (few, 4 * few, many):
            raw = folder / f"raw_{count}" / "neutral"
            raw.mkdir(parents=True)
            for number in range(count):
                (raw / f"{number:06d}{photos[number % len(photos)].path.suffix}").write_bytes(
                    photos[number % len(photos)].content
                )
            _ingest(raw.parent, folder / f"samples_{count}")
        for count, workers in [(few, 2), (4 * few, 1), (4 * few, 2), (many, 2)]:
            given = [str(folder / f"samples_{count}"), str(folder / f"raw_{count}"), str(folder / "out"), str(workers)]
            done = subprocess.run(
                [sys.executable, "-c", SCALE_RUN, *given], capture_output=True, text=True, check=True, cwd=ROOT
            )
            seconds, peak = map(float, done.stdout.split())
            result.setdefault(f"{count} x {workers}", []).append((seconds, peak))
    return result


def _ingest(raw: Path, samples: Path) -> None:
    from pipeline.core.params import read_params
    from pipeline.ingest.stage import run as ingest

    ingest(str(raw), samples, dataset="bench", fmt="folder", params=read_params(ROOT / "params.yaml").ingest)


def main() -> None:
    """Measure, then write align.json, align.md and align.png."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--counts", type=int, nargs=2, default=(1000, 20000), help="pictures of the two memory runs")
    parser.add_argument("--no-scaling", action="store_true", help="leave out the runs over processes")
    parser.add_argument("--sets", nargs="+", default=list(SETS), help="measure these only and keep the rest")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    previous = photographs().results() / "align.json"
    kept = json.loads(previous.read_text()) if previous.is_file() else {}
    results: dict[str, Any] = {title: kept[title] for title in SETS if title in kept and title not in options.sets}
    for title in options.sets:
        build = SETS[title]
        photos = build(photographs().folder)
        tools = build_tools(with_boxes=photos[0].boxes is not None, crops=title in CROPS)
        for tool in tools.values():
            tool(photos[:2])  # warm
        peers = Peers(os.environ.get("PEERS_PYTHON", ""))
        measured = measure(photos, tools, peers, options.rounds)
        peers.end()
        results[title] = {
            "photos": len(photos),
            "peers": peers.state,
            "tools": {
                name: {
                    "ms": times,
                    "recall": recall(photos, measured["answers"].get(name)),
                    "error": errors(photos, measured["answers"].get(name)),
                    "wrong": wrong_share(photos, measured["answers"].get(name)),
                }
                for name, times in measured["times"].items()
            },
        }
        if not os.environ.get("PEERS_PYTHON"):
            earlier = kept.get(title, {}).get("tools", {})
            results[title]["tools"] |= {name: earlier[name] for name in earlier if name not in measured["times"]}
        print(title, json.dumps(results[title]["tools"]), file=sys.stderr)
    frames, portraits = (SETS[title](photographs().folder) for title in ("video frames", "portraits"))
    results[PROFILE] = {
        "video frames": profile(frames, with_boxes=False, rounds=options.rounds),
        "video frames, box known": profile(frames, with_boxes=True, rounds=options.rounds),
        "portraits": profile(portraits, with_boxes=False, rounds=options.rounds),
    }
    results[REFINED] = measure_refined(frames, options.rounds)
    if options.no_scaling:
        results["scaling"] = kept.get("scaling", {})
    else:
        results["scaling"] = scale(SETS["video frames"](photographs().folder), tuple(options.counts))
    previous.write_text(json.dumps(results, indent=1) + "\n")
    previous.with_name("align.md").write_text(photographs().described(tell(results)))
    draw(results, previous.with_name("align.png"))


if __name__ == "__main__":
    main()
