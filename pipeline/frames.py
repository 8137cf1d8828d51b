"""pandas DataFrames for notebooks: of a raw dataset, of the outputs of stages, and of shards.

Stages exchange Arrow tables: importing pandas takes half a second per process, and its NaN turns columns of integers
with gaps into floats. This module is for people. pandas comes with the extra `train`.
"""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import pandas as pd
import pyarrow as pa

from pipeline.core.emotions import CLASSES, NO_CLASS
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
    """A dataset as `read_dataset` returns it.

    Attributes:
        rows: one row per annotated face, with the columns of `schema.SAMPLES`, `label` (one of the eight classes, or
            missing) and `label_probs` (eight numbers in the order of the classes, or missing).
        rejects: one row for each row of the dataset that was rejected or got neither a class nor affect, with the
            columns of `schema.REJECTS`.
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
        fmt: a name that `prep formats` lists, or auto: recognised by its layout.
        columns: for your own csv: role -> name of the column, as under `datasets` in params.yaml; None: usual names.
        classes: the meaning of codes, if the layout does not tell it: code or folder name -> label.
        params: the label policy and the settings of readers; None: params.yaml of the working folder.

    Raises:
        SourceError: the path does not exist, or the layout is unknown.
        DataError: a label is not in the taxonomy, or no row can be used.
        ParamsError: `params` is None, and params.yaml is missing or invalid.
    """
    params = params or read_params(Path("params.yaml"))
    options = DatasetOptions(columns=columns or {}, classes=classes or {})
    # In files, because the stages write files; they are removed before this returns.
    with tempfile.TemporaryDirectory(prefix="prep-") as scratch:
        samples, labels = Path(scratch, "samples"), Path(scratch, "labels")
        ingest(str(src), samples, dataset=Path(src).name.split(".")[0], fmt=fmt, params=params.ingest, options=options)
        harmonize(samples, labels, params.harmonize)
        rows, named = read_frame(samples / SAMPLES_NAME), read_frame(labels / LABELS_NAME)
        rejects = [read_table(folder / REJECTS_NAME, schema=REJECTS) for folder in (samples, labels)]
    # A left join: rows without one of the eight classes stay, with a missing label.
    named = named[["sample_id", "label", "label_probs"]]
    return DatasetFrames(
        rows.merge(named, on="sample_id", how="left", validate="one_to_one"), _frame(pa.concat_tables(rejects))
    )


def read_frame(path: Path | str, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """Read a table that a stage wrote.

    Args:
        path: a Parquet file, or a folder of parts such as data/aligned/mine.
        columns: the columns to read; None: all except encoded pictures.

    Returns:
        The rows in the order of the table. `label` contains names of classes, as a categorical of all eight.

    Raises:
        TableError: there is no table, or it lacks a column.
    """
    table = read_table(Path(path), columns)
    return _frame(table if columns is not None else _without_pictures(table))


def read_shards(
    shards: Path | str, split: str, columns: Sequence[str] | None = None, *, unclassed: bool = False
) -> pd.DataFrame:
    """Read one split of shards.

    Args:
        shards: the folder that `prep shard` wrote, or its storage address.
        split: train, val or test.
        columns: the columns to read; None: all except the pictures. `image` is encoded; `pipeline.images.decode_face`
            decodes its `bytes`.
        unclassed: also read the rows without a class, which have a valence, an arousal or a dominance.

    Returns:
        The rows in the order of the shards. `label` is as `read_frame` returns it.

    Raises:
        TableError: the shards are missing or damaged.
        DataError: there is no such split, or the shards were not written as Parquet.
    """
    folder = open_shards(shards, unclassed=unclassed)
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
        codes = frame["label"].fillna(NO_CLASS).astype(int).to_numpy()
        frame["label"] = pd.Categorical.from_codes(codes, categories=pd.Index(CLASSES))
    return frame
