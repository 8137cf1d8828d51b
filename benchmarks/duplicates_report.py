"""Write benchmarks/duplicates.md from the JSON files that benchmarks/duplicates.py wrote."""

import json
from typing import Any

from benchmarks.photographs import Photographs

SHOWN = (0.88, 0.91, 0.95)

HEAD = """# Duplicates and identities

`make bench-duplicates` measures how many copies `prep split` finds, how many pairs it wrongly takes for copies, how
long it takes, and which people dlib's descriptor merges.
"""

CURVE = """## Recall and false pairs by `split.duplicate_similarity`

The data are the {faces:,} faces that `prep align` finds in the photographs of `../shared/data/muxspace` and in one
changed copy of each photograph; that makes {planted:,} planted pairs. The copies take turns through the changes in
`benchmarks/duplicates_changes.py`; each copy is detected and aligned like any other picture. *Other pairs* are pairs of
two different photographs that were taken for copies. Some of those show the same scene twice, so pairs that show two
people are counted separately.

| similarity | recall | other pairs | of them, two people | other pairs as a share of all different pairs |
|---|---|---|---|---|
{rows}

![recall and other pairs by threshold](duplicates_curve.png)

The next table gives the recall for each change at three of these thresholds. Copies that are missed after *cutout* or
*brightened* are mostly faces whose landmarks were found in the wrong place, because of the black square or because most
of the face had become white.

| change | {shown} |
|---|---|---|---|
{kinds}
"""

SPEED = """## Time

The search was timed on colour faces of 224 px of two kinds:

- *nobody's*: two photographs mixed inside the outline of a third and distorted at random, so that no two faces are
  alike;
- *alike*: random draws from the 2,822 photographs (among 100,000 faces, each appears about 35 times), distorted by
  about three pixels, turned by up to six degrees, scaled and relit. They are different pictures, but as similar as the
  frames of a video. Where the distortion changed little, they are found as pairs.

The search used two processes on cores with other load, so processor time says more than the clock. Rows marked *before*
show the earlier code, which registered one pair at a time, on the same faces within the same minutes.

A pair is now given up before its last registration if it agrees by less than 0.85 instead of 0.78. In the case that
takes longest, faces of which each has 34 that are alike (2,048 made from 61 photographs), this took 6.4 ms of
processor time per face instead of 7.4 (two runs of each code in turn), and found the same pairs with the same
similarities. Of 2,648 planted copies that were found before, 2 are lost. The tables on this page were measured
before.

| faces | kind | clock, s | processor, s | processor time per face, µs | pairs found |
|---|---|---|---|---|---|
{rows}
"""

PEOPLE = """## Merging people by `split.identity_distance`

The data are {faces:,} faces of {people:,} people of muxspace, whose file names identify them. Two faces are *merged* if
a chain of close pairs leads from one to the other, because that is how groups are made. Computing a descriptor takes
{descriptor_ms:.0f} ms of processor time.

| distance | false pairs | true pairs found | false merges | of different pairs | true pairs merged | largest cluster |
|---|---|---|---|---|---|---|
{rows}
"""


def write_report(photos: Photographs) -> None:
    """Write a section for each JSON file that exists."""
    folder = photos.results()
    makers = {"duplicates_curve": _curve, "duplicates_speed": _speed, "identities_curve": _people}
    parts = [HEAD]
    for name, make in makers.items():
        file = folder / f"{name}.json"
        if file.is_file():
            parts.append(make(json.loads(file.read_text(encoding="utf-8"))))
    (folder / "duplicates.md").write_text(photos.described("\n".join(parts)), encoding="utf-8")


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
