"""What readers say of values and lists that they had to leave out."""

from pathlib import Path

import pytest

from pipeline.params import read_params
from pipeline.sources import locate, open_tree
from pipeline.sources.rows import Annotation, Dump
from tests.pipeline.sources.trees import put, write_affectnet

OWN = Path(__file__).parents[3] / "params.yaml"


def notes_of(root: Path, fmt: str) -> tuple[list[str], list[Annotation]]:
    tree = open_tree(str(root))
    reader, base, _ = locate(tree, fmt)
    dump = Dump(tree, base, read_params(OWN).ingest, {})
    rows = [row for row in reader.read(dump) if isinstance(row, Annotation)]
    return dump.notes, rows


def test_unusable_values_of_a_csv_are_counted(tmp_path: Path) -> None:
    lines = [
        "path,label,valence,xmin,ymin,xmax,ymax",
        "a.jpg,happy,0.5,0,0,2,2",
        "a.jpg,happy,7.5,,,,",
        "a.jpg,sad,abc,2,0,1,2",
    ]
    put(tmp_path, "x.csv", "\n".join(lines))
    put(tmp_path, "a.jpg")
    notes, rows = notes_of(tmp_path, "csv")
    assert [row.valence for row in rows] == [0.5, None, None]
    assert [row.box is None for row in rows] == [False, True, True]
    said = [note for note in notes if "unusable" in note]
    assert len(said) == 2
    assert "unusable valence" in said[0]
    assert said[0].endswith("in 2 rows in all")
    assert "unusable box" in said[1]
    assert said[1].endswith("in 1 rows in all")


@pytest.mark.parametrize("folder", [True, False])
def test_missing_list_of_affectnet_is_named(tmp_path: Path, folder: bool) -> None:
    write_affectnet(tmp_path)
    lists = tmp_path / "Manually_Annotated_file_lists/training.csv"
    assert not any("no such file" in note for note in notes_of(tmp_path, "affectnet")[0])
    lists.unlink()
    if folder:
        put(lists, "x.txt")
    assert any("training.csv: no such file" in note for note in notes_of(tmp_path, "affectnet")[0])
