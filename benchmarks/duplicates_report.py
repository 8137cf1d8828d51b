"""duplicates.md, from the numbers that benchmarks/duplicates.py has left beside it."""

import json
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
SHOWN = (0.88, 0.91, 0.95)

CURVE = """## Recall and false pairs by `split.duplicate_similarity`

{faces:,} faces: those that `prep align` finds in the photographs of `../shared/data/muxspace` and in one changed copy
of each, {planted:,} planted pairs. `benchmarks/duplicates_changes.py` has the changes, by turns. Every copy is detected
and aligned anew. *Other pairs* are of two photographs; some of these show one scene twice, so those of two people are
given apart.

| similarity | recall | other pairs | of two people | share of all different pairs |
|---|---|---|---|---|
{rows}

![recall and other pairs by threshold](duplicates_curve.png)

Recall by change, at three of these thresholds. What is missed of *cutout* and of *brightened* are mostly faces whose
points were thrown off, by the black square or by the white that swallowed the face.

| change | {shown} |
|---|---|---|---|
{kinds}
"""

SPEED = """## Time

Colour faces of 224 px. *Nobody's* are two photographs mixed inside the outline of a third, bent at random. *Alike* are
the 2,822 photographs, drawn at random (each some 35 times among 100,000), bent by about three pixels, turned by up to
six degrees, scaled and lit anew: other pictures, but as like each other as the frames of a video; those that the
bending left alike are found.
Two processes on cores that were shared with others, so the time of the processors says more than the clock. Rows marked
*before*, where there are any, are of the registration pair by pair, on the same faces in the same minutes.

| faces | | by the clock, s | processors, s | processors, microseconds a face | pairs |
|---|---|---|---|---|---|
{rows}
"""

PEOPLE = """## People by dlib's descriptor, by `split.identity_distance`

{faces:,} faces of {people:,} people of muxspace, whose file names say who they are. Two faces are *merged* when a chain
of close pairs leads from one to the other, as groups are made. A descriptor takes {descriptor_ms:.0f} ms of processor
time.

| distance | false pairs | true pairs found | false merges | of different pairs | true pairs merged | largest cluster |
|---|---|---|---|---|---|---|
{rows}
"""


def write_report() -> None:
    """Write the tables of the runs that were made."""
    makers = {"duplicates_curve": _curve, "duplicates_speed": _speed, "identities_curve": _people}
    parts = ["# The same picture, the same person\n\n`make bench-duplicates` measures this anew.\n"]
    for name, make in makers.items():
        file = HERE / f"{name}.json"
        if file.is_file():
            parts.append(make(json.loads(file.read_text(encoding="utf-8"))))
    (HERE / "duplicates.md").write_text("\n".join(parts), encoding="utf-8")


def _curve(content: dict[str, Any]) -> str:
    rows = [
        [
            f"{row['threshold']:.2f}",
            f"{row['recall']:.4f}",
            row["pairs_of_two_photos"],
            row["of_them_two_people"],
            f"{row['false_rate']:.1e}",
        ]
        for row in content["rows"]
    ]
    shown = [row for row in content["rows"] if row["threshold"] in SHOWN]
    kinds = [[kind, *(f"{row['recall_by_kind'][kind]:.3f}" for row in shown)] for kind in shown[0]["recall_by_kind"]]
    counts = {"faces": content["faces"], "planted": content["planted"]}
    heads = " | ".join(f"{threshold:.2f}" for threshold in SHOWN)
    return CURVE.format(**counts, rows=_table(rows), kinds=_table(kinds), shown=heads)


def _speed(content: dict[str, Any]) -> str:
    rows = [
        [
            f"{row['faces']:,}",
            row["kind"],
            f"{row['clock_s']:.0f}",
            f"{row['processor_s']:.0f}",
            f"{row['processor_s'] / row['faces'] * 1e6:.0f}",
            row["pairs"],
        ]
        for row in content["rows"]
    ]
    return SPEED.format(rows=_table(rows))


def _people(content: dict[str, Any]) -> str:
    rows = [
        [
            f"{row['distance']:.2f}",
            row["false_pairs"],
            f"{row['true_pairs_found']:.3f}",
            row["false_merges"],
            f"{row['false_merge_rate']:.1e}",
            f"{row['true_pairs_merged']:.3f}",
            row["largest_cluster"],
        ]
        for row in content["rows"]
    ]
    counts = {name: content[name] for name in ("faces", "people", "descriptor_ms")}
    return PEOPLE.format(**counts, rows=_table(rows))


def _table(rows: list[list[Any]]) -> str:
    return "\n".join(f"| {' | '.join(str(cell) for cell in row)} |" for row in rows)
