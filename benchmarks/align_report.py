"""The table and the plot of the alignment benchmark."""

from pathlib import Path
from statistics import median
from typing import Any

OURS, FLOOR = "this project", "floor"
DEFAULTS, TUNED = "facenet-pytorch, defaults", "facenet-pytorch, tuned"
_HEAD = """# Faces found and aligned, beside others

`make bench-align`: from the bytes of a picture to the stored 224 px crop, one thread, processor time, the same
pictures in interleaved chunks; medians of the rounds. *Floor* is decoding in full, one warp and one JPEG. *Tuned* is a
picture of at most 640 px and faces of at least 40. Error is the mean (median) distance of the five points over the
distance between the eyes. Recall: the face a tool would take overlaps an annotated one by 0.3, or a face was found
where there are no boxes; *box known*: the largest annotated face. Photographs: `../shared/data` (`landmarks68`, every
twelfth of `muxspace`, the boxed ones of `dlib_faces`). mtcnn and deepface see the first hundred.
"""


# Kept by hand: measured with clocks around each call, best of three passes on a quieter machine than the tables'.
_PROFILE = """## Where the time goes

Milliseconds a picture, nothing known about the face; the third network on one candidate is the largest single part,
and decoding, warp, measures and JPEG (the floor) are nearly half.

| | video frames | portraits |
|---|---|---|
| decode | 0.35 | 0.30 |
| pyramid, packing | 0.19 | 0.12 |
| first network, all scales in one run | 0.20 | 0.17 |
| second network (2.9 and 3.7 crops) | 0.20 | 0.25 |
| third network (1.06 and 1.03 crops) | 0.38 | 0.37 |
| crops, suppression, the rest of the coarse search | 0.21 | 0.18 |
| fine, padded and full search, dlib, on what was missed | 0.19 | 0.23 |
| warp, measures, JPEG | 0.92 | 0.52 |

With the box known the search is 0.88 ms on frames: the pyramid, three crops through the second network, one through
the third. Forty times facenet-pytorch's defaults is then the floor itself on frames; on larger photographs it holds.
"""


def tell(results: dict[str, Any]) -> str:
    """Return the tables as Markdown."""
    lines = [_HEAD]
    for title, result in results.items():
        if title != "scaling":
            lines += _table(title, result)
    lines.append(_PROFILE)
    if results.get("scaling"):
        lines += _scaling(results["scaling"])
    return "\n".join(lines) + "\n"


def _table(title: str, result: dict[str, Any]) -> list[str]:
    tools = result["tools"]
    lines = [
        f"## {title}, {result['photos']} pictures\n",
        "| tool | ms a picture | times the floor | this project is faster by | recall | five-point error |",
        "|---|---|---|---|---|---|",
    ]
    for name, tool in tools.items():
        recall = "" if name == FLOOR or tool["recall"] is None else f"{tool['recall']:.3f}"
        error = "" if not tool["error"] else f"{tool['error'][0]:.4f} ({tool['error'][1]:.4f})"
        faster = "" if name == FLOOR else f"{ratio(tool['ms'], tools[OURS]['ms']):.1f}x"
        to_floor = f"{ratio(tool['ms'], tools[FLOOR]['ms']):.1f}"
        lines.append(f"| {name} | {median(tool['ms']):.2f} | {to_floor} | {faster} | {recall} | {error} |")
    known = tools.get("this project, box known")
    if known:
        lines.append(
            f"\nWith the box known: {ratio(tools[DEFAULTS]['ms'], known['ms']):.1f}x facenet-pytorch's defaults, "
            f"{ratio(tools[TUNED]['ms'], known['ms']):.1f}x tuned."
        )
    lines.append(f"\nmtcnn and deepface: {result['peers']}.\n")
    return lines


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
        f"Largest process: {small:.0f} MB for {few} pictures, {large:.0f} MB for {many}.",
    ]


def draw(results: dict[str, Any], path: Path) -> None:
    """Draw milliseconds a picture of every tool, on a logarithmic axis."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    titles = [title for title in results if title != "scaling"]
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
        axis.margins(x=0.18)
    figure.tight_layout()
    figure.savefig(path, dpi=110, metadata={"Software": None})
