"""Tables for notebooks: a raw dataset, the outputs of stages, and shards, as pandas DataFrames.

Stages exchange Arrow tables; this module is for people. pandas comes with the extra `train`.
"""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import pandas as pd
import pyarrow as pa

from pipeline.core.emotions import CLASSES
from pipeline.core.names import LABELS_NAME, REJECTS_NAME, SAMPLES_NAME
from pipeline.core.params import Params
from pipeline.core.params.read import read_params
from pipeline.core.schema import REJECTS
from pipeline.core.tables import read_table
from pipeline.ingest.dataset_options import DatasetOptions
from pipeline.ingest.stage import run as ingest
from pipeline.labels.stage import run as harmonize
from pipeline.shards.read import iter_shards, open_shards

_PICTURE: Final = "image"


class DatasetFrames(NamedTuple):
    """A dataset as it was read.

    Attributes:
        rows: one row per annotated face, with the columns of `schema.SAMPLES`, `label` (one of the eight classes, or
            missing) and `label_probs` (eight numbers in the order of the classes, or missing).
        rejects: one row for each row of the dataset that was rejected or got no class, with the columns of
            `schema.REJECTS`.
    """

    rows: pd.DataFrame
    rejects: pd.DataFrame


def read_dataset(
    src: Path | str,
    fmt: str = "auto",
    *,
    columns: Mapping[str, str] | None = None,
    classes: Mapping[str, str] | None = None,
    params: Params | None = None,
) -> DatasetFrames:
    """Read a raw tree as `prep ingest` and `prep harmonize` do, without writing anything into the project.

    Args:
        src: a folder, an archive or a folder of archives, as the dataset ships.
        fmt: a name of `prep formats`; auto: recognised by its layout.
        columns: for a csv of your own: role -> column, as under `datasets` in params.yaml; None: usual names.
        classes: what codes mean, if the layout does not say: code or folder name -> label.
        params: the label policy and what readers choose; None: params.yaml of the working folder.

    Raises:
        SourceError: nothing is there, or the layout is unknown.
        DataError: a label that the taxonomy does not list, or no row can be used.
        ParamsError: no params were given and params.yaml is not here or not right.
    """
    params = params or read_params(Path("params.yaml"))
    options = DatasetOptions(columns=columns or {}, classes=classes or {})
    with tempfile.TemporaryDirectory(prefix="prep-") as scratch:
        samples, labels = Path(scratch, "samples"), Path(scratch, "labels")
        ingest(str(src), samples, dataset=Path(src).name.split(".")[0], fmt=fmt, params=params.ingest, options=options)
        harmonize(samples, labels, params.harmonize)
        rows, named = read_frame(samples / SAMPLES_NAME), read_frame(labels / LABELS_NAME)
        rejects = [read_table(folder / REJECTS_NAME, schema=REJECTS) for folder in (samples, labels)]
    named = named[["sample_id", "label", "label_probs"]]
    return DatasetFrames(
        rows.merge(named, on="sample_id", how="left", validate="one_to_one"), _frame(pa.concat_tables(rejects))
    )


def read_frame(path: Path | str, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """Read what a stage wrote: one Parquet file, or the parts of a folder.

    Args:
        path: the file or folder, such as data/aligned/mine.
        columns: only these; None: all but encoded pictures.

    Returns:
        The rows in order. `label` holds the names of classes, as a categorical of all eight.

    Raises:
        TableError: there is no table, or a column is missing.
    """
    table = read_table(Path(path), columns)
    return _frame(table if columns is not None else _without_pictures(table))


def read_shards(shards: Path | str, split: str, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """Read one split of some shards.

    Args:
        shards: the folder that `prep shard` wrote, or a storage address of it.
        split: train, val or test.
        columns: only these; None: all but the pictures. `image` is encoded: `pipeline.images.decode_face` decodes
            its `bytes`.

    Raises:
        TableError: the shards are missing or torn.
        DataError: there is no such split.
    """
    folder = open_shards(shards)
    wanted = None if columns is None else list(columns)
    groups = [_without_pictures(group, wanted) for group in iter_shards(folder, split, wanted)]
    return _frame(pa.concat_tables(groups)) if groups else pd.DataFrame(columns=wanted)


def _without_pictures(table: pa.Table, wanted: Sequence[str] | None = None) -> pa.Table:
    left_out = wanted is None and _PICTURE in table.column_names
    return table.drop_columns([_PICTURE]) if left_out else table


def _frame(table: pa.Table) -> pd.DataFrame:
    """Return an Arrow table as a DataFrame, with class names instead of numbers."""
    frame: pd.DataFrame = table.to_pandas()
    if "label" in frame:
        frame["label"] = pd.Categorical.from_codes(frame["label"].to_numpy(), categories=pd.Index(CLASSES))
    return frame
