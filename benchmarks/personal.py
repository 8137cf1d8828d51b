"""Personal networks on photographs: docs/personal.md and its plots (`make bench-personal`).

The photographs are those of muxspace (see `photographs`), whose file names say who is in them. Everybody with at least
`FEWEST` of them is tested and nobody else, so that the general network, which is the default of params.yaml trained on
the others for 20 epochs, has seen none of these people. A finished step below the folder is not repeated.

    python -m benchmarks.personal FOLDER
"""

import csv
import json
import re
import shutil
import sys
from collections import Counter
from contextlib import chdir
from pathlib import Path
from typing import Final

import pyarrow as pa
import yaml

from benchmarks.ablation import prep, prepared, write_params
from benchmarks.photographs import PORTRAITS, photographs
from pipeline.core.schema import SPLIT
from pipeline.core.tables import read_table, write_table

FEWEST: Final = 12
EPOCHS: Final = 20
# Shots, and the fewest faces left to test on. Few people have many photographs, so there are two curves.
CURVES: Final = {"few": (8, 4), "many": (16, 8)}
_PERSON: Final = re.compile(r"_?\d+\.\w+$")


def main(root: Path) -> None:
    """Prepare the photographs, train the general network, make both curves, and copy what docs/personal.md shows."""
    project = general(root)
    results = Path("docs") if not photographs().made else photographs().results()
    for name, (shots, tested) in CURVES.items():
        out = f"runs/personal-{name}"
        set_param(project, "personalize", "min_test", tested)
        prep(project, "personalize", "--all", "--shots", str(shots), "--out", out)
        if name == "few":
            shutil.copyfile(project / out / "curve.png", results / "personal-few.png")
        print(json.dumps(json.loads((project / out / "summary.json").read_text(encoding="utf-8"))["curve"], indent=1))


def set_param(project: Path, section: str, key: str, value: int) -> None:
    """Write one value into a project's params.yaml."""
    path = project / "params.yaml"
    values = yaml.safe_load(path.read_text(encoding="utf-8"))
    values[section][key] = value
    path.write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")


def general(root: Path) -> Path:
    """Return a project with shards, and the default network trained on them."""
    legend = list(csv.DictReader((photographs().folder / PORTRAITS / "data" / "legend.csv").open(encoding="utf-8")))
    project = prepared(root / "muxspace", legend)
    if not (project / "data" / "shards").is_dir():
        keep_together(project)
        write_params(project, {"keep": "splits/people.parquet", "train_share": 0.999})
        set_param(project, "train", "epochs", EPOCHS)
        prep(project, "split")
        prep(project, "shard")
    if not (project / "runs" / "train").is_dir():
        prep(project, "train")
    return project


def keep_together(project: Path) -> None:
    """Write the split to keep: whoever has many photographs is tested."""
    labels = read_table(project / "data" / "labels" / "mux" / "labels.parquet")
    ids = labels["sample_id"].to_pylist()
    people = [person(Path(path).name) for path in labels["source_path"].to_pylist()]
    counts = Counter(people)
    tested = [one for one, name in zip(ids, people, strict=True) if counts[name] >= FEWEST]
    table = {"sample_id": tested, "split": ["test"] * len(tested), "group_id": tested}
    (project / "splits").mkdir(exist_ok=True)
    write_table(project / "splits" / "people.parquet", pa.table(table, schema=SPLIT))


def person(picture: str) -> str:
    """Return who a photograph shows: its name up to the last number."""
    return _PERSON.sub("", picture)


if __name__ == "__main__":
    with chdir(Path(__file__).resolve().parent.parent):
        main(Path(sys.argv[1]).absolute())
