"""Published figures beside ours: like with like, or not at all."""

from pathlib import Path

import pytest

from models.evaluation.published import COLUMNS, beside, read_published
from models.registry import list_models
from pipeline.core.errors import UsageError

ROOT = Path(__file__).parents[3]
HEADER = ",".join(COLUMNS) + "\n"


def measured(model, augment, accuracy):
    block = {"accuracy": accuracy, "balanced_accuracy": 0.11, "macro_f1": 0.22, "loss": 1.5, "rows": 48}
    return {"network": {"model": model, "augment": augment}, "per_dataset": {"ckplus": block}}


def write(folder, *rows):
    path = folder / "published.csv"
    path.write_text(HEADER + "".join(row + "\n" for row in rows))
    return path


def cells_of(page):
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in page.splitlines()[2:]]


def test_each_metric_stands_beside_the_same_metric(tmp_path):
    rows = [f"thesis,own,vgg19,,ckplus,{metric},0.375,,p" for metric in ("accuracy", "balanced_accuracy", "f1", "loss")]
    page = beside(read_published(write(tmp_path, *rows)), [measured("vgg19", "none", 0.33)])
    ours = ["0.330 on 48 faces", "0.110 on 48 faces", "0.220 on 48 faces", "1.500 on 48 faces"]
    assert [cells[5] for cells in cells_of(page)] == ours
    assert [cells[4] for cells in cells_of(page)] == ["0.375"] * 4


def test_the_newest_experiment_of_the_same_network_and_augmentation_counts(tmp_path):
    rows = [
        "thesis,own,vgg19,,ckplus,accuracy,0.4,0.5,any",
        "thesis,own,vgg19,thesis,ckplus,accuracy,0.4,,p",
        "thesis,own,vgg19,strong,ckplus,accuracy,0.4,,p",
        "thesis,own,vgg19,,rafdb,accuracy,0.4,,not tested there",
        "survey,theirs,,,ckplus,accuracy,0.4,,no network of ours",
    ]
    runs = [measured("vgg16", "none", 0.9), measured("vgg19", "none", 0.3), measured("vgg19", "thesis", 0.2)]
    found = cells_of(beside(read_published(write(tmp_path, *rows)), runs))
    assert [cells[5] for cells in found] == ["0.300 on 48 faces", "0.200 on 48 faces", "-", "-", "-"]
    assert found[0][4] == "0.400 to 0.500"


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("thesis,own,vgg19,,ckplus,accuracy,high,,p", "row 2: value and up_to are numbers"),
        ("thesis,own,vgg19,,ckplus,auc,0.4,,p", "row 2: metric 'auc' is not one of accuracy,"),
        ("thesis,own,vgg19,,ckplus,accuracy,0.4", "row 2: expected the columns source,system"),
        ("thesis,own,vgg19,,ckplus,accuracy,0.4,,p,more", "row 2: expected the columns source,system"),
    ],
)
def test_a_row_that_cannot_be_read_is_named(tmp_path, row, said):
    with pytest.raises(UsageError, match=said):
        read_published(write(tmp_path, row))


def test_a_file_that_is_missing_or_no_text_is_named(tmp_path):
    with pytest.raises(UsageError, match=r"none\.csv: cannot be read: No such file"):
        read_published(tmp_path / "none.csv")
    (tmp_path / "b.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match=r"b\.csv: cannot be read"):
        read_published(tmp_path / "b.csv")


def test_the_figures_of_the_thesis_are_shares_and_name_networks_that_there_are():
    figures = read_published(ROOT / "benchmarks/thesis.csv")
    assert {figure.source for figure in figures} == {"thesis", "survey"}
    assert {figure.model for figure in figures} <= {"", *(entry.name for entry in list_models())}
    assert all(0 < figure.value <= 1 for figure in figures if figure.metric != "loss")
