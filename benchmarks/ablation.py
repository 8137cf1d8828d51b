"""What each ingredient of the default training adds on real faces: one is left out at a time (`make bench-ablation`).

The photographs are those of the six classes of muxspace (see `photographs`) that have more than 90. The people that the
default split tests on are removed first and never used. The others are divided into three folds; every variant is
trained three times, on two folds with another seed each time, and tested on the third. A finished training below the
folder is not repeated, so an interrupted run resumes.

    python -m benchmarks.ablation FOLDER [EPOCHS]
"""

import csv
import json
import shutil
import subprocess
import sys
from contextlib import chdir
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from benchmarks.photographs import PORTRAITS, photographs
from models.checkpoint import CHECKPOINT_NAME, load_checkpoint, save_checkpoint
from models.evaluation.stage import run as evaluate
from models.training.stage import run as train
from pipeline.core.params import Params, read_params
from pipeline.core.tables import read_table

FOLDS = 3
MIN_PHOTOS = 90
# Two persons have nearly all of it, so that a fold can be without.
LEFT_OUT_CLASS = "disgust"


@dataclass(frozen=True)
class Variant:
    """One row of the table: what is changed in `train`, and whether mirror images are answered too."""

    name: str
    changes: dict[str, Any] = field(default_factory=dict)
    tta_flip: bool = True

    def run(self, root: Path, fold: int) -> Path:
        """Return the folder of its training on a fold; what changes answers alone has that of the default."""
        return root / f"fold-{fold}" / ("default" if not self.changes else self.name.replace(" ", "-"))


VARIANTS = (
    Variant("default"),
    Variant("augmentation", {"augment": "none"}),
    Variant("averaged weights", {"ema": 0.0}),
    Variant("mirror images in the answer", tta_flip=False),
    Variant("class weights", {"class_weights": 0.0}),
    Variant("label smoothing", {"label_smoothing": 0.0}),
    Variant("cosine and warm-up", {"schedule": "constant", "warmup_epochs": 0}),
)


def main(root: Path, epochs: int | None) -> None:
    """Prepare the folds, train and test every variant on each, print the table as Markdown."""
    params = read_params(Path("params.yaml"))
    folds = prepare(root)
    found: dict[str, list[float]] = {variant.name: [] for variant in VARIANTS}
    for (fold, shards), variant in product(enumerate(folds), VARIANTS):
        with chdir(shards.parents[1]):  # results name their sources as seen from their project
            recalls = measure(variant, shards, root, fold, params, epochs)
        found[variant.name].append(float(np.mean(list(recalls.values()))))
        print(f"fold {fold}  {variant.name}: {found[variant.name][-1]:.3f}  {recalls}", flush=True)
    print("| left out | balanced accuracy | change | fold by fold |\n|---|---|---|---|")
    for name, values in found.items():
        change = np.array(values) - np.array(found["default"])
        row = f"{np.mean(values):.3f} | {change.mean():+.3f} | {', '.join(f'{value:+.3f}' for value in change)}"
        print(f"| {name} | {row} |")


def measure(
    variant: Variant, shards: Path, root: Path, fold: int, params: Params, epochs: int | None
) -> dict[str, float]:
    """Train a variant unless that was done, test it, and return the recall of each class."""
    run, seed = variant.run(root, fold), fold + 1
    if not (run / CHECKPOINT_NAME).is_file():
        changes = variant.changes | ({"epochs": epochs} if epochs else {})
        train(shards, run, params.train.model_validate({**params.train.plain(), **changes}), seed=seed)
    if not variant.tta_flip:
        run = without_flips(run)
    settings = {"bootstrap_draws": 100, "saliency_per_class": 0, "mistakes": 0}
    test = params.evaluate.model_validate({**params.evaluate.plain(), **settings})
    out = run.with_name(f"{run.name}-test")
    evaluate(shards, run, out, test, seed=seed)
    tested = {row["actual"] for row in csv.DictReader((out / "confusion.csv").open(encoding="utf-8"))}
    classes = json.loads((out / "details.json").read_text(encoding="utf-8"))["per_class"]
    return {name: classes[name]["recall"]["value"] for name in sorted(tested - {LEFT_OUT_CLASS})}


