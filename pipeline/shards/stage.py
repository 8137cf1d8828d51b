"""The stage shard: it writes the faces, labels and split of all datasets as balanced shards."""

import tempfile
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.core.emotions import CLASSES
from pipeline.core.errors import DataError, LineageError
from pipeline.core.names import (
    CROISSANT_NAME,
    HUB_CARD_NAME,
    INDEX_NAME,
    MISSING_FACES_NAME,
    SHARDS_NAME,
    SNAPSHOT_NAME,
    SPLIT_NAME,
    SUMMARY_NAME,
    UNCLASSED_PREFIX,
)
from pipeline.core.parallel.engine import map_ordered
from pipeline.core.parallel.pool import Progress, no_progress
from pipeline.core.params import ShardParams
from pipeline.core.parts import TAKE_OVER, MakePart, PartStore, Resume, Task, recipe_of
from pipeline.core.schema import ATTRIBUTES, Reason
from pipeline.core.stage_output import Reject, StageOutput, stage_output
from pipeline.core.storage import staged
from pipeline.shards.balance import missing_classes
from pipeline.shards.balanced_rows import Balanced, balanced, keep_tested, keep_trained
from pipeline.shards.container import CONTAINERS, ShardJob, file_name, key_of, key_of_shard, shard_rows, write_shard
from pipeline.shards.croissant import build_croissant
from pipeline.shards.hub_card import build_hub_card
from pipeline.shards.landmarks import crop_landmarks
from pipeline.shards.manifest import build_manifest, build_snapshot_id, merged_contract
from pipeline.shards.plan import Joined, Shard, class_counts, index_table, place, read_joined
from pipeline.shards.spool import Spooled, SpoolJob, spool_part


