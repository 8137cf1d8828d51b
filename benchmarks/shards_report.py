"""Write what benchmarks/shards.py measured as Markdown tables and as a plot."""

import statistics
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("agg")
import matplotlib.pyplot as plt

OURS = "this project"
Numbers = dict[str, float]
Rounds = dict[str, list[Numbers]]


def medians(rounds: Rounds, key: str) -> dict[str, float]:
    """Return the median of each over the rounds."""
    return {name: statistics.median(numbers[key] for numbers in taken) for name, taken in rounds.items()}


def ratio(rounds: Rounds, ours: str, key: str, *, more_is_better: bool) -> tuple[float, str]:
    """Return how many times better this project is than the best of the others, and the name of that one.

    The best has the best median; the ratio is the median over the rounds' ratios, because rounds are measured in
    alternation and share the load of the machine.
    """
    others = {name: value for name, value in medians(rounds, key).items() if not name.startswith(OURS)}
    best = (max if more_is_better else min)(others, key=others.__getitem__)
    pairs = zip(rounds[ours], rounds[best], strict=True)
    return statistics.median(a[key] / b[key] if more_is_better else b[key] / a[key] for a, b in pairs), best


def tell(measured: dict[str, Any]) -> str:
    """Return the report in Markdown."""
    facts = measured["facts"]
    lines = [
        "# Shards compared with other libraries",
        "",
        f"`make bench-shards` reads and writes {facts['faces']} colour faces of 224 px (crops of the photographs of "
        f"`../shared/data/landmarks68`, JPEG 98 4:4:4, {facts['size_kb']} KB each). Readers yield them shuffled, in "
        f"batches of 64, decoded to uint8. The tables give medians of {facts['repeats']} interleaved rounds on "
        f"{facts['cores']} cores with other load. A worker is a thread in this project and a process in the others; "
        "this project's calling thread decodes, too, instead of waiting. *Processor* is the processor time of all "
        "threads and processes, which other load on the machine changes less than the clock.",
    ]
    for workers, rounds in measured["read"].items():
        lines += ["", f"## Reading, {workers} worker{'s' if workers > 1 else ''}", ""]
        lines += ["| reader | faces/s | processor, µs per face | first batch, s |", "|---|---|---|---|"]
        columns = [medians(rounds, key) for key in ("rate", "cpu_us", "first_s")]
        rate, cpu, first = columns
        lines += [f"| {name} | {rate[name]:.0f} | {cpu[name]:.0f} | {first[name]:.2f} |" for name in rounds]
        by_clock = ratio(rounds, OURS, "rate", more_is_better=True)
        by_cpu = ratio(rounds, OURS, "cpu_us", more_is_better=False)
        lines += [
            "",
            f"This project is **{by_clock[0]:.2f}** times as fast as the best of the others by the clock "
            f"({by_clock[1]}), and {by_cpu[0]:.2f} times by processor time ({by_cpu[1]}).",
        ]
    lines += ["", "## Writing, from encoded faces, one process", ""]
    lines += ["| writer | s | processor s |", "|---|---|---|"]
    written = measured["written"]
    seconds, cpu_s = medians(written, "seconds"), medians(written, "cpu_s")
    lines += [f"| {name} | {seconds[name]:.2f} | {cpu_s[name]:.2f} |" for name in written]
    files = "ImageFolder files"
    writers = {name: taken for name, taken in written.items() if name != files}
    lines.append("")
    for kind in ("Parquet", "tar", "both"):
        value, best = ratio(writers, f"{OURS}, {kind}", "cpu_s", more_is_better=False)
        clock, at = ratio(writers, f"{OURS}, {kind}", "seconds", more_is_better=False)
        lines.append(
            f"- {kind}: {clock:.2f} times as fast as the fastest other writer by the clock ({at}), {value:.2f} "
            f"times by processor time ({best})"
        )
    lines.append(f"- {files} are listed for scale only: they are bare files without columns for labels.")
    lines += ["", "## Memory of a reading process", "", "| shards | peak MB |", "|---|---|"]
    lines += [f"| {copies * facts['shards']} | {peak:.0f} |" for copies, peak in measured["memory"].items()]
    return "\n".join([*lines, "", "![faces a second](shards.png)", ""])


def draw(measured: dict[str, Any], path: Path) -> None:
    """Draw the faces per second of every reader, one panel for each number of workers."""
    figure, axes = plt.subplots(1, len(measured["read"]), figsize=(11, 3.6), sharey=True, layout="constrained")
    for axis, (workers, rounds) in zip(axes, measured["read"].items(), strict=True):
        rate = medians(rounds, "rate")
        names = list(reversed(rate))
        axis.barh(names, [rate[name] for name in names], color=["#c44" if n == OURS else "#889" for n in names])
        axis.set_title(f"{workers} worker{'s' if workers > 1 else ''}")
        axis.set_xlabel("faces decoded a second")
    figure.savefig(path, dpi=110, metadata={"Software": None})