def without_flips(run: Path) -> Path:
    """Copy a run whose answers are the mean over a face and its mirror image to one that answers the face alone."""
    alone = run.with_name(f"{run.name}-alone")
    shutil.copytree(run, alone, dirs_exist_ok=True)
    checkpoint = load_checkpoint(run)
    save_checkpoint(alone / CHECKPOINT_NAME, checkpoint.module, replace(checkpoint.info, tta_flip=False))
    return alone


def prepare(root: Path) -> list[Path]:
    """Return the shards of each fold, made with the project's own commands."""
    portraits = photographs().folder / PORTRAITS
    legend = list(csv.DictReader((portraits / "data" / "legend.csv").open(encoding="utf-8")))
    counts: dict[str, int] = {}
    for row in legend:
        counts[row["emotion"].lower()] = counts.get(row["emotion"].lower(), 0) + 1
    kept = [row for row in legend if counts[row["emotion"].lower()] > MIN_PHOTOS]
    whole = prepared(root / "whole", kept)
    split = read_table(whole / "data" / "split" / "split.parquet").to_pylist()
    labels = read_table(whole / "data" / "labels" / "mux" / "labels.parquet").to_pylist()
    name_of = {row["sample_id"]: Path(row["source_path"]).name for row in labels}
    tested = {name_of[row["sample_id"]] for row in split if row["split"] == "test"}
    people = prepared(root / "people", [row for row in kept if row["image"] not in tested])
    return [fold_shards(people, fold) for fold in range(FOLDS)]


def prepared(folder: Path, rows: list[dict[str, str]]) -> Path:
    """Write a project with these photographs and run it up to the split."""
    if (folder / "data" / "split").is_dir():
        return folder
    pictures = folder / "raw" / "images"
    pictures.mkdir(parents=True, exist_ok=True)
    for row in rows:
        shutil.copyfile(photographs().folder / PORTRAITS / "images" / row["image"], pictures / row["image"])
    with (folder / "raw" / "legend.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, ["user.id", "image", "emotion"])
        writer.writeheader()
        writer.writerows(rows)
    write_params(folder, {})
    for stage, source, target in (
        ("ingest", "raw", "samples"),
        ("align", "raw", "aligned"),
        ("select", "data/aligned/mux", "selected"),
        ("equalize", "data/aligned/mux", "faces"),
        ("harmonize", "data/samples/mux", "labels"),
    ):
        prep(folder, stage, "--src", source, "--out", f"data/{target}/mux")
    prep(folder, "split")
    return folder


def fold_shards(folder: Path, fold: int) -> Path:
    """Split the people of a project into folds and write the shards of one."""
    shards = folder / "data" / f"shards-{fold}"
    if not shards.is_dir():
        write_params(folder, {"folds": FOLDS, "fold": fold})
        prep(folder, "split", "--out", f"data/split-{fold}")
        prep(folder, "shard", "--split", f"data/split-{fold}", "--out", f"data/shards-{fold}")
    return shards


def write_params(folder: Path, split: dict[str, Any]) -> None:
    """Write the project's own params.yaml with these photographs as its one dataset."""
    values = yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))
    columns = {"file": "legend.csv", "images": "images", "path": "image", "label": "emotion"}
    if photographs().made:
        # All are of one portrait, and so alike that near copies would make one group of them.
        columns |= {"subject_pattern": r"^(made\d+)_"}
        split = split | {"duplicates": "identical"}
    values["datasets"] = {"mux": {"src": "raw", "format": "csv", "role": "both", "columns": columns}}
    values["split"] |= split
    (folder / "params.yaml").write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")


def prep(folder: Path, *command: str) -> None:
    """Run one command of the project there."""
    subprocess.run([Path(sys.executable).with_name("prep"), *command], cwd=folder, check=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute(), int(sys.argv[2]) if len(sys.argv) > 2 else None)
