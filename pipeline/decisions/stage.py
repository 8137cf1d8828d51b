"""`decide`: turn a dataset's decisions into one small table for each stage that acts on them.

`align`, `harmonize`, `select` and `split` depend on their own table, whose bytes stay the same if nothing in it
changes: a changed label detects no face again.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.core.emotions import CLASSES
from pipeline.core.names import DECIDED_ALIGN_NAME, DECIDED_HARMONIZE_NAME, DECIDED_SELECT_NAME, DECIDED_SPLIT_NAME
from pipeline.core.parallel.pool import Progress, no_progress
from pipeline.core.params import DecideParams
from pipeline.core.schema import DECIDED_ALIGN, DECIDED_HARMONIZE, DECIDED_SELECT, DECIDED_SPLIT, Reason
from pipeline.core.stage_output import Reject, stage_output
from pipeline.core.tables import rows_to_table
from pipeline.decisions.book import read_lines
from pipeline.decisions.decision import Decision, Kind, parse_place
from pipeline.decisions.forgotten import read_digests
from pipeline.decisions.known import read_known, samples_of, split_gone
from pipeline.decisions.settle import Settled, settle

_UNUSABLE = {Kind.not_a_face: Reason.not_a_face, Kind.bad_picture: Reason.bad_picture}


def run(
    book: Path,
    samples: Path,
    out: Path,
    params: DecideParams,
    *,
    dataset: str,
    forgotten: Path | None = None,
    counts: Path | None = None,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """Write what is decided about the samples of one dataset, a table for each stage that reads it.

    Args:
        book: the file of decisions; if it is not there, nothing is decided.
        samples: the folder that `ingest` wrote.
        out: the folder to write: the four tables of `schema.DECIDED_ALIGN` and so on, rejects (decisions about samples
            that are gone), summary and snapshot.
        params: the section `decide` of params.yaml.
        dataset: its name.
        forgotten: the file of digests that `prep forget` wrote; None or not there: nothing was forgotten.
        counts: the file outside the folder to which `metrics` of the summary is written, or None to write none.
        progress: called with the decisions read.

    Returns:
        The summary: rows are decisions; counts by kind, by person and by new label.

    Raises:
        BookError: a line that cannot be taken; names the file and the line.
        TableError: `samples` is not an output of ingest.
    """
    there = [path for path in (book, forgotten) if path is not None and path.is_file()]
    with stage_output(out, stage="decide", sources=[samples, *there], params=params.plain()) as output:
        lines = read_lines(book)
        known = read_known(samples, dataset)
        digests = read_digests(forgotten) if forgotten else []
        present, gone = split_gone(book, lines, known, {digest.sample_id for digest in digests})
        progress(len(lines), len(lines), "")
        people = {one.md5 for one in digests if one.what == "subject"}
        settled = settle(present, params, samples_of(samples, dataset, people))
        for name, schema, rows in (
            (DECIDED_ALIGN_NAME, DECIDED_ALIGN, _for_align(settled)),
            (DECIDED_HARMONIZE_NAME, DECIDED_HARMONIZE, _for_harmonize(settled)),
            (DECIDED_SELECT_NAME, DECIDED_SELECT, _for_select(settled, params)),
            (DECIDED_SPLIT_NAME, DECIDED_SPLIT, _for_split(settled)),
        ):
            output.write_table(name, rows_to_table(rows, schema))
        output.reject(Reject(one.sample_id, dataset, Reason.gone, f"{one.kind} by {one.by}") for one in gone)
        summary = output.finish(
            rows_in=len(lines), rows_out=len(present), empty=True, dataset=dataset, **_count(present, settled)
        )
        if counts is not None:
            output.write_json_beside(counts, metrics(summary))
        return summary


def metrics(summary: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `dvc metrics diff` compares: decisions by kind, person and new label, and those that do not count."""
    keys = ("by_kind", "by_person", "by_label", "disputed", "unsure")
    return {**{key: summary[key] for key in keys}, "gone": summary["rejected"].get(Reason.gone, 0)}


def _count(present: Sequence[Decision], settled: Settled) -> dict[str, Any]:
    kinds = Counter(one.kind for one in present)
    labels = Counter(one.value for one in settled.verdicts.values() if one.kind is Kind.other_label)
    return {
        "by_kind": {str(kind): kinds[kind] for kind in Kind},
        "by_person": dict(sorted(Counter(one.by for one in present).items())),
        "by_label": {name: labels[name] for name in CLASSES},
        "disputed": len(settled.disputed),
        "unsure": len(settled.unsure),
    }


def _for_align(settled: Settled) -> list[dict[str, Any]]:
    """Return the faces that are elsewhere than `align` would look, and those whose picture it must not open."""
    rows = [{"sample_id": name, "withdrawn": True} for name in settled.withdrawn]
    rows += [
        {"sample_id": one.sample_id, "withdrawn": False, "place": list(parse_place(one.value))}
        for one in settled.verdicts.values()
        if one.kind is Kind.wrong_face and one.value
    ]
    return _sorted(rows)


def _for_harmonize(settled: Settled) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = [{"sample_id": name, "withdrawn": True} for name in settled.withdrawn]
    rows += [
        {"sample_id": one.sample_id, "withdrawn": False, "label": CLASSES.index(one.value)}
        for one in settled.verdicts.values()
        if one.kind is Kind.other_label
    ]
    return _sorted(rows)


def _for_select(settled: Settled, params: DecideParams) -> list[dict[str, Any]]:
    rows = [_reason(name, Reason.withdrawn, "its person withdrew") for name in settled.withdrawn]
    for one in settled.verdicts.values():
        if one.kind in _UNUSABLE:
            rows.append(_reason(one.sample_id, _UNUSABLE[one.kind], f"says {one.by}"))
        elif one.kind is Kind.wrong_face and not one.value:
            rows.append(_reason(one.sample_id, Reason.wrong_face, f"says {one.by}, who sees no right one"))
    if params.undecided == "reject":
        rows += [_reason(name, Reason.undecided, "people disagree about it") for name in settled.disputed]
        rows += [_reason(name, Reason.undecided, "people are unsure about it") for name in settled.unsure]
    return _sorted(rows)


def _for_split(settled: Settled) -> list[dict[str, Any]]:
    pairs = {(*sorted((one.sample_id, one.value)), str(one.kind)) for one in settled.links}
    return [{"first": first, "second": second, "kind": kind} for first, second, kind in sorted(pairs)]


def _reason(sample_id: str, reason: Reason, detail: str) -> dict[str, Any]:
    return {"sample_id": sample_id, "reason": str(reason), "detail": detail}


def _sorted(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(rows, key=lambda row: str(row["sample_id"]))
