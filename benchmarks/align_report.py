"""The table and the plot of the alignment benchmark."""

from pathlib import Path
from statistics import median
from typing import Any

SCALING, PROFILE, REFINED = "scaling", "profile", "refined"
OURS, FLOOR = "this project", "floor"
DEFAULTS, TUNED = "facenet-pytorch, defaults", "facenet-pytorch, tuned"
_HEAD = """# Face detection and alignment compared with other tools

`make bench-align` measures how long each tool takes from the bytes of a picture to the stored 224 px crop, in processor
time on one thread. All tools get the same pictures in interleaved chunks; the tables give medians of the rounds (one
round in those below, on a machine with other load: compare within a table only).

- *Floor* is the work that no tool can avoid: decoding in full, one warp and one JPEG.
- *Tuned* means facenet-pytorch with pictures scaled to at most 640 px and faces of at least 40 px.
- *Box known* means that the tool is given the box of the largest annotated face.
- *Recall* is the share of pictures in which the chosen face overlaps an annotated one by at least 0.3 or, where there
  are no annotated boxes, in which any face was found.
- *Five-point error* is the mean (median) distance between the found and the true points, divided by the distance
  between the eyes. *Over 0.2* is the share of found faces whose error is above 0.2.
- *Tight crops* are the video frames cut to a square 1.1 times the extent of their 68 points, 224 px in colour and 48 px
  in grey; their box is the whole picture. This project aligns them as it does releases of crops, beginning with
  `mtcnn-whole`.

The photographs are those of `../shared/data`: `landmarks68`, every twelfth of `muxspace`, and those of `dlib_faces`
that have boxes. mtcnn and deepface run in a separate process, chunk by chunk in turn with the other tools, on the first
96 pictures.
"""


# Written by hand: these alternatives were measured once, against each other, on the video frames.
_TRIED = """## What was tried

On small pictures, no tool can be forty times as fast as facenet-pytorch's defaults, even if the box is known. On
tight crops, the floor (decoding, warp and JPEG) is only 40 times as fast. On frames of some 250 px it is 54 times as
fast, and forty times would leave 0.30 ms for everything else, while one crop takes 0.27 ms in the third network
alone. On group photos of 500 px, forty times are reached.

- *Checking turned faces*: a face with a low score used to be shown to the third network twice, and one in twenty-four
  in all four orientations, for which the whole picture was turned. The second network, which reads a quarter of the
  pixels, now decides half of these cases. One face in fifty is checked in four orientations, and then only the crops
  are turned, all cut from one pyramid. What remains are attempts on the turned picture, about 12 ms each, for one
  picture in a hundred and for pictures without a face.
- *Crops*: releases of crops begin with the whole picture as the box (`mtcnn-whole`). On 300 crops of 224, 100 and 48
  px this took 1.84 instead of 2.65, 1.40 instead of 1.89 and 1.37 instead of 1.74 ms. A threshold of 0.9 instead of
  0.97 changes little, and 0.99 takes longer at 48 px. No more faces came out lying or upside down, whether the crops
  were turned by 90 or 180 degrees or not; fewer were left to `whole`.
- *JPEG*: simplejpeg takes 0.24 ms for a crop, OpenCV the same, Pillow 0.30; with four channels, or a buffer given for
  the decoded picture, it takes no less.
- *Warp*: OpenCV needs 0.37 ms for three channels and 0.17 ms for four, with the same result, so it gets four
  channels. One remap with float or fixed-point maps takes longer, because the maps must be computed.
- *Third network*: ONNX Runtime takes 0.24 ms per crop in batches of four (0.27 in batches of eight; OpenCV's dnn
  takes 0.6 to 0.74, and twice as long for the widest convolution alone, with or without Winograd's method). Three
  quarters of that time are convolutions at 110 GFLOP/s, which is about all that the core can do. Pooling before
  PReLU, as in the first network, would save nothing: 12 of 32 slopes are negative. Computing PReLU by one depthwise
  convolution and one addition instead of three convolutions saved a tenth.
- *Second network*: it looks at one crop of the given box, and at other sizes only if it doubts the box. The error is
  0.0618; with three sizes every time it was 0.0644, because the box is nearly always right.
- *First network*: it searches for faces down to 0.35 of the picture's short side, then 0.2, then 0.1. With 0.3 and
  then 0.1, portraits took 15% longer. With 0.4 first, they took 8% longer, because the first search found no face.
- *Keeping memory in malloc, or smaller batches of frames*: no difference.
- *Landmarks*: a second pass on the corrected box, not turned upright, has an error of 0.0650, a third pass 0.0688.
  Eyes from dlib's five points with nose and mouth from MTCNN have 0.0668, the mean of both tools' eyes 0.0618. All
  are worse than `upright`, or no better than `none`.
"""


def tell(results: dict[str, Any]) -> str:
    """Return the tables as Markdown."""
    lines = [_HEAD]
    for title, result in results.items():
        if title not in (SCALING, PROFILE, REFINED):
            lines += _table(title, result)
    if results.get(PROFILE):
        lines += _profile(results[PROFILE])
    if results.get(REFINED):
        lines += _refined(results[REFINED])
    lines.append(_TRIED)
    if results.get(SCALING):
        lines += _scaling(results[SCALING])
    return "\n".join(lines) + "\n"


