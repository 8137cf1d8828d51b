"""mtcnn and deepface in their own environment: a line of paths on stdin, one of times and faces on stdout, as JSON."""

import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

Found = list[tuple[Any, Any]]
Detect = Callable[[Any], Found]

os.environ |= {
    "OMP_NUM_THREADS": "1",
    "TF_NUM_INTRAOP_THREADS": "1",
    "TF_NUM_INTEROP_THREADS": "1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "CUDA_VISIBLE_DEVICES": "",
}

import cv2  # noqa: E402 - the environment comes first

cv2.setNumThreads(1)


def run_mtcnn() -> Detect:
    """Return the mtcnn package's detector: boxes x, y, width, height and five points."""
    from mtcnn import MTCNN

    detector = MTCNN()

    def detect(pixels: Any) -> Found:
        order = ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right")
        return [(face["box"], [face["keypoints"][name] for name in order]) for face in detector.detect_faces(pixels)]

    return detect


def run_deepface() -> Detect:
    """Return deepface with the same detector; its points are not ours."""
    from deepface import DeepFace

    def detect(pixels: Any) -> Found:
        faces = DeepFace.extract_faces(pixels, detector_backend="mtcnn", enforce_detection=False, align=True)
        areas = [face["facial_area"] for face in faces if face["confidence"] > 0]
        return [([area[name] for name in "xywh"], None) for area in areas]

    return detect


def measure(detect: Detect, paths: list[str]) -> dict[str, Any]:
    """Return the seconds of processor time and the faces of each picture."""
    seconds, faces = 0.0, []
    for path in paths:
        start = time.process_time()
        pixels = cv2.cvtColor(cv2.imread(path), cv2.COLOR_BGR2RGB)
        try:
            found = detect(pixels)
        except ValueError:
            found = []
        seconds += time.process_time() - start
        boxes = [[x, y, x + w, y + h] for (x, y, w, h), _ in found]
        areas = [w * h for (_, _, w, h), _ in found]
        largest = areas.index(max(areas)) if areas else 0
        points = found[largest][1] if found else None
        faces.append({"boxes": boxes, "largest": largest, "points": points})
    return {"seconds": seconds, "faces": faces}


def main() -> None:
    """Answer one line of paths after the other; the first picture of all is seen once before, to be warm."""
    answers, sys.stdout = sys.stdout, sys.stderr  # both packages print
    detectors = {"mtcnn (PyPI)": run_mtcnn(), "deepface, mtcnn": run_deepface()}
    warm = False
    for line in sys.stdin:
        paths = json.loads(line)
        if not warm:
            for detect in detectors.values():
                measure(detect, paths[:1])
            warm = True
        results = {name: measure(detect, paths) for name, detect in detectors.items()}
        print(json.dumps(results, default=float), file=answers, flush=True)


if __name__ == "__main__":
    main()
