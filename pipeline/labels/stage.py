"""The stage: native labels to the eight classes by the dataset's taxonomy. `Harmonizer.choose` decides for one row.

A row without one class is kept, with a null label and the reason, if it has a valence, an arousal or a dominance: what
learns these needs no class. What needs one leaves such rows out. A withdrawn sample is never kept.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.core.emotions import CLASSES, Emotion
from pipeline.core.errors import DataError, TableError
from pipeline.core.names import LABELS_NAME, SAMPLES_NAME, SUMMARY_NAME
from pipeline.core.parallel.pool import Progress, no_progress
from pipeline.core.params import HarmonizeParams
from pipeline.core.schema import DECIDED_HARMONIZE, LABELS, SAMPLES, Reason
from pipeline.core.stage_output import Reject, StageOutput, nothing_left, stage_output
from pipeline.core.tables import read_table
from pipeline.labels.policy import ClassLabel, Harmonizer, RejectedLabel, UnknownLabelError
from pipeline.labels.taxonomy import read_taxonomy

_AFFECT: Final = ("valence", "arousal", "dominance")
_STEP_ROWS: Final = 4096  # between two calls of the progress bar
_COLUMNS: Final = (
    "sample_id", "dataset", "source_path", "subject_id", "sequence_id", "source_split", "source_labels",
    "source_votes", *_AFFECT, "gender", "age", "age_years", "race",
)  # fmt: skip


def run(
    src: Path, out: Path, params: HarmonizeParams, *, decided: Path | None = None, progress: Progress = no_progress
) -> dict[str, Any]:
    """Give every sample of a dataset one of the eight classes, or a reason why it has none.

    Rows without a class stay if they have a valence, an arousal or a dominance.

    Args:
        src: a folder with samples.parquet and summary.json, as `ingest` writes it.
        out: the folder to write: labels.parquet, sorted by sample_id, and rejects.parquet.
        params: the label policy.
        decided: the table `schema.DECIDED_HARMONIZE` of `decide`: classes that people gave, which stand above the
            policy, and withdrawn samples; None: nobody decided.
        progress: called with the rows labelled so far.

    Returns:
        The summary, with counts by class and by split and class, `unclassed` rows by reason, and the number of rows
        whose valence or arousal was compared with their class.

    Raises:
        DataError: no row gets a class or has affect, a label that the taxonomy does not list, or votes or affect out
            of range; names the row.
        TableError: no samples here.
    """
    samples = read_table(src / SAMPLES_NAME, _COLUMNS, SAMPLES)
    name, terms = _format_and_terms(src)
    harmonizer = Harmonizer(read_taxonomy(name), params)
    sources = [src, *([decided] if decided else [])]
    with stage_output(out, stage="harmonize", sources=sources, params=params.plain(), tools=()) as output:
        labels, relabelled = _label_rows(samples, harmonizer, _decided(decided), params.classes, output, src, progress)
        if not labels.num_rows:
            raise DataError(f"{src / SAMPLES_NAME}: {nothing_left(samples.num_rows, output.rejects)}")
        output.write_table(LABELS_NAME, labels)
        taxonomy = harmonizer.taxonomy.contract()
        others = {} if terms == name else {"terms": terms}
        return output.finish(
            rows_in=samples.num_rows,
            rows_out=labels.num_rows,
            contract={"taxonomy": taxonomy, "classes": params.classes or list(CLASSES), **others},
            format=name,
            taxonomy=taxonomy,
            relabelled=relabelled,
            affect_checked=_affect_rows(samples) if params.affect == "check" else 0,
            **_counts(labels),
        )


def _format_and_terms(src: Path) -> tuple[str, str]:
    path = src / SUMMARY_NAME
    try:
        summary = json.loads(path.read_text(encoding="utf-8"))
        return str(summary["format"]), str(summary.get("terms", summary["format"]))
    except OSError as error:
        raise TableError(f"{path}: cannot be read: {error.strerror}; run ingest first") from None
    except (ValueError, KeyError, TypeError):
        raise TableError(f"{path}: no key 'format'; run ingest again") from None


def _decided(table: Path | None) -> dict[str, ClassLabel | RejectedLabel]:
    rows = read_table(table, schema=DECIDED_HARMONIZE).to_pylist() if table else []
    return {row["sample_id"]: _decided_label(row["label"]) for row in rows}


def _decided_label(label: int | None) -> ClassLabel | RejectedLabel:
    if label is None:
        return RejectedLabel(Reason.withdrawn, "its person withdrew")
    return ClassLabel(Emotion(label), tuple(float(index == label) for index in range(len(CLASSES))))


def _label_rows(
    samples: pa.Table,
    harmonizer: Harmonizer,
    decided: Mapping[str, ClassLabel | RejectedLabel],
    classes: Sequence[str] | None,
    output: StageOutput,
    src: Path,
    progress: Progress,
) -> tuple[pa.Table, dict[str, dict[str, int]]]:
    """Return the labels, and how many rows people gave another class: by what they had, then by the new class."""
    labels: list[int | None] = []
    probs: list[tuple[float, ...] | None] = []
    reasons: list[str | None] = []
    kept: list[int] = []
    relabelled: dict[str, Counter[str]] = defaultdict(Counter)
    for number, row in enumerate(_rows(samples), start=1):
        if number % _STEP_ROWS == 0 or number == samples.num_rows:
            progress(number, samples.num_rows, "")
        _check_affect_range(src, row)
        own = _choose(harmonizer, row, src)
        given = decided.get(row["sample_id"], own)
        chosen = _within(given, classes)
        if isinstance(chosen, RejectedLabel):
            if chosen.reason is Reason.withdrawn or not any(row[name] is not None for name in _AFFECT):
                reject = Reject(row["sample_id"], row["dataset"], chosen.reason, chosen.detail, row["source_path"])
                output.reject([reject])
                continue
        elif given is not own:
            relabelled[str(own.reason) if isinstance(own, RejectedLabel) else own.label.name][chosen.label.name] += 1
        kept.append(number - 1)
        labels.append(int(chosen.label) if isinstance(chosen, ClassLabel) else None)
        probs.append(chosen.probs if isinstance(chosen, ClassLabel) else None)
        reasons.append(str(chosen.reason) if isinstance(chosen, RejectedLabel) else None)
    table = samples.take(pa.array(kept, pa.int64())).select([field.name for field in LABELS if field.name in _COLUMNS])
    table = table.append_column(LABELS.field("label"), pa.array(labels, pa.int8()))
    table = table.append_column(LABELS.field("label_probs"), pa.array(probs, LABELS.field("label_probs").type))
    table = table.append_column(LABELS.field("unclassed"), pa.array(reasons, pa.string()))
    return table.cast(LABELS).sort_by("sample_id"), {
        name: dict(sorted(relabelled[name].items())) for name in relabelled
    }


def _within(chosen: ClassLabel | RejectedLabel, classes: Sequence[str] | None) -> ClassLabel | RejectedLabel:
    """Return a label with its distribution over some of the classes; rejected if its class is not among them."""
    if classes is None or isinstance(chosen, RejectedLabel):
        return chosen
    if chosen.label.name not in classes:
        return RejectedLabel(Reason.outside_classes, f"{chosen.label.name} is not in harmonize.classes")
    shares = [share if name in classes else 0.0 for name, share in zip(CLASSES, chosen.probs, strict=True)]
    return ClassLabel(chosen.label, tuple(share / sum(shares) for share in shares))


def _choose(harmonizer: Harmonizer, row: Mapping[str, Any], src: Path) -> ClassLabel | RejectedLabel:
    try:
        return harmonizer.choose(row["source_labels"], row["source_votes"], row)
    except UnknownLabelError as error:
        raise DataError(f"{src / SAMPLES_NAME}: dataset {row['dataset']}, row {row['sample_id']}: {error}") from None


def _rows(samples: pa.Table) -> Iterator[dict[str, Any]]:
    for batch in samples.to_batches(max_chunksize=_STEP_ROWS):
        yield from batch.to_pylist()


def _check_affect_range(src: Path, row: Mapping[str, Any]) -> None:
    for name in _AFFECT:
        value = row[name]
        if value is not None and not -1 <= value <= 1:  # a NaN is not in the range either
            raise DataError(f"{src / SAMPLES_NAME}: row {row['sample_id']}: {name} {value} is not in [-1, 1]")


def _affect_rows(samples: pa.Table) -> int:
    """Return the number of rows with a valence or an arousal, which can contradict their class."""
    given = pc.or_(pc.is_valid(samples["valence"]), pc.is_valid(samples["arousal"]))
    return int(pc.sum(given).as_py() or 0)


def _counts(labels: pa.Table) -> dict[str, Any]:
    classed = labels.filter(pc.is_valid(labels["label"]))
    pairs = zip(classed["source_split"].to_pylist(), classed["label"].to_pylist(), strict=True)
    counts = Counter((split or "none", CLASSES[label]) for split, label in pairs)
    splits = {split: {name: counts[split, name] for name in CLASSES} for split in sorted({key[0] for key in counts})}
    unclassed = Counter(labels["unclassed"].drop_null().to_pylist())
    return {
        "classes": {name: sum(row[name] for row in splits.values()) for name in CLASSES},
        "splits": splits,
        "unclassed": dict(sorted(unclassed.items())),
    }