def _table(title: str, result: dict[str, Any]) -> list[str]:
    tools = result["tools"]
    lines = [
        f"## {title}, {result['photos']} pictures\n",
        "| tool | ms per picture | times the floor | this project is faster by | recall | five-point error "
        "| over 0.2 |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, tool in tools.items():
        recall = "" if name == FLOOR or tool["recall"] is None else f"{tool['recall']:.3f}"
        error = "" if not tool["error"] else f"{tool['error'][0]:.4f} ({tool['error'][1]:.4f})"
        wrong = "" if tool.get("wrong") is None else f"{tool['wrong']:.3f}"
        faster = "" if name == FLOOR else f"{ratio(tool['ms'], tools[OURS]['ms']):.1f}x"
        to_floor = f"{ratio(tool['ms'], tools[FLOOR]['ms']):.1f}"
        lines.append(f"| {name} | {median(tool['ms']):.2f} | {to_floor} | {faster} | {recall} | {error} | {wrong} |")
    known = tools.get("this project, box known")
    if known:
        lines.append(
            f"\nWith the box known, this project is {ratio(tools[DEFAULTS]['ms'], known['ms']):.1f} times as fast as "
            f"facenet-pytorch with its defaults, and {ratio(tools[TUNED]['ms'], known['ms']):.1f} times as fast as "
            "tuned."
        )
    lines.append(f"\nmtcnn and deepface: {result['peers']}.\n")
    return lines


def _profile(profiles: dict[str, dict[str, float]]) -> list[str]:
    parts = list(next(iter(profiles.values())))
    lines = [
        "## Where the time goes\n",
        "Milliseconds per picture, with a timer around each part (`benchmarks/align_profile.py`).\n",
        "| | " + " | ".join(profiles) + " |",
        "|---" * (len(profiles) + 1) + "|",
    ]
    columns = profiles.values()
    lines += [f"| {part} | " + " | ".join(f"{column[part]:.2f}" for column in columns) + " |" for part in parts]
    sums = " | ".join(f"{sum(column.values()):.2f}" for column in columns)
    return [*lines, f"| total | {sums} |", ""]


def _refined(refined: dict[str, dict[str, Any]]) -> list[str]:
    lines = [
        "## Refined landmarks (`align.refine`)\n",
        "On video frames, the third network runs once more on the face turned upright, or on that and its mirror "
        "image.\n",
        "| detector | refine | five-point error | error of the mouth | ms per picture |",
        "|---|---|---|---|---|",
    ]
    for name, row in refined.items():
        detector, refine = name.split(", ")
        error = f"{row['error'][0]:.4f} ({row['error'][1]:.4f})"
        lines.append(f"| {detector} | {refine} | {error} | {row['mouth']:.4f} | {row['ms']:.2f} |")
    return [*lines, ""]


def ratio(ours: list[float], others: list[float]) -> float:
    """Return the median of `ours` over `others`, round by round; the ratio of medians if the rounds do not pair."""
    if len(ours) != len(others):
        return median(ours) / median(others)
    return median(one / other for one, other in zip(ours, others, strict=True))


def _scaling(scaling: dict[str, Any]) -> list[str]:
    few, many = scaling["counts"]
    one, two = (scaling[f"{4 * few} x {workers}"][0][0] for workers in (1, 2))
    small, large = scaling[f"{few} x 2"][0][1], scaling[f"{many} x 2"][0][1]
    return [
        "## Processes and memory\n",
        f"The whole stage, start included, aligns {4 * few} frames in {one:.1f} s with one process and in {two:.1f} s "
        f"with two ({one / two:.2f} times as fast), by the clock and on a machine with other load. The largest process "
        f"needs {small:.0f} MB for {few} pictures and {large:.0f} MB for {many}. " + scaling.get("note", ""),
    ]


def draw(results: dict[str, Any], path: Path) -> None:
    """Draw the milliseconds per picture of every tool, on a logarithmic axis."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    titles = [title for title in results if title not in (SCALING, PROFILE, REFINED)]
    figure, axes = plt.subplots(1, len(titles), figsize=(4.6 * len(titles), 3.6), squeeze=False)
    for axis, title in zip(axes[0], titles, strict=True):
        tools = results[title]["tools"]
        names = list(tools)[::-1]
        values = [median(tools[name]["ms"]) for name in names]
        colours = ["#2a6f97" if name.startswith(OURS) else "#bbbbbb" if name == FLOOR else "#c9a227" for name in names]
        axis.barh(names, values, color=colours)
        axis.set_xscale("log")
        axis.set_xlabel("ms a picture")
        axis.set_title(title)
        for row, value in enumerate(values):
            axis.text(value, row, f" {value:.1f}", va="center", fontsize=8)
        axis.set_xlim(min(values) / 2, max(values) * 4)
    figure.tight_layout()
    figure.savefig(path, dpi=110, metadata={"Software": None})
