"""How many planted wrong labels `doubt` finds, beside other features and other scores (`make bench-doubt`).

A tenth of the labels are swapped, at random or to the class that a reference finds likeliest after the right one (the
mean of all answers that were learned from the right labels). Then every label is scored, and of the most doubtful
hundred, and of the most doubtful tenth, those are counted that were swapped. muxspace has wrong labels of its own,
which count as false alarms. In the demo, ten labels are changed, too, and their ranks among all reasons to doubt told.

    python -m benchmarks.doubt FOLDER [FEATURES]

FOLDER keeps what was prepared, and the features. FEATURES is a .npz with `ids` and any further features (N, F) of one's
own, such as those of a network whose weights are no dependency of this project.
"""

import shutil
import sys
import time
from contextlib import chdir
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from benchmarks.ablation import prep, write_params
from benchmarks.photographs import PORTRAITS, photographs
from pipeline.core.names import DOUBT_NAME, LABELS_NAME
from pipeline.core.parallel.pool import worker_count
from pipeline.core.params import read_params
from pipeline.core.tables import read_part, read_table, table_files, write_table
from pipeline.doubt.answers import answer, reduce
from pipeline.doubt.features import join, read_descriptors, read_features
from pipeline.doubt.labels import doubt_labels
from pipeline.doubt.rows import Labelled, read_labelled
from pipeline.doubt.stage import run
from pipeline.geometry.margin import read_margin
from pipeline.images import decode_face

SHARE, SEEDS, FIRST = 0.1, (1, 2, 3), 100
KINDS, PLANTED = ("random", "likely"), 10
LITE0_PX, BATCH = 96, 64
WIDE = 128  # more features than these are reduced
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Found:
    """Precision among the first hundred, and the share of the swapped labels among the first tenth."""

    precision: float
    recall: float


def main(root: Path, own: Path | None) -> None:
    """Measure muxspace and, where `dvc repro` has made it, the demo; print the tables as Markdown."""
    with threadpool_limits(1):
        measure("muxspace", prepared(root / "muxspace"), root, own)
        demo = Path.cwd() if Path("data/split").is_dir() else root / "demo"
        if (demo / "data" / "split").is_dir():
            measure("the demo", demo, root, None)
            plant(demo, root)
        else:
            print("the demo: not prepared; run dvc repro first", file=sys.stderr)


def prepared(folder: Path) -> Path:
    """Return a project of muxspace that was run up to the split."""
    if (folder / "data" / "split").is_dir():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "raw").exists():
        (folder / "raw").symlink_to((photographs().folder / PORTRAITS).absolute())
    write_params(folder, {})
    text = (folder / "params.yaml").read_text(encoding="utf-8")
    (folder / "params.yaml").write_text(text.replace("legend.csv", "data/legend.csv"), encoding="utf-8")
    prep(folder, "ingest", "--src", "raw", "--out", "data/samples/mux")
    prep(folder, "harmonize", "--src", "data/samples/mux", "--out", "data/labels/mux")
    prep(folder, "align", "--src", "raw", "--out", "data/aligned/mux")
    prep(folder, "split")
    return folder


def measure(name: str, project: Path, root: Path, own: Path | None) -> None:
    """Print one table: a row for each way to score labels."""
    rows, parts = labelled(project)
    spaces = features(name, rows, parts, root, own)
    right = {space: answer(given, rows.labels, rows.fold).mean(axis=1) for space, given in spaces.items()}
    print(f"\n{name}: {len(rows.ids)} faces, {round(SHARE * len(rows.ids))} labels swapped, seeds {SEEDS}")
    for space, probs in right.items():
        print(f"{space}: {(probs.argmax(axis=1) == rows.labels).mean():.3f} of the labels as they are repeated")
    print("\n| scored by | random: first 100 | random: recall | likely: first 100 | likely: recall |")
    print("|---|--:|--:|--:|--:|")
    found: dict[str, dict[str, list[Found]]] = {}
    for kind in KINDS:
        for seed in SEEDS:
            labels, swapped = swap(rows.labels, np.mean(list(right.values()), axis=0), kind, seed)
            for how, doubt in scores(spaces, labels, rows.fold, seed).items():
                found.setdefault(how, {}).setdefault(kind, []).append(count(doubt, swapped))
    for how, by_kind in found.items():
        cells = [
            f"{np.mean([getattr(one, value) for one in by_kind[kind]]):.3f}"
            for kind in KINDS
            for value in ("precision", "recall")
        ]
        print(f"| {how} | {' | '.join(cells)} |", flush=True)


