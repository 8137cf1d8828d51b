"""The stage: read a raw dataset of any known layout into one table of samples, one row per annotated face.

Every row of the raw dataset becomes a sample or a reject with its reason; every file is hashed once.
"""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from pipeline.core.catalog import terms_of
from pipeline.core.errors import LineageError, SourceError
from pipeline.core.names import MANIFEST_NAME, SAMPLES_NAME
from pipeline.core.parallel.pool import Progress, no_progress, worker_count
from pipeline.core.params import IngestParams
from pipeline.core.parts import TAKE_OVER, Resume
from pipeline.core.schema import MANIFEST, SAMPLES
from pipeline.core.stage_output import Source, StageOutput, nothing_left, relative_path, stage_output
from pipeline.core.tables import rows_to_table
from pipeline.ingest.clues import unread_archives
from pipeline.ingest.dataset_options import DatasetOptions
from pipeline.ingest.raw_dataset import RawDataset
from pipeline.ingest.registry import Reader, Tree, locate, open_tree
from pipeline.ingest.releases.fingerprints import Comparison, compare
from pipeline.ingest.samples import Samples, printable
from pipeline.ingest.trees.hashes import RECIPE

# Rows between two calls of the progress bar.
_STEP_ROWS: Final = 2000
# Files per slice of the manifest: a multiple of a row group, as `tables.write_slices` requires.
_SLICE_FILES: Final = 8192


def run(  # noqa: PLR0913 - what goes in, and how
    src: str,
    out: Path,
    params: IngestParams,
    *,
    dataset: str,
    fmt: str,
    options: DatasetOptions | None = None,
    accept_mismatch: bool = False,
    resume: Resume = TAKE_OVER,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """Read a raw tree as it ships.

    Args:
        src: a folder, an archive or a folder of archives.
        out: the folder to write: samples.parquet, sorted by sample_id, and manifest.parquet.
        params: what readers use when a raw dataset can be read in more than one way.
        dataset: its name, the first part of every sample_id.
        fmt: a name of `pipeline.ingest.registry.READERS`, or "auto".
        options: the dataset's options in params.yaml; None: none.
        accept_mismatch: read a dataset whose counts contradict those of its release.
        resume: whether the hashes of a killed run are taken over, of files that look as they did.
        progress: called with the files hashed and the rows read so far.

    Returns:
        The summary: the format and its evidence, counts per class and split, the comparison with the release, notes.

    Raises:
        SourceError: there is nothing, the layout is unknown or not that of `fmt`, a table cannot be read, or the counts
            are those of another release.
        UsageError: there is no such format.
        LineageError: the tree changed while it was read.
    """
    options = options or DatasetOptions()
    tree = open_tree(src)
    reader, root, why = locate(tree, fmt, options.classes)
    given = recorded_params(dataset, fmt, params, options)

    def hash_tree(output: StageOutput) -> str:
        return tree.identity(worker_count(), progress, output.part_store(RECIPE, resume, lasting=False))

    with stage_output(out, stage="ingest", sources=[Source(Path(src), hash_tree)], params=given) as output:
        raw = RawDataset(tree, root, params, options)
        samples = _read(reader, raw, dataset, progress)
        accepted = accept_mismatch or dataset in params.accept_mismatch
        verdict = compare(reader.name, samples.listed, raw, name=dataset, accepted=accepted)
        output.reject(samples.rejects)
        output.write_slices(SAMPLES_NAME, SAMPLES, samples.slices())
        output.write_slices(MANIFEST_NAME, MANIFEST, _manifest(tree))
        _check_unmoved(tree)
        return _finish(output, samples, reader, raw, dataset=dataset, why=why, verdict=verdict)


def recorded_params(dataset: str, fmt: str, params: IngestParams, options: DatasetOptions) -> dict[str, Any]:
    """Return what the snapshot of an ingest keeps as its parameters; arguments as of `ingest`."""
    return {**params.plain(), "format": fmt, "dataset": dataset, **options.plain()}


def _read(reader: Reader, raw: RawDataset, dataset: str, progress: Progress) -> Samples:
    samples = Samples(dataset, raw, multi_label=reader.multi_label)
    for number, row in enumerate(reader.read(raw), 1):
        samples.add(row)
        if number % _STEP_ROWS == 0:
            progress(number, number, "rows read")
    if unnamed := samples.unnamed():
        raw.notes.append(f"{len(unnamed)} pictures are in no row, such as {printable(unnamed[0])}")
    samples.close()
    if not samples.rows_in:
        why = "".join(f"; {note}" for note in raw.notes)
        raise SourceError(f"{raw.tree.src}: the layout of {reader.name}, but without a single row or picture{why}")
    if raw.options.classes and not raw.meant:
        raise SourceError(
            f"{raw.tree.src}: read as {reader.name}, where nothing is one of {', '.join(raw.options.classes)}, which "
            "params.yaml gives a meaning under classes"
        )
    if not samples.rows_out:
        raise SourceError(f"{raw.tree.src}: {nothing_left(samples.rows_in, samples.rejects)}")
    return samples


def _finish(
    output: StageOutput,
    samples: Samples,
    reader: Reader,
    raw: RawDataset,
    *,
    dataset: str,
    why: str,
    verdict: Comparison,
) -> dict[str, Any]:
    return output.finish(
        rows_in=samples.rows_in,
        rows_out=samples.rows_out,
        contract={} if verdict.accepted is None else {"accepted_mismatch": verdict.accepted},
        dataset=dataset,
        format=reader.name,
        terms=terms_of(dataset, reader.name, raw.options.terms),
        recognised=why,
        src=relative_path(Path(raw.tree.src)),
        root=raw.root,
        files=len(raw.tree.names()),
        cut_out=reader.faces_are_cut_out(raw),
        counts=samples.counts(),
        fingerprint=verdict.plain(),
        notes=[*raw.said(), *verdict.notes, *_unread(raw.tree), *_unfollowed(raw.tree)],
    )


def _unread(tree: Tree) -> Iterator[str]:
    if names := unread_archives(tree):
        yield f"{len(names)} archives are not read in place, such as {printable(names[0])}: unpack them"


def _unfollowed(tree: Tree) -> Iterator[str]:
    links = tree.unfollowed()
    for name, target in islice(links.items(), 1):
        yield (
            f"{len(links)} links out of the tree or to nothing are not followed, such as {name} to {target}; DVC "
            f"follows them, so put the files there or let {tree.src} itself be the link"
        )


def _manifest(tree: Tree) -> Iterator[pa.Table]:
    """Yield the table of every file, a slice at a time: a tree may have half a million of them."""
    files = tree.manifest()
    while part := list(islice(files, _SLICE_FILES)):
        rows = [{"path": printable(file.path), "size": file.size, "md5": file.md5} for file in part]
        yield rows_to_table(rows, MANIFEST)


def _check_unmoved(tree: Tree) -> None:
    if (name := tree.moved()) is not None:
        raise LineageError(f"{tree.src}: {name} changed while it was being read; run the stage again")
