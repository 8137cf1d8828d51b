"""What people say is one person or one picture stays in one set, and the certificate counts it."""

import json

from pipeline.core.schema import DECIDED_SPLIT
from pipeline.core.tables import read_table, rows_to_table, write_table
from pipeline.split.stage import run as split
from tests.pipeline.split.conftest import sample


def test_decided_pairs_share_a_set_and_a_copy_with_another_label_contradicts(datasets, params, tmp_path):
    datasets.add("d", "both", [sample(f"{n:02d}.png", n % 8) for n in range(80)])
    chain = [(f"d/{n:02d}.png#0", f"d/{n + 1:02d}.png#0") for n in range(30)]
    rows = [{"first": first, "second": second, "kind": "same_person"} for first, second in chain]
    rows += [
        {"first": "d/40.png#0", "second": "d/41.png#0", "kind": "same_picture"},
        {"first": "d/40.png#0", "second": "d/nowhere.png#0", "kind": "same_person"},
    ]
    write_table(tmp_path / "split.parquet", rows_to_table(rows, DECIDED_SPLIT))
    given = params.model_copy(update={"contradictions": "reject"})
    split(
        datasets.aligned, datasets.labels, datasets.roles, tmp_path / "out", given, seed=1, workers=1,
        decided=[tmp_path / "split.parquet"],
    )  # fmt: skip
    found = {row["sample_id"]: row for row in read_table(tmp_path / "out" / "split.parquet").to_pylist()}
    assert len({found[name]["group_id"] for pair in chain for name in pair}) == 1
    certificate = json.loads((tmp_path / "out" / "certificate.json").read_text())
    assert certificate["crossing"]["decided"] == 0
    assert certificate["counts"]["decided"] == 1
    assert not {"d/40.png#0", "d/41.png#0"} & set(found)
    assert certificate["contradictions"]["decided"] == {"pairs": 1, "across_datasets": 0}
