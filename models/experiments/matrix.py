"""The cross-dataset matrix: every dataset that trains against every one that tests, and all but one against that one.

All cells of a column are of the same test rows, because the split does not depend on who trains. A cell is scored on
the classes that have training rows of its row and test rows of its column, with the answer chosen among these, as
`shared_classes` of details.json. Cells of different numbers of classes cannot be compared.
"""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from models.experiments.heat_map import draw_matrix
from models.experiments.made_of import made_now
from models.experiments.runs import Done, Say, find_done, plan_experiment, run_missing
from models.experiments.written import say_interval, write_json, write_text
from pipeline.core.errors import DataError, UsageError
from pipeline.core.folders import EVALUATE
from pipeline.core.names import DETAILS_NAME
from pipeline.core.params import Params

OTHERS: Final = "all others"
SCORES: Final = ("balanced_accuracy", "accuracy")
_JSON_NAME: Final = "matrix.json"
_PAGE_NAME: Final = "matrix.md"
_TABLE_NAME: Final = "matrix.csv"
_PICTURE_NAME: Final = "matrix.png"
_FEWEST_FOR_OTHERS: Final = 2


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell before it is measured: the name of its row, the dataset that is tested, and those that train."""

    row: str
    tested: str
    train_on: tuple[str, ...]


def run(out: Path, overrides: Sequence[str], *, start: bool, say: Say) -> dict[str, Any]:
    """Run the experiments that are missing, and write the matrix as JSON, Markdown, CSV and a picture.

    Args:
        out: the folder for matrix.json, matrix.md, matrix.csv and matrix.png.
        overrides: `KEY=VALUE` for all experiments, as for `dvc exp run -S`.
        start: whether what is missing is run; if not, the matrix has gaps.
        say: called with lines about the progress.

    Returns:
        The content of matrix.json: the datasets that train and test, one entry for each cell, and the experiments that
        are missing, with the reason if they failed.

    Raises:
        UsageError: no dataset trains or none is tested, an override cannot be read, or networks answer no classes.
        ParamsError: values that params.yaml may not have.
        DataError: nothing is measured, or DVC's cache lost the results of an experiment.
    """
    params = made_now(overrides).params
    cells = list_cells(params)
    planned = {
        train_on: plan_experiment(f"matrix-{label_of(train_on, params)}", [*overrides, _override(train_on)])
        for train_on in dict.fromkeys(cell.train_on for cell in cells)
    }
    failed = run_missing(list(planned.values()), say) if start else {}
    done = {train_on: found for train_on, one in planned.items() if (found := find_done(one)) is not None}
    details = {train_on: one.read_json(f"{EVALUATE}/{DETAILS_NAME}") for train_on, one in done.items()}
    if values := [done[key].name for key, one in details.items() if "per_class" not in one]:
        raise UsageError(f"train.task: {values[0]} answers no face with a class, and the matrix is of classes")
    entries = [_entry(cell, done.get(cell.train_on), details.get(cell.train_on)) for cell in cells]
    missing = {planned[key].name: failed.get(planned[key].name) for key in planned if key not in done}
    if not done:
        raise DataError("; ".join(f"{name}: {why or 'not run yet'}" for name, why in missing.items()))
    result = {
        "rows": list(dict.fromkeys(cell.row for cell in cells)),
        "columns": list(dict.fromkeys(cell.tested for cell in cells)),
        "overrides": list(overrides),
        "cells": entries,
        "missing": missing,
    }
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / _JSON_NAME, result)
    write_text(out / _PAGE_NAME, build_page(result))
    write_text(out / _TABLE_NAME, build_csv(result))
    draw_matrix(out / _PICTURE_NAME, result)
    return result


def list_cells(params: Params) -> list[Cell]:
    """Return the cells, row by row: each dataset that trains, and all of them but the tested one.

    Raises:
        UsageError: no dataset trains, or none is tested.
    """
    trained = params.trained()
    tested = [name for name, dataset in params.datasets.items() if dataset.role != "train"]
    if not trained or not tested:
        raise UsageError(
            "no dataset has the role both, or train and test; -S datasets.NAME.role=both changes one's role"
        )
    cells = [Cell(row, column, (row,)) for row in trained for column in tested]
    if len(trained) >= _FEWEST_FOR_OTHERS:
        others = {column: tuple(sorted(name for name in trained if name != column)) for column in tested}
        cells += [Cell(OTHERS, column, others[column]) for column in tested]
    return cells


def label_of(train_on: Sequence[str], params: Params) -> str:
    """Return a short name for some of the datasets that train: themselves, or which one of all is left out."""
    left = [name for name in params.trained() if name not in train_on]
    if len(train_on) > 1 and len(left) <= 1:
        return f"all-but-{left[0]}" if left else "all"
    return "-".join(train_on)


def _override(train_on: Sequence[str]) -> str:
    return f"shard.train_on=[{','.join(train_on)}]"


def _entry(cell: Cell, done: Done | None, details: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the cell with its scores; without them if it is not measured, or no class is on both sides."""
    entry: dict[str, Any] = {"row": cell.row, "tested": cell.tested, "train_on": list(cell.train_on)}
    if done is None or details is None:
        return entry
    of_dataset = details.get("per_dataset", {}).get(cell.tested, {})
    entry |= {"experiment": done.name, "commit": done.commit}
    shared = of_dataset.get("shared_classes")
    if shared is None:
        return entry | {"rows": 0, "classes": []}
    missed = of_dataset["all_rows"]["rows"] - of_dataset["rows"]
    return entry | {
        "rows": shared["rows"],
        "people": shared["people"],
        "classes": list(shared["per_class"]),
        "other_classes": of_dataset["rows"] - shared["rows"],
        "missed": missed,
        **{name: shared[name] for name in SCORES},
    }