def run(  # noqa: PLR0913 - what goes in, and how
    faces: Mapping[str, Path],
    selected: Mapping[str, Path],
    labels: Mapping[str, Path],
    split: Path,
    out: Path | str,
    params: ShardParams,
    *,
    seed: int,
    workers: int,
    test_caps: Mapping[str, int] | None = None,
    resume: Resume = TAKE_OVER,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """Write shards as Parquet, WebDataset or both, with their index, manifest and Croissant metadata.

    Args:
        faces: the folder that equalize wrote for each dataset.
        selected: the folder that select wrote for each dataset.
        labels: the folder that harmonize wrote for each dataset.
        split: the folder with split.parquet.
        out: the folder to write, or a storage address (``s3://bucket/shards``). For an address, the folder is written
            beside the split first and uploaded when it is complete.
        params: the balance policy, the size of shards and the containers.
        seed: seed of the balance and of the order of training rows.
        workers: the number of threads; the bytes do not depend on it.
        test_caps: dataset -> how many test rows of each class a protocol tests; without an entry, it tests all.
        resume: whether shards of a killed run are taken over.
        progress: called with the number of faces read, then with the rows written, counted once per container.

    Returns:
        The content of summary.json. rows_in is the rows of the split, rows_out the samples in at least one shard,
        `unclassed` the rows without a class in each split.

    Raises:
        DataError: there is nothing to write, the datasets were preprocessed in different ways, or a sample has no
            label.
        TableError: an input table is missing or damaged.
        OutputError: the folder cannot be written.
    """
    settings = {**params.plain(), "seed": seed} | ({"test_per_class": dict(test_caps)} if test_caps else {})
    sources = [*faces.values(), *selected.values(), *labels.values(), split]
    with (
        staged(out, split.parent, SUMMARY_NAME, (SHARDS_NAME, SNAPSHOT_NAME)) as folder,
        stage_output(folder, stage="shard", sources=sources, params=settings, tools=["pyarrow"]) as output,
    ):
        whole = read_joined(faces, selected, labels, split)
        trained, untrained = keep_trained(whole, params.train_on)
        joined, untested = keep_tested(trained, test_caps or {}, seed=seed)
        balance = balanced(joined.found, params, seed=seed)
        shards = _place(balance.rows, params, seed)
        if not shards:
            why = "no row of it has a selected face; see the rejects of align and select"
            raise DataError(f"{split / SPLIT_NAME}: {why}")
        index = index_table(shards)
        contract = merged_contract(faces, labels)
        snapshot_id = build_snapshot_id(output.inputs, index, joined.missing, settings)
        common = {"snapshot": snapshot_id, "contract": contract}
        store = output.part_store(recipe_of([run], settings, ["numpy"]), resume, lasting=False)
        _write_all(output, store, joined, shards, params.containers, common, workers, progress)
        output.write_table(INDEX_NAME, index)
        output.write_table(MISSING_FACES_NAME, joined.missing)
        manifest = build_manifest(snapshot_id, contract, shards, params.containers, params.world_size)
        output.write_json(SHARDS_NAME, manifest)
        people = pa.concat_tables([shard.rows.select(ATTRIBUTES) for shard in shards])
        described = build_croissant(index, joined.missing, people, snapshot_id, contract, params.containers)
        output.write_json(CROISSANT_NAME, described)
        card = build_hub_card(index, joined.missing, snapshot_id, contract, params.containers)
        output.path(HUB_CARD_NAME).write_text(card, encoding="utf-8")
        _keep_rejects(output, joined.missing, untrained, untested, balance, index)
        return output.finish(
            rows_in=len(whole.found) + len(whole.missing),
            rows_out=pc.count_distinct(index["sample_id"]).as_py(),
            contract=contract,
            snapshot_id=snapshot_id,
            rows_written=len(index),
            classes=class_counts(index, CLASSES),
            unclassed=dict(Counter(index.filter(pc.is_null(index["label"]))["split"].to_pylist())),
            missing_classes=_missing_classes(index, contract["classes"]),
            quotas=balance.quotas,
            shards=dict(Counter(shard.split for shard in shards)),
        )


def _place(rows: pa.Table, params: ShardParams, seed: int) -> list[Shard]:
    """Divide the rows with a class into shards, then those without one into others."""
    classed = pc.is_valid(rows["label"])
    parts = {"": rows.filter(classed), UNCLASSED_PREFIX: rows.filter(pc.invert(classed))}
    per_shard, processes = params.rows_per_shard, params.world_size
    return [
        shard
        for before, part in parts.items()
        for shard in place(part, seed=seed, rows_per_shard=per_shard, world_size=processes, before=before)
    ]


def _missing_classes(index: pa.Table, classes: Collection[str]) -> dict[str, object]:
    rows = index.filter(pc.is_valid(index["label"]))
    splits, datasets = rows["split"].to_pylist(), rows["dataset"].to_pylist()
    return missing_classes(rows["label"].to_numpy(), splits, datasets, classes)


def _write_all(
    output: StageOutput,
    store: PartStore,
    joined: Joined,
    shards: list[Shard],
    containers: Collection[str],
    common: dict[str, Any],
    workers: int,
    progress: Progress,
) -> None:
    tasks = [Task(key_of_shard(common["snapshot"], shard.name), shard) for shard in shards]
    taken = store.take_over(tasks, workers)
    waiting = [task.job for task in tasks if task.key not in taken]
    # Threads are enough, because reading and writing files and Arrow's encoding release the interpreter's lock. The
    # spool is in the output folder, not in the shared /tmp, because it contains faces; it is removed before the folder
    # is put in place.
    with tempfile.TemporaryDirectory(dir=output.folder, prefix=".spool") as scratch:
        spools = tuple(Path(scratch, f"{number:05d}") for number in range(len(joined.files)))
        chosen, spooled = _spool(store, joined, waiting, spools, workers, progress)
        rows = len(containers) * sum(len(shard.rows) for shard in shards)
        before = rows - len(containers) * sum(len(shard.rows) for shard in waiting)
        wrote = _reporter(progress, rows, f"rows written, {' and '.join(containers)}", before)
        jobs = [_shard_job(shard, spools, chosen, spooled, containers, common) for shard in waiting]
        make = MakePart(write_shard, key_of, store.folder)
        made = map_ordered(make, [Task(key_of(job), job) for job in jobs], workers, wrote, threads=True)
        for shard, part in zip(shards, store.in_order(tasks, taken, made), strict=True):
            places = {file_name(name): f"{name}/{shard.name}.{CONTAINERS[name].suffix}" for name in containers}
            output.add_part(part, places)


def _spool(
    store: PartStore, joined: Joined, shards: list[Shard], spools: tuple[Path, ...], workers: int, progress: Progress
) -> tuple[list[npt.NDArray[np.int32]], list[Spooled]]:
    """Copy the pictures of some shards to the spools; return the rows of each part of faces, and where they are."""
    if not shards:
        return [], []
    before = [store.md5(file) for file in joined.files]
    chosen = _chosen_rows(joined, shards)
    spooling = [SpoolJob(file, chosen[n], spools[n]) for n, file in enumerate(joined.files)]
    read = _reporter(progress, sum(map(len, chosen)), "faces read")
    spooled = list(map_ordered(spool_part, spooling, workers, read, threads=True))
    for file, md5 in zip(joined.files, before, strict=True):
        # Otherwise a later run would take over shards with the pictures of another input.
        if store.md5(file) != md5:
            raise LineageError(f"{file}: changed while it was being read; run the stage again")
    return chosen, spooled


def _reporter(progress: Progress, total: int, note: str, before: int = 0) -> Callable[[int], None]:
    progress(before, total, note)
    return lambda done: progress(before + done, total, note)


def _chosen_rows(joined: Joined, shards: list[Shard]) -> list[npt.NDArray[np.int32]]:
    files = np.concatenate([shard.rows["file"].to_numpy() for shard in shards])
    rows = np.concatenate([shard.rows["row"].to_numpy() for shard in shards])
    order = np.argsort(files, kind="stable")
    bounds = np.searchsorted(files[order], np.arange(len(joined.files) + 1))
    return [np.unique(rows[order[start:end]]) for start, end in pairwise(bounds)]


def _shard_job(
    shard: Shard,
    spools: tuple[Path, ...],
    chosen: list[npt.NDArray[np.int32]],
    spooled: list[Spooled],
    containers: Collection[str],
    common: dict[str, Any],
) -> ShardJob:
    files, rows = shard.rows["file"].to_numpy(), shard.rows["row"].to_numpy()
    at = [int(np.searchsorted(chosen[file], row)) for file, row in zip(files, rows, strict=True)]
    places = list(zip(files.tolist(), at, strict=True))
    landmarks = np.stack([spooled[file].landmarks[number] for file, number in places])
    in_crop = crop_landmarks(landmarks, common["contract"]["align"])
    return ShardJob(
        name=shard.name,
        rows=shard_rows(shard.rows, in_crop),
        spools=spools,
        files=files,
        offsets=np.array([spooled[file].offsets[number] for file, number in places]),
        lengths=np.array([spooled[file].lengths[number] for file, number in places]),
        containers=tuple(containers),
        common=common,
    )


def _keep_rejects(
    output: StageOutput,
    missing: pa.Table,
    untrained: pa.Table,
    untested: pa.Table,
    balance: Balanced,
    index: pa.Table,
) -> None:
    # With copies, a row of a sample may be left out while another is written. That sample is no reject.
    written = set(index["sample_id"].to_pylist())
    for row in missing.to_pylist():
        detail = f"labelled, but without a selected face; listed in {MISSING_FACES_NAME}"
        output.reject([Reject(row["sample_id"], row["dataset"], Reason(row["reason"]), detail)])
    for rows, reason, detail in (
        (untrained, Reason.outside_role, "left out by shard.train_on"),
        (untested, Reason.over_cap, "left out by test_per_class of its dataset"),
        (balance.left_out, Reason.over_cap, "left out by the balance"),
        (balance.uneven, Reason.uneven, "left out so that every process gets the same number of rows"),
    ):
        left = dict(zip(rows["sample_id"].to_pylist(), rows["dataset"].to_pylist(), strict=True))
        output.reject(Reject(key, name, reason, detail) for key, name in left.items() if key not in written)
