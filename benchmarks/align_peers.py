"""mtcnn and deepface in their own environment: paths as JSON on stdin, times and faces as JSON on stdout."""

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
    """Return milliseconds a picture and the faces of each."""
    seconds, faces = 0.0, []
    detect(cv2.cvtColor(cv2.imread(paths[0]), cv2.COLOR_BGR2RGB))
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
    return {"ms": seconds / len(paths) * 1e3, "faces": faces}


def main() -> None:
    """Measure both on the first hundred pictures."""
    paths = json.loads(sys.stdin.read())[:100]
    results = {}
    for name, build in (("mtcnn (PyPI)", run_mtcnn), ("deepface, mtcnn", run_deepface)):
        results[name] = measure(build(), paths)
    print(json.dumps(results, default=float))


if __name__ == "__main__":
    main()