def labelled(project: Path) -> tuple[Labelled, list[Path]]:
    """Return the labelled faces of a project, and the files of all its aligned faces."""
    params = read_params(project / "params.yaml")
    names = sorted(path.name for path in (project / "data/labels").iterdir())
    folders = [{one: project / kind / one for one in names} for kind in ("data/aligned", "data/labels")]
    copy = params.split.contradiction_similarity
    with chdir(project):
        rows, _ = read_labelled(*folders, project / "data/split", folds=params.doubt.folds, copy=copy, seed=1)
    return rows, [part for folder in folders[0].values() for part in table_files(folder)]


def features(name: str, rows: Labelled, parts: list[Path], root: Path, own: Path | None) -> dict[str, Floats]:
    """Return features (N, views, C) of the labelled faces by their name, reduced; they are computed once."""
    makers = {"histograms of gradients": histograms, "dlib's face descriptor": descriptors, "EfficientNet-Lite0": lite0}
    spaces = {}
    for number, (space, make) in enumerate(makers.items()):
        cache = root / f"{name.replace(' ', '-')}-{number}.npz"
        if not cache.is_file():
            begun = time.process_time()
            ids, values = make(parts)
            spent = 1000 * (time.process_time() - begun) / len(ids)
            print(f"{space}: {spent:.1f} ms of a processor a face", file=sys.stderr)
            np.savez(cache, ids=np.array(ids), values=values)
        with np.load(cache) as kept:
            spaces[space] = taken(rows, kept["ids"], kept["values"])
    first, *others = list(spaces)
    for other in others:
        spaces[f"{first} and {other} side by side"] = join([spaces[first], spaces[other]])
    if own is not None:
        with np.load(own) as kept:
            more = {space: kept[space].reshape(len(kept["ids"]), 1, -1) for space in kept.files if space != "ids"}
            spaces |= {space: taken(rows, kept["ids"], values) for space, values in more.items()}
    return spaces


def histograms(parts: list[Path]) -> tuple[list[str], Floats]:
    """Return the features of the stage, of each face and of its mirror image."""
    ids, values = read_features(parts, workers=1)
    return ids, values.astype(np.float64)


def descriptors(parts: list[Path]) -> tuple[list[str], Floats]:
    """Return dlib's descriptors, (N, 1, 128)."""
    ids, values = read_descriptors(parts, workers=1)
    return ids, values.astype(np.float64)


def lite0(parts: list[Path]) -> tuple[list[str], Floats]:
    """Return what EfficientNet-Lite0, trained on ImageNet, sees in each face and in its mirror image, (N, 2, 1280)."""
    from models.registry import create_model, find_model

    network: Any = create_model("efficientnet_lite0", pretrained=True, size_px=LITE0_PX).eval()
    network.reset_classifier(0)  # timm's: what is left ends with the pooled features
    ids, values = [], []
    for part in parts:
        spec = replace(find_model("efficientnet_lite0").input(LITE0_PX), zoom=1 - 2 * read_margin(part.parent))
        for batch in read_part(part, ["sample_id", "image"]).to_batches(max_chunksize=BATCH):
            ids += batch["sample_id"].to_pylist()
            faces = np.stack([to_rgb(decode_face(image)) for image in batch["image"].to_pylist()])
            pixels = spec.prepare(torch.from_numpy(faces).permute(0, 3, 1, 2))
            with torch.inference_mode():
                values.append(torch.stack([network(pixels), network(pixels.flip(3))], 1).double().numpy())
    return ids, np.concatenate(values)


