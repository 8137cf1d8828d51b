"""The stage: answers of a checkpoint on the test set, and their scores. Training never reads the test set."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from torch import Tensor

from models.checkpoint import CHECKPOINT_NAME, Checkpoint
from models.core.calibration import to_probabilities
from models.core.classes import find_columns, widen
from models.core.heads import Heads
from models.core.runtime import describe_compute, network_device, reproducible
from models.evaluation.affect_plot import AFFECT_FOLDER, PLOT_NAME, draw_affect
from models.evaluation.affect_report import (
    AffectRows,
    add_affect,
    add_affect_details,
    build_affect_table,
    list_few,
    list_signs,
    measure_views,
    read_affects,
)
from models.evaluation.affect_scores import MEAN_CCC
from models.evaluation.beside import compare_baseline, compare_networks
from models.evaluation.embedding import map_faces
from models.evaluation.gallery import Chosen, choose_affects, choose_classes, write_gallery
from models.evaluation.held_out import HeldOut, answer_logits, read_held_out
from models.evaluation.label_permutation import LabelPermutation, find_label_permutation
from models.evaluation.measured import Done, TestSet, answered_rows, load_matching, read_training
from models.evaluation.metrics import SCORES, Answers, Bootstrap, answer, measure
from models.evaluation.occlusion import compare_hidden
from models.evaluation.people_groups import POSE, add_groups, brief_groups, name_poses
from models.evaluation.summary import (
    brief,
    build_views,
    full,
    list_rough,
)
from models.registry import find_model
from pipeline.core.emotions import AFFECTNET, CLASSES
from pipeline.core.errors import UsageError
from pipeline.core.lineage.snapshot import read_snapshot
from pipeline.core.lineage.walk import decisions_behind, raw_inputs
from pipeline.core.names import (
    AFFECT_PREDICTIONS_NAME,
    DETAILS_NAME,
    EMBEDDING_NAME,
    METRICS_NAME,
    PREDICTIONS_NAME,
    SNAPSHOT_NAME,
    TEST,
    VAL,
)
from pipeline.core.parallel.pool import Progress, no_progress
from pipeline.core.params import EvaluateParams
from pipeline.core.schema import AFFECT_PREDICTIONS, PREDICTIONS, Reason
from pipeline.core.stage_output import Reject, StageOutput, stage_output
from pipeline.shards.read import open_shards

# The likeliest mistake behind a warning of label permutations.
_ORDERS: Final = "AffectNet's order is another: " + ", ".join(
    f"{name} {AFFECTNET[name]} (here {number})" for number, name in enumerate(CLASSES)
)
_SEEN: Final = "validated on the test set (train.validate_on: test), so these figures flatter the network"
_TOOLS: Final = ("numpy", "torch", "simplejpeg")


def run(
    shards: Path,
    run: Path,
    out: Path,
    params: EvaluateParams,
    *,
    seed: int,
    others: Mapping[str, Path] | None = None,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """Run a network on the test set and write metrics, predictions, plots and saliency pictures.

    Args:
        shards: the folder with the test shards.
        run: the folder with model.safetensors, as train wrote it.
        out: the folder to write.
        params: settings of the evaluation.
        seed: of the bootstrap.
        others: name -> folder of other networks, which are measured on the same rows for comparison.
        progress: called with the rows answered so far.

    Returns:
        The content of summary.json: rows_in are the test rows, rows_out those with a face; the others are rejected as
        no_face.

    Raises:
        ModelError: the network was trained with another preprocessing or class order.
        DataError: the shards have no test rows.
    """
    others = dict(sorted((others or {}).items()))
    settings = {**params.plain(), "seed": seed}
    sources = [shards, run, *others.values()]
    with stage_output(out, stage="evaluate", sources=sources, params=settings, tools=_TOOLS) as output:
        folder = open_shards(shards)
        checkpoint = load_matching(run / CHECKPOINT_NAME, folder)
        heads = checkpoint.info.heads
        if others and not heads.classes:
            raise UsageError(f"--beside: compares networks of classes; this one answers {checkpoint.info.task}")
        folder = open_shards(shards, unclassed=bool(heads.values))
        test = TestSet(shards, run, folder, params, Bootstrap(params.bootstrap_draws, seed, params.calibration_bins))
        with reproducible(params.threads):
            done = answer_test(test, checkpoint, output, others, progress)
        done.report["network"] = _network(checkpoint)
        if done.report["network"].get("validated_on") == TEST:
            done.summary["warnings"]["validated on the test set"] = _SEEN
        done.report["snapshot"] = {"shards": folder.snapshot_id, "trained_on": checkpoint.snapshot_id, "run": _id(run)}
        ran = describe_compute(network_device(classical=checkpoint.network is None)).plain()
        done.report["device"] = {"train": _trained_on(run), "evaluate": ran}
        done.report["seeds"] = {"training": checkpoint.info.params.get("seed"), "bootstrap": seed}
        done.report["data"] = raw_inputs(shards) | raw_inputs(run)
        done.report["decisions"] = decisions_behind(shards) | decisions_behind(run)
        output.write_json(METRICS_NAME, done.report)
        output.write_json(DETAILS_NAME, done.details)
        _reject_missing(output, done.rows)
        answered, missing = len(done.rows.sample_id), len(done.rows.missing)
        return output.finish(
            rows_in=answered + missing, rows_out=answered, contract=checkpoint.contract, ran=ran, **done.summary
        )


def _trained_on(run: Path) -> dict[str, Any]:
    """Return the device that the network was trained on; empty if the run has no snapshot."""
    return dict(read_snapshot(run).ran) if (run / SNAPSHOT_NAME).is_file() else {}


def _network(checkpoint: Checkpoint) -> dict[str, Any]:
    """Describe the measured network, because params.yaml may have changed since it was trained."""
    info = checkpoint.info
    found: dict[str, Any] = {"model": info.model, "size_px": info.input.size_px}
    if find_model(info.model).kind == "classical":
        return found
    # Checkpoints from before there was a choice do not say.
    held = info.params.get("validate_on", VAL)
    return found | {
        "augment": info.params["augment"],
        "pretrained": info.params["weights"] != "none",
        "validated_on": held,
    }


def answer_test(
    test: TestSet, checkpoint: Checkpoint, output: StageOutput, others: Mapping[str, Path], progress: Progress
) -> Done:
    """Measure answers of classes on rows with a class, and of values on annotated rows; write both."""
    heads, rows = checkpoint.info.heads, read_held_out(test.folder, test.shards)
    logits = answer_logits(checkpoint, test.faces_for(checkpoint), progress)
    done = Done(rows, {"rows": len(rows.sample_id)}, {}, {"warnings": {}})
    # Rows with a class come first.
    classed = open_shards(test.shards)
    shown: tuple[list[Chosen], list[Chosen]] = [], []
    pairs: list[tuple[str, str]] = []
    if heads.classes and TEST in classed.splits:
        with_class = read_held_out(classed, test.shards)
        of_classes = heads.of_classes(logits[:, : len(with_class.sample_id)])
        shown, pairs = answer_classes(test, checkpoint, with_class, of_classes, done, progress)
        compare_hidden(test, with_class, checkpoint, done, output, progress)
        compare_networks(test, with_class, done, others, progress)
        compare_baseline(test, with_class, checkpoint, classed, done, others, progress)
        shares = to_probabilities(of_classes, checkpoint.info.temperature).numpy()
        _write_answers(output, with_class, widen(shares, heads.classes))
    else:
        output.write_table(PREDICTIONS_NAME, PREDICTIONS.empty_table())
    output.path(f"{AFFECT_FOLDER}/any")  # the folder of plots is there even if the network answers no value
    if heads.values:
        affects = answer_values(test, rows, heads, heads.of_values(logits).tanh().mean(0).numpy(), done)
        output.write_table(AFFECT_PREDICTIONS_NAME, build_affect_table(affects))
        draw_affect(output.path(f"{AFFECT_FOLDER}/{PLOT_NAME}"), affects)
        pairs = pairs or list_signs(affects)
        if not any(shown):
            first = len(heads.classes)
            counts = test.params.saliency_per_class, test.params.mistakes
            shown = choose_affects(affects, rows.shown, *counts, first=first)
    else:
        output.write_table(AFFECT_PREDICTIONS_NAME, AFFECT_PREDICTIONS.empty_table())
    most, seed = test.params.map_faces, test.bootstrap.seed
    places = map_faces(checkpoint, test.faces_for(checkpoint), rows.sample_id, most, seed)
    output.write_table(EMBEDDING_NAME, places)
    write_gallery(output, checkpoint, test.whole_faces(), *shown, progress)
    _write_pairs(output, pairs)
    return done


def answer_classes(
    test: TestSet, checkpoint: Checkpoint, rows: HeldOut, logits: Tensor, done: Done, progress: Progress
) -> tuple[tuple[list[Chosen], list[Chosen]], list[tuple[str, str]]]:
    """Measure answers of classes; returns the faces to show, and the pairs of the confusion matrix."""
    classes, heats = checkpoint.info.heads.classes, (checkpoint.info.temperature, 1.0)
    probabilities, raw = (widen(to_probabilities(logits, heat).numpy(), classes) for heat in heats)
    training = replace(read_training(test.run, test.shards), outputs=tuple(find_columns(classes)))
    done.views.update(build_views(answered_rows(rows, probabilities), training, test.bootstrap, progress))
    report, details, views = done.report, done.details, done.views
    report |= brief(views)
    details |= full(views)
    report["ece_raw"] = _calibration_error(rows, raw, test.bootstrap)
    poses = [*name_poses(rows.frontality, test.params.pose_cuts), *[None] * len(rows.missing)]
    add_groups(details, answered_rows(rows, probabilities), {POSE: poses, **rows.said}, test.bootstrap)
    report["groups"] = brief_groups(details)
    details["affectnet_numbers"] = dict(AFFECTNET)
    details["calibration"] = {"temperature": checkpoint.info.temperature, "ece_raw": report["ece_raw"]}
    found = find_permutations(rows, probabilities, training.classes)
    report["permutation_probe"] = {name: permutation.plain() for name, permutation in found.items()}
    warnings = done.summary["warnings"]
    warnings |= {
        name: f"{name}: {permutation}; is its label map right? {_ORDERS}" for name, permutation in found.items()
    }
    warnings |= {f"{name}, intervals": f"{name}: {word}" for name, word in list_rough(views).items()}
    done.summary.update({name: report[name] for name in SCORES})
    counts = test.params.saliency_per_class, test.params.mistakes
    predicted = probabilities.argmax(axis=1)
    pairs = zip(rows.label.tolist(), predicted.tolist(), strict=True)
    named = [(CLASSES[label], CLASSES[answer]) for label, answer in pairs]
    return choose_classes(rows.label, probabilities, rows.shown, *counts, classes), named


def answer_values(test: TestSet, rows: HeldOut, heads: Heads, answers: NDArray[np.float32], done: Done) -> AffectRows:
    """Measure answers of affect (N, K) on annotated rows."""
    true = read_affects(test.folder, TEST, heads.values)
    affects = AffectRows(heads.values, rows.sample_id, np.array(rows.dataset), rows.group, true, answers)
    views = measure_views(affects, read_training(test.run, test.shards).datasets, test.bootstrap)
    add_affect(done.report, views)
    add_affect_details(done.details, views)
    done.summary["warnings"] |= list_few(views)
    done.summary.update({name: done.report[name] for name in (*heads.values, MEAN_CCC) if name in done.report})
    return affects


def _calibration_error(rows: HeldOut, probabilities: NDArray[np.float32], bootstrap: Bootstrap) -> float:
    predicted, confidence = answer(probabilities, range(len(CLASSES)))
    answers = Answers(rows.label, predicted, confidence, rows.group)
    return measure(answers, replace(bootstrap, draws=1)).scores["ece"].value


def _id(folder: Path) -> str:
    return read_snapshot(folder).id if (folder / SNAPSHOT_NAME).is_file() else ""


def _write_answers(output: StageOutput, rows: HeldOut, probabilities: NDArray[np.float32]) -> None:
    predicted = probabilities.argmax(axis=1)
    columns = {
        "sample_id": pa.array(rows.sample_id),
        "dataset": pa.array(rows.dataset),
        "label": pa.array(rows.label, pa.int8()),
        "predicted": pa.array(predicted, pa.int8()),
        "probabilities": pa.FixedSizeListArray.from_arrays(pa.array(probabilities.reshape(-1)), len(CLASSES)),
    }
    output.write_table(PREDICTIONS_NAME, pa.table(columns, schema=PREDICTIONS).sort_by("sample_id"))


def _write_pairs(output: StageOutput, pairs: Sequence[tuple[str, str]]) -> None:
    lines = ["actual,predicted", *(f"{actual},{answered}" for actual, answered in pairs)]
    output.path("confusion.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def find_permutations(
    rows: HeldOut, probabilities: NDArray[np.float32], trained: Collection[int] = range(len(CLASSES))
) -> dict[str, LabelPermutation]:
    """Return the datasets whose labels fit the answers much better in another order, which suggests a wrong label map.

    Only classes that the network was trained on and the dataset has may move. Finding nothing proves nothing; see
    `label_permutation`.
    """
    datasets = np.array(rows.dataset)
    found = {}
    for name in np.unique(datasets):
        mine = datasets == name
        among = set(trained) & set(rows.label[mine].tolist())
        found[str(name)] = find_label_permutation(rows.label[mine], probabilities[mine], CLASSES, among)
    return {name: permutation for name, permutation in found.items() if permutation is not None}


def _reject_missing(output: StageOutput, rows: HeldOut) -> None:
    for row in rows.missing.to_pylist():
        counts = "counts as wrong in all_rows" if row["label"] is not None else "in no score"
        output.reject([Reject(row["sample_id"], row["dataset"], Reason.no_face, f"no face was found; {counts}")])
