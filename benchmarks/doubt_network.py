"""How many planted wrong labels the loss of a network finds that has not seen the person: a part of `benchmarks.doubt`.

The default network is trained anew on the other folds for every face, from shards and with labels that decisions make
wrong, so that each step is a command of the project. It takes a processor minutes a fold, so there are fewer folds and
one draw of wrong labels, and what scores best otherwise is measured on the same draw.

    python -m benchmarks.doubt_network FOLDER [EPOCHS]

FOLDER is that of `benchmarks.doubt`, and keeps every finished training.
"""

import os
import shutil
import sys
from contextlib import chdir
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.ablation import prep, write_params
from benchmarks.doubt import KINDS, Floats, Ints, count, features, labelled, prepared, scores, swap
from models.evaluation.stage import run as evaluate
from models.training.stage import run as train
from pipeline.core.emotions import CLASSES
from pipeline.core.params import read_params
from pipeline.core.schema import PREDICTIONS
from pipeline.core.tables import read_table
from pipeline.decisions.book import change_book
from pipeline.decisions.decision import Decision, Kind
from pipeline.doubt.answers import answer
from pipeline.doubt.labels import doubt_labels

FOLDS, SEED = 3, 1


def main(root: Path, epochs: int) -> None:
    """Print one table, with a row for each way to score labels."""
    project = prepared(root / "muxspace")
    rows, parts = labelled(project)
    spaces = features("muxspace", rows, parts, root, None)
    with threadpool_limits(1):
        likeliest = np.mean([answer(of, rows.labels, rows.fold).mean(axis=1) for of in spaces.values()], axis=0)
    found: dict[str, list[str]] = {}
    for kind in KINDS:
        with threadpool_limits(1):
            labels, swapped = swap(rows.labels, likeliest, kind, SEED)
            doubts = scores(spaces, labels, rows.fold, SEED)
        probs = answers(project, root / "networks" / kind, rows.ids, rows.labels, labels, epochs)
        doubts["compact, its loss"] = 1 - probs[np.arange(len(labels)), labels]
        doubts["compact, cleanlab's margin"] = doubt_labels(labels, probs)[0]
        for how, doubt in doubts.items():
            of = count(doubt, swapped)
            found.setdefault(how, []).extend([f"{of.precision:.2f}", f"{of.recall:.2f}"])
    print(f"muxspace, seed {SEED}, {FOLDS} folds of {epochs} epochs")
    for how, cells in found.items():
        print(f"| {how} | {' | '.join(cells)} |")


def answers(project: Path, folder: Path, ids: list[str], right: Ints, given: Ints, epochs: int) -> Floats:
    """Return (N, 8) what networks answer that were trained on the other folds with the given labels."""
    if not (folder / "data" / "labels").is_dir():
        (folder / "data").mkdir(parents=True)
        (folder / "raw").symlink_to((project / "raw").resolve())
        for name in ("samples", "aligned"):
            shutil.copytree(project / "data" / name, folder / "data" / name, copy_function=os.link)
        write_params(folder, {})
        wrong = [row for row in range(len(ids)) if right[row] != given[row]]
        decided = [Decision(ids[row], Kind.other_label, CLASSES[given[row]], "bench") for row in wrong]
        (folder / "decisions").mkdir()
        change_book(folder / "decisions/mux.csv", lambda _: decided)
        prep(folder, "decide", "--src", "data/samples/mux", "--out", "data/decisions/mux")
        for stage, source, target in (("select", "aligned", "selected"), ("equalize", "aligned", "faces")):
            prep(folder, stage, "--src", f"data/{source}/mux", "--out", f"data/{target}/mux")
        prep(folder, "harmonize", "--src", "data/samples/mux", "--out", "data/labels/mux")
    at = {sample_id: row for row, sample_id in enumerate(ids)}
    probs = np.full((len(ids), len(CLASSES)), 1 / len(CLASSES))
    for fold in range(FOLDS):
        out = folder / f"fold-{fold}"
        if not (out / "answers" / "predictions.parquet").is_file():
            learn(folder, out, fold, epochs)
        for row in read_table(out / "answers" / "predictions.parquet", schema=PREDICTIONS).to_pylist():
            probs[at[row["sample_id"]]] = row["probabilities"]
    return probs


def learn(folder: Path, out: Path, fold: int, epochs: int) -> None:
    """Train the default network on all folds but one, and let it answer that one."""
    write_params(folder, {"folds": FOLDS, "fold": fold, "contradictions": "keep"})
    prep(folder, "split", "--out", f"data/split-{fold}")
    prep(folder, "shard", "--split", f"data/split-{fold}", "--out", f"data/shards-{fold}")
    params = read_params(folder / "params.yaml")
    with chdir(folder):
        shards = Path(f"data/shards-{fold}")
        train(shards, out / "run", params.train.model_copy(update={"epochs": epochs}), seed=fold)
        few = {"bootstrap_draws": 100, "saliency_per_class": 0, "mistakes": 0}
        evaluate(shards, out / "run", out / "answers", params.evaluate.model_copy(update=few), seed=fold)


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute(), int(sys.argv[2]) if len(sys.argv) > 2 else 30)
