"""`select`: which of the faces that `align` found are used. It reads their measures and no pixels."""

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
from pipeline.core.schema import ALIGNED, DETECTIONS, SELECTED, Reason
from pipeline.core.stage_output import Reject, stage_output
from pipeline.core.tables import read_table
from pipeline.select.gates import GATES, judge

_STEP_ROWS: Final = 4096  # between two calls of the progress bar
_WHO: Final = ("sample_id", "dataset", "source_path", "source_labels")
_COLUMNS: Final = tuple(dict.fromkeys((*_WHO, "status", *(column for _, column, _ in GATES))))


def run(
    aligned: Path, out: Path, params: SelectParams, *, counts: Path | None = None, progress: Progress = no_progress
) -> dict[str, Any]:
    """Write which faces of one dataset count; of each other one its reject says which gate it does not pass.

    Args:
        aligned: the folder that `align` wrote; only its detections are read.
        out: the folder to write: selected.parquet (`schema.SELECTED`), rejects, summary, snapshot.
        params: the section `select` of params.yaml, with what the dataset's own entry changes.
        counts: where `metrics` of the summary is to be written, outside the folder; None for nowhere.
        progress: told the faces judged.

    Returns:
        The summary: rows_in are the faces found, rows_out those selected, `classes` both by class.

    Raises:
        TableError: no detections here, or none of a face.
    """
    table = aligned / DETECTIONS_NAME
    rows = read_table(table, _COLUMNS, DETECTIONS)
    found = rows.filter(pc.equal(rows["status"], ALIGNED))
    if not len(found):
        raise TableError(f"{aligned}: holds no face; run align again and see its rejects")
    with stage_output(out, stage="select", sources=[table], params=params.plain()) as output:
        reasons: list[Reason | None] = []
        for batch in found.to_batches(max_chunksize=_STEP_ROWS):
            for face in batch.to_pylist():
                reason, detail = judge(face, params)
                reasons.append(reason)
                if reason is not None:
                    output.reject([Reject(face["sample_id"], face["dataset"], reason, detail, face["source_path"])])
            progress(len(reasons), len(found), "")
        kept = found.filter(pa.array([reason is None for reason in reasons]))
        output.write_table(SELECTED_NAME, kept.select(SELECTED.names))
        classes = count_classes(found["source_labels"].to_pylist(), reasons)
        # Without a face left there is still why; the command ends with an error.
        summary = output.finish(rows_in=len(found), rows_out=len(kept), empty=True, classes=classes)
        if counts is not None:
            output.write_json_beside(counts, metrics(summary))
        return summary


def count_classes(labels: Sequence[Sequence[str]], reasons: Sequence[Reason | None]) -> dict[str, dict[str, Any]]:
    """Return how many faces of each of the dataset's own labels are kept, and rejected by reason.

    Args:
        labels: (N,) those of each face; one with several counts in each.
        reasons: (N,) why it is rejected, None where it is not.
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
    """Return what `dvc metrics diff` is to compare: faces kept, and rejected by reason, in all and by class."""
    return {"kept": summary["rows_out"], "rejected": summary["rejected"], "by_class": summary["classes"]}
