"""`select`: decide which of the faces that `align` found are used. It reads their measures and no pixels."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.core.errors import TableError
from pipeline.core.names import DETECTIONS_NAME, SELECTED_NAME
from pipeline.core.parallel.pool import Progress, no_progress
from pipeline.core.params import SelectParams
from pipeline.core.schema import ALIGNED, DECIDED_SELECT, DETECTIONS, SELECTED, Reason
from pipeline.core.stage_output import Reject, stage_output
from pipeline.core.tables import read_table
from pipeline.select.gates import GATES, judge

_STEP_ROWS: Final = 4096  # between two updates of the progress bar
_WHO: Final = ("sample_id", "dataset", "source_path", "source_labels")
_COLUMNS: Final = tuple(dict.fromkeys((*_WHO, "status", *(column for _, column, _ in GATES))))


def run(
    aligned: Path,
    out: Path,
    params: SelectParams,
    *,
    decided: Path | None = None,
    counts: Path | None = None,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """Write the faces of one dataset that pass all gates, and one reject with the reason for each of the others.

    Args:
        aligned: the folder that `align` wrote; only its table of detections is read.
        out: the folder to write: selected.parquet (`schema.SELECTED`), rejects, summary and snapshot.
        params: the section `select` of params.yaml, overridden by the dataset's own entry.
        decided: the table `schema.DECIDED_SELECT` of `decide`: faces that people leave out, whatever their measures;
            None: nobody decided.
        counts: the file outside the folder to which `metrics` of the summary is written, or None to write none.
        progress: called with the number of faces checked so far and the number of all faces.

    Returns:
        The summary: `rows_in` counts the faces that were found, `rows_out` those that were selected, and `classes` the
        kept and rejected faces of each class.

    Raises:
        TableError: the folder has no detections, or no face was found.
    """
    table = aligned / DETECTIONS_NAME
    rows = read_table(table, _COLUMNS, DETECTIONS)
    # A row without a face was already rejected by align, so it is not counted here a second time.
    found = rows.filter(pc.equal(rows["status"], ALIGNED))
    if not len(found):
        raise TableError(f"{aligned}: holds no face; run align again and see its rejects")
    # The source is the table rather than the folder: the crops do not matter here, so they are not hashed either.
    sources = [table, *([decided] if decided else [])]
    with stage_output(out, stage="select", sources=sources, params=params.plain()) as output:
        unwanted = _unwanted(decided)
        reasons: list[Reason | None] = []
        for batch in found.to_batches(max_chunksize=_STEP_ROWS):
            for face in batch.to_pylist():
                reason, detail = unwanted.get(face["sample_id"]) or judge(face, params)
                reasons.append(reason)
                if reason is not None:
                    output.reject([Reject(face["sample_id"], face["dataset"], reason, detail, face["source_path"])])
            progress(len(reasons), len(found), "")
        kept = found.filter(pa.array([reason is None for reason in reasons]))
        output.write_table(SELECTED_NAME, kept.select(SELECTED.names))
        classes = count_classes(found["source_labels"].to_pylist(), reasons)
        # `empty` allows an output without faces: its rejects explain why none is left. The command then
        # exits with an error.
        summary = output.finish(rows_in=len(found), rows_out=len(kept), empty=True, classes=classes)
        if counts is not None:
            output.write_json_beside(counts, metrics(summary))
        return summary


def _unwanted(decided: Path | None) -> dict[str, tuple[Reason, str]]:
    rows = read_table(decided, schema=DECIDED_SELECT).to_pylist() if decided else []
    return {row["sample_id"]: (Reason(row["reason"]), row["detail"]) for row in rows}


def count_classes(labels: Sequence[Sequence[str]], reasons: Sequence[Reason | None]) -> dict[str, dict[str, Any]]:
    """Return the number of kept faces and of rejected faces by reason, for each of the dataset's own labels.

    Args:
        labels: the labels of each face, N lists. A face with several labels is counted under each of them.
        reasons: the reject reason of each face, N of them; None for a face that is kept.
    """
    counts: dict[str, Counter[Reason | None]] = defaultdict(Counter)
    for names, reason in zip(labels, reasons, strict=True):
        for name in names:
            counts[name][reason] += 1
    return {
        name: {"kept": of[None], "rejected": {str(reason): of[reason] for reason in Reason if of[reason]}}
        for name, of in sorted(counts.items())
    }


def metrics(summary: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `dvc metrics diff` compares: kept faces and rejected faces by reason, in total and per class."""
    return {"kept": summary["rows_out"], "rejected": summary["rejected"], "by_class": summary["classes"]}
