"""Which training rows of each class go into the shards, how often, and with what weight in the loss.

Validation and test rows are kept whole, once each, whatever the policy and whatever else is in the mixture: so a score
is on what the dataset's authors, or the split, held out. `none` keeps every training row. Every other policy first caps
a cell of them (a class, or a class of one dataset):

    cap          nothing more
    undersample  every cell down to the smallest one
    oversample   every cell up to the largest one, by copies, at most `max_copies` of a row
    weights      every row once, with a weight: inverse of the cell's size, or of its effective number
                 (Cui et al., Class-Balanced Loss Based on Effective Number of Samples, CVPR 2019)

A protocol may test fewer rows of a dataset than there are; `cap_tested` draws them. Which rows a cap keeps is decided
by a keyed hash of the sample id, so a row does not lose its place because rows were added elsewhere, and the order of
the rows does not matter.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.core.draws import keyed_order
from pipeline.core.emotions import CLASSES
from pipeline.core.names import TEST, TRAIN
from pipeline.core.params import ShardParams

Indices = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Selection:
    """What a policy keeps.

    Attributes:
        rows: (K,) indices of the kept rows, ascending.
        copies: (K,) how often each is written, 1 or more; 1 outside of training.
        left_out: (N - K,) indices of the rows that a cap leaves out, ascending.
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
    """Apply the balance policy, but for its weights, which are of the rows that are written in the end: `weigh`.

    Args:
        labels: (N,) class indices 0..7.
        splits: (N,) train, val or test.
        sample_ids: (N,) unique ids.
        datasets: (N,) dataset names.
        params: the policy.
        seed: of the keyed order.

    Returns:
        The selection; every row is in `rows` or in `left_out`.
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
    """Return (N,) which rows a protocol's caps of the test set leave out.

    Give all labelled rows, with a face or without: what is tested is drawn before anyone looks.

    Args:
        labels: (N,) class indices 0..7.
        splits: (N,) train, val or test.
        sample_ids: (N,) unique ids.
        datasets: (N,) dataset names.
        caps: dataset -> how many test rows of each class are kept; a dataset without one is kept whole.
        seed: of the keyed order.
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
    """Return (N,) the weight in the loss of rows as they are written; mean 1 in training, 1 elsewhere.

    Args: as of `select`, a copy being one more row.
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
    """Return how many rows of each cell each split has, by split and cell name; a copy is one more row."""
    cells = _cells(labels, splits, datasets, params)
    return {split: {name: len(rows) for name, rows in of_split.items()} for split, of_split in cells.items()}


def missing_classes(labels: NDArray[np.integer], splits: Sequence[str], datasets: Sequence[str]) -> dict[str, object]:
    """Return the class names that each dataset has no row of, by split and dataset; nothing is made up for them."""
    found = {(s, d, int(c)) for s, d, c in zip(splits, datasets, labels, strict=True)}
    used = sorted({(split, dataset) for split, dataset, _ in found})
    missing: dict[str, dict[str, list[str]]] = {split: {} for split, _ in used}
    for split, dataset in used:
        names = [name for number, name in enumerate(CLASSES) if (split, dataset, number) not in found]
        if names:
            missing[split][dataset] = names
    return {split: by_dataset for split, by_dataset in missing.items() if by_dataset}


def _cells(
    labels: NDArray[np.integer], splits: Sequence[str], datasets: Sequence[str], params: ShardParams
) -> dict[str, dict[str, Indices]]:
    """Return the rows of each cell that has any, by split and cell name."""
    split_array, dataset_array, label_array = np.asarray(splits), np.asarray(datasets), np.asarray(labels)
    cells: dict[str, dict[str, Indices]] = {split: {} for split in sorted(set(splits))}
    for split, of_split in cells.items():
        members = np.flatnonzero(split_array == split)
        for number, name in enumerate(CLASSES):
            rows = members[label_array[members] == number]
            if params.balance_over == "dataset_and_class":
                for dataset in sorted(set(dataset_array[rows])):
                    of_split[f"{dataset}/{name}"] = rows[dataset_array[rows] == dataset]
            elif len(rows):
                of_split[name] = rows
    return cells


def _cap(
    cells: Mapping[str, Indices], datasets: NDArray[np.str_], order: NDArray[np.uint64], params: ShardParams
) -> dict[str, Indices]:
    """Cut each training cell to its quota; datasets share a class's quota evenly, as far as each has rows."""
    if params.balance == "none":
        return dict(cells)
    quota = params.train_per_class
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
    """Share a quota out as evenly as the sizes allow: what one cannot fill goes to the others."""
    shares = [0] * len(sizes)
    waiting = sorted(range(len(sizes)), key=lambda index: (sizes[index], index))
    for done, index in enumerate(waiting):
        # The smallest first: what it leaves is divided among those that have more. Rounding up gives all of it away.
        shares[index] = min(sizes[index], -(-quota // (len(waiting) - done)))
        quota -= shares[index]
    return shares


def _first(rows: Indices, order: NDArray[np.uint64], count: int) -> Indices:
    return rows[np.argsort(order[rows], kind="stable")[:count]]


def _oversample(
    cells: Mapping[str, Indices], order: NDArray[np.uint64], copies: NDArray[np.int64], max_copies: int
) -> None:
    largest = max((len(rows) for rows in cells.values()), default=0)
    for rows in cells.values():
        target = min(largest, len(rows) * max_copies)
        copies[rows] = target // len(rows)
        copies[_first(rows, order, target % len(rows))] += 1