def build_page(result: Mapping[str, Any]) -> str:
    """Return the matrix as Markdown: one table for each score, and what is missing."""
    parts = [
        "Rows train, columns are tested. A cell is a score with its 95% interval over people, the rows tested, and the "
        "number of classes that have training rows of the row and test rows of the column. Faces that were not found "
        "and rows of other classes are not in it; matrix.json counts them.\n"
    ]
    parts += [f"## {score.replace('_', ' ').capitalize()}\n\n{_table(result, score)}" for score in SCORES]
    if result["missing"]:
        gaps = [f"- `{name}`: {why or 'not run yet'}\n" for name, why in result["missing"].items()]
        parts.append(f"## Not measured\n\n{''.join(gaps)}")
    return "\n".join(parts)


def _table(result: Mapping[str, Any], score: str) -> str:
    cells = {(cell["row"], cell["tested"]): cell for cell in result["cells"]}
    lines = [f"| trained on | {' | '.join(result['columns'])} |", "|---" * (len(result["columns"]) + 1) + "|"]
    for row in result["rows"]:
        said = [say_cell(cells[row, name], score) for name in result["columns"]]
        lines += [f"| {row} | {' | '.join(said)} |"]
    return "\n".join(lines) + "\n"


def say_cell(cell: Mapping[str, Any], score: str) -> str:
    """Return a cell in one line, such as `0.512 (0.44 to 0.58), n 183, 7 classes`; `-` if it is not measured."""
    found = cell.get(score)
    if found is None:
        return "no class in common" if cell.get("classes") == [] else "-"
    return f"{say_interval(found)}, n {cell['rows']}, {len(cell['classes'])} classes"


def build_csv(result: Mapping[str, Any]) -> str:
    """Return one line for each cell, measured or not."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    ends = [f"{score}{end}" for score in SCORES for end in ("", "_low", "_high")]
    writer.writerow(["row", "train_on", "tested", "rows", "people", "missed", "classes", *ends, "experiment", "commit"])
    for cell in result["cells"]:
        known = [cell.get(name, "") for name in ("rows", "people", "missed")]
        scores = [value for score in SCORES for value in _ends(cell.get(score))]
        named = [" ".join(cell.get("classes", ())), *scores, cell.get("experiment", ""), cell.get("commit", "")]
        writer.writerow([cell["row"], " ".join(cell["train_on"]), cell["tested"], *known, *named])
    return text.getvalue()


def _ends(found: Mapping[str, float | None] | None) -> Iterator[float | str]:
    for name in ("value", "low", "high"):
        value = found[name] if found else None
        yield "" if value is None else value