def to_rgb(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return (H, W, 3) of grey or coloured pixels."""
    return np.repeat(pixels[:, :, None], 3, axis=2) if pixels.ndim == 2 else pixels


def taken(rows: Labelled, ids: NDArray[np.str_], values: Floats) -> Floats:
    """Return the values (N, 2, C) of the labelled faces in their order, wide ones reduced as in the stage."""
    at = {sample_id: row for row, sample_id in enumerate(ids.tolist())}
    given = values[[at[sample_id] for sample_id in rows.ids]].astype(np.float32)
    return join([reduce(given, 1) if given.shape[2] > WIDE else given])


def swap(labels: Ints, likeliest: Floats, kind: str, seed: int) -> tuple[Ints, Ints]:
    """Return labels of which a tenth is wrong, and the rows of these."""
    random = np.random.default_rng(seed)
    swapped = random.choice(len(labels), round(SHARE * len(labels)), replace=False)
    wrong, present = labels.copy(), np.unique(labels)
    if kind == "random":
        wrong[swapped] = [random.choice(present[present != label]) for label in labels[swapped]]
    else:
        others = likeliest[swapped].copy()
        others[np.arange(len(swapped)), labels[swapped]] = -1
        wrong[swapped] = others.argmax(axis=1)
    return wrong, swapped


def scores(spaces: dict[str, Floats], labels: Ints, fold: Ints, seed: int) -> dict[str, Floats]:
    """Return (N,) doubts of labels, higher is more doubtful, by how they were found."""
    found = {"nothing: a random order": np.random.default_rng(seed + 100).random(len(labels))}
    answers = {space: answer(given, labels, fold).mean(axis=1) for space, given in spaces.items()}
    for space, probs in answers.items():
        found[f"{space}, cleanlab's margin"] = doubt_labels(labels, probs)[0]
        found[f"{space}, probability of the label"] = 1 - probs[np.arange(len(labels)), labels]
    first = next(iter(spaces))
    # What learned from the labels it judges: every face is answered by a model of all faces, itself among them.
    everyone = spaces[first]
    seen = answer(np.concatenate([everyone] * 2), np.tile(labels, 2), np.repeat([0, 1], len(labels))).mean(axis=1)
    found[f"{first}, loss of what has seen the labels"] = 1 - seen[np.arange(len(labels)), labels]
    return found


def plant(project: Path, root: Path) -> None:
    """Print the ranks, among all reasons to doubt, of ten labels that were changed in a project."""
    params = read_params(project / "params.yaml")
    names = sorted(path.name for path in (project / "data/labels").iterdir())

    def ranked(labels: Path, out: Path) -> list[dict[str, Any]]:
        given = [{one: folder / one for one in names} for folder in (project / "data/aligned", labels)]
        more = {"copy": params.split.contradiction_similarity, "seed": params.seed, "workers": worker_count()}
        run(*given, project / "data/split", out, params.doubt, **more)
        return read_table(out / DOUBT_NAME).to_pylist()

    before = ranked(project / "data/labels", root / "planted" / "before")
    for kind, seed in product(KINDS, range(3)):
        random, wrong = np.random.default_rng(seed), {}
        for row in random.choice(len(before), PLANTED, replace=False).tolist():
            label, probs = before[row]["label"], np.array(before[row]["probs"])
            probs[label] = -1
            others = [other for other in range(len(probs)) if other != label]
            wrong[before[row]["sample_id"]] = int(random.choice(others) if kind == "random" else probs.argmax())
        folder = root / "planted" / f"{kind}-{seed}"
        relabel(project / "data/labels", folder / "labels", wrong)
        after = ranked(folder / "labels", folder / "out")
        print(f"{kind}, seed {seed}: ranks {[row['rank'] for row in after if row['sample_id'] in wrong]}", flush=True)


def relabel(labels: Path, out: Path, wrong: dict[str, int]) -> None:
    """Copy the labels of all datasets, with some changed."""
    shutil.copytree(labels, out, dirs_exist_ok=True)
    for file in out.glob(f"*/{LABELS_NAME}"):
        table = read_table(file)
        given = zip(table["sample_id"].to_pylist(), table["label"].to_pylist(), strict=True)
        changed = pa.array([wrong.get(sample_id, label) for sample_id, label in given], pa.int8())
        place = table.schema.get_field_index("label")
        write_table(file, table.set_column(place, table.schema.field(place), changed))


def count(doubt: Floats, swapped: Ints) -> Found:
    """Count the swapped among the most doubtful."""
    hit = np.isin(np.argsort(-doubt, kind="stable"), swapped)
    return Found(float(hit[:FIRST].mean()), float(hit[: round(SHARE * len(doubt))].sum() / len(swapped)))


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute(), Path(sys.argv[2]).absolute() if len(sys.argv) > 2 else None)
