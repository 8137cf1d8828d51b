"""Which training rows of each class go into the shards, how many copies of each, and their weight in the loss.

Validation and test rows are all kept, once each, under every policy and in every mixture of datasets, so that a score
is measured on everything that the dataset's authors, or the split, held out. The policy `none` also keeps every
training row. All other policies divide the training rows into cells (a class, or a class of one dataset) and cap each
cell at `train_per_class` first. Then

    cap          does nothing more
    undersample  reduces every cell to the size of the smallest one
    oversample   copies rows until every cell is as large as the largest one, with at most `max_copies` of a row
    weights      keeps every row once and weights it by the inverse of its cell's size, or of the cell's effective
                 number of samples, (1 - beta^n) / (1 - beta)
                 (Cui et al., Class-Balanced Loss Based on Effective Number of Samples, CVPR 2019)

Rows without a class are balanced by themselves, as one cell, so that they change nothing for rows with one. Where no
training row has a class, there is nothing to balance, and all are kept.

A protocol may test only some rows of a dataset; `cap_tested` draws them. A keyed hash of the sample id decides which
rows a cap keeps, so the draw does not depend on the order of the rows, and rows that are added elsewhere do not change
who is drawn.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.core.draws import keyed_order
from pipeline.core.emotions import CLASSES, NO_CLASS, class_name
from pipeline.core.names import TEST, TRAIN
from pipeline.core.params import ShardParams

Indices = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Selection:
    """Which of N rows a policy keeps.

    Attributes:
        rows: (K,) indices of the kept rows, ascending.
        copies: (K,) how many times each one is written, at least 1; exactly 1 in val and test.
        left_out: (N - K,) indices of the rows beyond a cap, ascending.
    """

    rows: Indices
    copies: NDArray[np.int16]
    left_out: Indices


def select(
    labels: NDArray[np.integer],
    splits: Sequence[str],
    sample_ids: Sequence[str],
    datasets: Sequence[str],
    params: ShardParams,
    seed: int,
) -> Selection:
    """Apply the balance policy except for weights, which `weigh` computes once it is known what is written.

    Args:
        labels: (N,) class indices 0..7, NO_CLASS for none.
        splits: (N,) train, val or test.
        sample_ids: (N,) unique ids.
        datasets: (N,) dataset names.
        params: the policy.
        seed: seed of the keyed order.

    Returns:
        The selection. Every row is either in `rows` or in `left_out`.
    """
    order = keyed_order(sample_ids, seed, "balance")
    copies = np.zeros(len(sample_ids), np.int64)
    dataset_array = np.asarray(datasets)
    for split, cells in _cells(labels, splits, datasets, params).items():
        kept = _cap(cells, dataset_array, order, params) if split == TRAIN else cells
        if split == TRAIN and params.balance == "oversample":
            _oversample(kept, order, copies, params.max_copies)
        else:
            for rows in kept.values():
                copies[rows] = 1
    rows = np.flatnonzero(copies)
    return Selection(rows=rows, copies=copies[rows].astype(np.int16), left_out=np.flatnonzero(copies == 0))


def cap_tested(
    labels: NDArray[np.integer],
    splits: Sequence[str],
    sample_ids: Sequence[str],
    datasets: Sequence[str],
    caps: Mapping[str, int],
    seed: int,
) -> NDArray[np.bool_]:
    """Return a mask (N,) of the test rows that a protocol's caps leave out.

    Pass all labelled rows, with a face or without. Otherwise the detector would decide what is tested.

    Args:
        labels: (N,) class indices 0..7, NO_CLASS for none.
        splits: (N,) train, val or test.
        sample_ids: (N,) unique ids.
        datasets: (N,) dataset names.
        caps: dataset -> how many test rows of each class are kept; without an entry, all rows of the dataset are.
        seed: seed of the keyed order.
    """
    order = keyed_order(sample_ids, seed, "balance")
    tested, dataset_array, label_array = np.asarray(splits) == TEST, np.asarray(datasets), np.asarray(labels)
    left_out = np.zeros(len(sample_ids), bool)
    for dataset, cap in caps.items():
        mine = tested & (dataset_array == dataset)
        for label in np.unique(label_array[mine]):
            rows = np.flatnonzero(mine & (label_array == label))
            left_out[rows] = True
            left_out[_first(rows, order, cap)] = False
    return left_out


def weigh(
    labels: NDArray[np.integer], splits: Sequence[str], datasets: Sequence[str], params: ShardParams
) -> NDArray[np.float32]:
    """Return the weight of each row in the loss, (N,) float32 above 0.

    The mean over the training rows is 1, so that the loss has the same scale under every policy. All rows of val and
    test have weight 1, and so have all rows under policies other than `weights`.

    Args:
        labels: (N,) class indices 0..7 of the rows that are written; a copy is a row of its own.
        splits: (N,) train, val or test.
        datasets: (N,) dataset names.
        params: `weighting`, `effective_beta` in [0, 1) and what makes a cell.
    """
    weights = np.ones(len(splits), np.float64)
    cells = _cells(labels, splits, datasets, params).get(TRAIN, {})
    if params.balance != "weights" or not cells:
        return weights.astype(np.float32)
    beta = params.effective_beta
    for rows in cells.values():
        size = len(rows)
        weights[rows] = 1 / size if params.weighting == "inverse" else (1 - beta) / (1 - beta**size)
    every = np.concatenate(list(cells.values()))
    weights[every] /= weights[every].mean()
    return weights.astype(np.float32)


def count_cells(
    labels: NDArray[np.integer], splits: Sequence[str], datasets: Sequence[str], params: ShardParams
) -> dict[str, dict[str, int]]:
    """Return the number of rows in each cell, by split and cell name; a copy counts as a row."""
    cells = _cells(labels, splits, datasets, params)
    return {split: {name: len(rows) for name, rows in of_split.items()} for split, of_split in cells.items()}


def missing_classes(
    labels: NDArray[np.integer], splits: Sequence[str], datasets: Sequence[str], classes: Collection[str] = CLASSES
) -> dict[str, object]:
    """Return which of `classes` have no row, by split and dataset. No policy fills these cells."""
    found = {(s, d, int(c)) for s, d, c in zip(splits, datasets, labels, strict=True)}
    used = sorted({(split, dataset) for split, dataset, _ in found})
    missing: dict[str, dict[str, list[str]]] = {split: {} for split, _ in used}
    for split, dataset in used:
        names = [name for name in classes if (split, dataset, CLASSES.index(name)) not in found]
        if names:
            missing[split][dataset] = names
    return {split: by_dataset for split, by_dataset in missing.items() if by_dataset}


def _cells(
    labels: NDArray[np.integer], splits: Sequence[str], datasets: Sequence[str], params: ShardParams
) -> dict[str, dict[str, Indices]]:
    """Return the row indices of each cell that is not empty, by split and cell name."""
    split_array, dataset_array, label_array = np.asarray(splits), np.asarray(datasets), np.asarray(labels)
    cells: dict[str, dict[str, Indices]] = {split: {} for split in sorted(set(splits))}
    for split, of_split in cells.items():
        members = np.flatnonzero(split_array == split)
        for number in (*range(len(CLASSES)), NO_CLASS):
            name, rows = class_name(number), members[label_array[members] == number]
            if params.balance_over == "dataset_and_class":
                for dataset in sorted(set(dataset_array[rows])):
                    of_split[f"{dataset}/{name}"] = rows[dataset_array[rows] == dataset]
            elif len(rows):
                of_split[name] = rows
    return cells


def _cap(
    cells: Mapping[str, Indices], datasets: NDArray[np.str_], order: NDArray[np.uint64], params: ShardParams
) -> dict[str, Indices]:
    """Reduce each training cell to its quota.

    Where a cell is a class of all datasets, they share the quota evenly. Otherwise a large dataset would crowd out the
    small ones.
    """
    if params.balance == "none":
        return dict(cells)
    quota = params.train_per_class
    # Empty cells are not in `cells`: a class without a row would otherwise reduce all others to nothing.
    if params.balance == "undersample":
        quota = min(quota, *(len(rows) for rows in cells.values()))
    kept = {}
    for name, rows in cells.items():
        parts = [rows[datasets[rows] == dataset] for dataset in sorted(set(datasets[rows]))]
        shares = even_shares([len(part) for part in parts], quota)
        chosen = [_first(part, order, share) for part, share in zip(parts, shares, strict=True)]
        kept[name] = np.concatenate(chosen)
    return kept


def even_shares(sizes: Sequence[int], quota: int) -> list[int]:
    """Divide a quota as evenly as the sizes allow; the others get what one of them cannot fill.

    Args:
        sizes: how many rows each dataset has.
        quota: the number of rows to divide.

    Returns:
        A share per dataset, at most its size. Together they are the quota, or all rows if there are fewer.
    """
    shares = [0] * len(sizes)
    waiting = sorted(range(len(sizes)), key=lambda index: (sizes[index], index))
    for done, index in enumerate(waiting):
        # The smallest comes first, so that the rest of its share can still go to larger ones. Rounding up makes sure
        # that the whole quota is used.
        shares[index] = min(sizes[index], -(-quota // (len(waiting) - done)))
        quota -= shares[index]
    return shares


def _first(rows: Indices, order: NDArray[np.uint64], count: int) -> Indices:
    return rows[np.argsort(order[rows], kind="stable")[:count]]


def _oversample(
    cells: Mapping[str, Indices], order: NDArray[np.uint64], copies: NDArray[np.int64], max_copies: int
) -> None:
    # A cell of a few faces grows at most `max_copies` times, so that it is not repeated hundreds of times. Where the
    # target is no multiple of the cell's size, the first rows in keyed order get one more copy.
    largest = max((len(rows) for rows in cells.values()), default=0)
    for rows in cells.values():
        target = min(largest, len(rows) * max_copies)
        copies[rows] = target // len(rows)
        copies[_first(rows, order, target % len(rows))] += 1
