"""The table and the plot of the alignment benchmark."""

from pathlib import Path
from statistics import median
from typing import Any

SCALING, PROFILE, REFINED = "scaling", "profile", "refined"
OURS, FLOOR = "this project", "floor"
DEFAULTS, TUNED = "facenet-pytorch, defaults", "facenet-pytorch, tuned"
_HEAD = """# Faces found and aligned, beside others

`make bench-align`: from the bytes of a picture to the stored 224 px crop, one thread, processor time, the same
pictures in interleaved chunks; medians of the rounds. *Floor* is decoding in full, one warp and one JPEG. *Tuned* is a
picture of at most 640 px and faces of at least 40. Error is the mean (median) distance of the five points over the
distance between the eyes. Recall: the face a tool would take overlaps an annotated one by 0.3, or a face was found
where there are no boxes; *box known*: the largest annotated face. Photographs: `../shared/data` (`landmarks68`, every
twelfth of `muxspace`, the boxed ones of `dlib_faces`). *Tight crops* are the video frames cut to a square 1.1 times
the extent of their 68 points, 224 px in colour and 48 px in grey; their box is the picture. *Over 0.2* is the share of
found faces with an error of more than 0.2 distances between the eyes. mtcnn and deepface
run in a process of their own, chunk by chunk in turn with the others, and see the first 96 pictures.
"""


# Measured once, beside each other, on the video frames; kept by hand.
_TRIED = """## What was tried

With the box known, forty times facenet-pytorch's defaults cannot be had on small pictures. On tight crops the floor
itself, decoding, warp and JPEG, is only 36 times as fast as they are. On frames it is 50, and forty leave 0.19 ms above
it; one crop through the third network alone takes 0.24 ms.

- *Turned looks*: a face with less than a certain score was shown to the third network twice, and one in twenty-four in
  all four turns, on pictures turned in full. The second network, on a quarter of the pixels, now settles half of them;
  one in fifty is looked at in four turns, cut from one pyramid, the crops turned. What remains are the attempts on the
  turned picture for one picture in a hundred, some 12 ms each, and for those without a face.
- *Warp*: OpenCV needs 0.37 ms for three channels and 0.17 ms for four, to the same values: it gets four. One remap
  with float or fixed-point maps takes longer with the making of the maps.
- *Third network*: 0.24 ms a crop in ONNX Runtime in runs of four (0.27 in runs of eight, 0.74 in OpenCV's dnn). Its
  PReLU as one depthwise convolution and one addition instead of three convolutions saved a tenth.
- *Second network*: one crop of the box, and other sizes only where it doubts the box: 0.0618 instead of 0.0644 with
  three sizes always, as the box is nearly always right.
- *First network*: smallest face 0.35 of the short side, then 0.2, then 0.1. With 0.3 and then 0.1, portraits took 15%
  longer; with 0.4, they took 8% longer, for want of a face in the first search.
- *Memory kept by malloc*: no difference.
- *Landmarks*: a second pass on the corrected box, not turned, 0.0650; a third 0.0688; dlib's five-point eyes with
  MTCNN's nose and mouth 0.0668, the mean of both eyes 0.0618: all worse than upright, or no better than none.
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
        "| tool | ms a picture | times the floor | this project is faster by | recall | five-point error | over 0.2 |",
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
            f"\nWith the box known: {ratio(tools[DEFAULTS]['ms'], known['ms']):.1f}x facenet-pytorch's defaults, "
            f"{ratio(tools[TUNED]['ms'], known['ms']):.1f}x tuned."
        )
    lines.append(f"\nmtcnn and deepface: {result['peers']}.\n")
    return lines


def _profile(profiles: dict[str, dict[str, float]]) -> list[str]:
    parts = list(next(iter(profiles.values())))
    lines = [
        "## Where the time goes\n",
        "Milliseconds a picture, a clock around each part (`benchmarks/align_profile.py`).\n",
        "| | " + " | ".join(profiles) + " |",
        "|---" * (len(profiles) + 1) + "|",
    ]
    columns = profiles.values()
    lines += [f"| {part} | " + " | ".join(f"{column[part]:.2f}" for column in columns) + " |" for part in parts]
    sums = " | ".join(f"{sum(column.values()):.2f}" for column in columns)
    return [*lines, f"| together | {sums} |", ""]


def _refined(refined: dict[str, dict[str, Any]]) -> list[str]:
    lines = [
        "## Landmarks found again (`align.refine`)\n",
        "Video frames: the third network once more on the face turned upright, or on it and its mirror image.\n",
        "| detector | refine | five-point error | of the mouth alone | ms a picture |",
        "|---|---|---|---|---|",
    ]
    for name, row in refined.items():
        detector, refine = name.split(", ")
        error = f"{row['error'][0]:.4f} ({row['error'][1]:.4f})"
        lines.append(f"| {detector} | {refine} | {error} | {row['mouth']:.4f} | {row['ms']:.2f} |")
    return [*lines, ""]


def ratio(ours: list[float], others: list[float]) -> float:
    """Return the median of the rounds' ratios; of the medians where rounds do not pair."""
    if len(ours) != len(others):
        return median(ours) / median(others)
    return median(one / other for one, other in zip(ours, others, strict=True))


def _scaling(scaling: dict[str, Any]) -> list[str]:
    few, many = scaling["counts"]
    one, two = (scaling[f"{4 * few} x {workers}"][0][0] for workers in (1, 2))
    small, large = scaling[f"{few} x 2"][0][1], scaling[f"{many} x 2"][0][1]
    return [
        "## Processes and memory\n",
        f"{4 * few} frames, whole stage with start, by the clock and with all that the machine did beside it: "
        f"{one:.1f} s with one process, {two:.1f} s with two ({one / two:.2f}x). "
        f"Largest process: {small:.0f} MB for {few} pictures, {large:.0f} MB for {many}. " + scaling.get("note", ""),
    ]


def draw(results: dict[str, Any], path: Path) -> None:
    """Draw milliseconds a picture of every tool, on a logarithmic axis."""
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
