import csv
import json
import shutil
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from sklearn import metrics as oracle

from models.checkpoint import load_checkpoint, read_info
from models.core.heads import heads_of
from models.evaluation.held_out import HeldOut, read_held_out, tie_rows
from models.evaluation.stage import find_permutations
from models.evaluation.stage import run as evaluate
from models.inference.model_card import build_model_card
from pipeline.core.emotions import CLASSES
from pipeline.core.errors import ModelError, UsageError
from pipeline.core.lineage.snapshot import read_snapshot
from pipeline.core.lineage.walk import walk
from pipeline.core.schema import PREDICTIONS, SPLIT
from pipeline.core.tables import write_table
from pipeline.images import decode_face
from pipeline.report.network import error_cells
from pipeline.shards.read import open_shards
from pipeline.shards.stage import run as write_shards
from tests.run_inputs import evaluate_params, make_checkpoint, make_run, make_shards
from tests.shard_inputs import make_inputs, shard_params, write_selected

PARAMS = evaluate_params()


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    return make_shards(tmp_path_factory.mktemp("evaluate"))


@pytest.fixture(scope="module")
def run(shards):
    return make_run(shards, shards.parent / "run")


@pytest.fixture(scope="module")
def result(shards, run):
    out = shards.parent / "result"
    evaluate(shards, run, out, PARAMS, seed=3)
    return out


def read(path):
    return json.loads(path.read_text())


def test_predictions_are_the_networks_own(result, shards, run):
    table = pq.read_table(result / "predictions.parquet")
    assert table.schema.equals(PREDICTIONS)
    rows = table.to_pylist()
    assert [row["sample_id"] for row in rows] == sorted(row["sample_id"] for row in rows)
    shard = pq.read_table(shards / "parquet").to_pylist()
    pictures = {row["sample_id"]: decode_face(row["image"]["bytes"]) for row in shard}
    checkpoint = load_checkpoint(run)
    for row in rows[::7]:
        pixels = pictures[row["sample_id"]]
        pixels = pixels if pixels.ndim == 3 else np.stack([pixels] * 3, axis=2)
        expected = checkpoint.predict(pixels[None])[0]
        np.testing.assert_allclose(row["probabilities"], expected, atol=1e-6)
        assert row["predicted"] == expected.argmax()


def test_metrics_are_those_of_the_predictions(result):
    rows = pq.read_table(result / "predictions.parquet").to_pandas()
    metrics, details = read(result / "metrics.json"), read(result / "details.json")
    parts = {"": rows} | dict(list(rows.groupby("dataset")))
    assert set(metrics["per_dataset"]) == set(parts) - {""}
    for name, part in parts.items():
        found = metrics["per_dataset"][name] if name else metrics
        detail = details["per_dataset"][name] if name else details
        assert found["accuracy"] == pytest.approx(oracle.accuracy_score(part.label, part.predicted), abs=1e-6)
        f1 = oracle.f1_score(part.label, part.predicted, average=None, labels=range(8), zero_division=0)
        assert [detail["per_class"][c]["f1"]["value"] for c in CLASSES] == pytest.approx(f1.tolist(), abs=1e-6)
        macro = oracle.f1_score(part.label, part.predicted, average="macro", zero_division=0)
        assert found["macro_f1"] == pytest.approx(macro, abs=1e-6)
        loss = oracle.log_loss(part.label, np.stack(part.probabilities), labels=range(8))
        assert found["loss"] == detail["loss"]["value"] == pytest.approx(loss, abs=1e-5)
        weighted = oracle.f1_score(part.label, part.predicted, average="weighted", zero_division=0)
        assert found["weighted_f1"] == pytest.approx(weighted, abs=1e-6)
        for score in ("accuracy", "balanced_accuracy", "macro_f1", "weighted_f1", "ece"):
            assert detail[score]["low"] <= detail[score]["value"] <= detail[score]["high"]
        common = part.label.value_counts(normalize=True).max()
        assert detail["majority_class"]["accuracy"] == pytest.approx(common, abs=1e-6)
    assert metrics["majority_class"]["accuracy"] == details["majority_class"]["accuracy"]


AFFECTNET = (6, 7, 5, 4, 1, 0, 2, 3)


def leaves(value):
    return sum(map(leaves, value.values())) if isinstance(value, dict) else 1


def test_metrics_are_short_enough_to_be_read_and_say_what_details_say(result):
    metrics, details = read(result / "metrics.json"), read(result / "details.json")
    groups = [group for values in metrics["groups"].values() for group in values.values()]
    assert {leaves(group) for group in groups} == {5}
    assert leaves(metrics) < 85 + 5 * len(groups)
    blocks = [(metrics, details), *((metrics["per_dataset"][name], details["per_dataset"][name]) for name in ("one",))]
    for short, long in blocks:
        for score in ("accuracy", "balanced_accuracy", "macro_f1", "weighted_f1"):
            assert short[score] == long[score]["value"]
            assert short["all_rows"][score] == long["all_rows"][score]["value"]
        ends = {end: long["balanced_accuracy"][end] for end in ("low", "high")}
        assert short["interval"] == {"balanced_accuracy": ends}
    # Mollahosseini et al. 2019: neutral, happy, sad, surprise, fear, disgust, anger, contempt, from 0 on.
    assert details["affectnet_numbers"] == dict(zip(CLASSES, AFFECTNET, strict=True))
    # Numbers that are no scores would be compared by `dvc metrics diff`; classes have names there.
    assert "affectnet_numbers" not in metrics
    assert set(metrics["per_class"]) == set(CLASSES)
    for name in CLASSES:
        assert metrics["per_class"][name] == {"f1": details["per_class"][name]["f1"]["value"]}


def test_probabilities_are_tempered_and_the_error_without_is_told(shards, tmp_path):
    info = read_info(make_run(shards, tmp_path / "plain"))
    for name, heat in (("plain", 1.0), ("hot", 4.0)):
        make_checkpoint(tmp_path / name, dict(info.contract), shards=info.shards, temperature=heat)
        if name == "hot":
            shutil.copy(tmp_path / "plain/snapshot.json", tmp_path / name)
        evaluate(shards, tmp_path / name, tmp_path / f"{name}-out", PARAMS, seed=3)
    plain, hot = (read(tmp_path / f"{name}-out/metrics.json") for name in ("plain", "hot"))
    assert plain["ece_raw"] == plain["ece"] == hot["ece_raw"] != hot["ece"]
    assert hot["accuracy"] == plain["accuracy"]
    assert hot["loss"] < plain["loss"]  # an untrained network is far too sure
    rows = pq.read_table(tmp_path / "plain-out/predictions.parquet")["probabilities"].to_pylist()
    cool = np.log(np.maximum(np.array(rows), 1e-30)) / 4
    expected = np.exp(cool) / np.exp(cool).sum(1, keepdims=True)
    found = pq.read_table(tmp_path / "hot-out/predictions.parquet")["probabilities"].to_pylist()
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert read(tmp_path / "hot-out/details.json")["calibration"]["temperature"] == 4


def test_metrics_hold_no_list(result):
    """`dvc metrics diff` cannot compare them."""

    def check(value):
        assert not isinstance(value, list)
        for inner in value.values() if isinstance(value, dict) else ():
            check(inner)

    check(read(result / "metrics.json"))


def test_a_face_that_was_not_found_counts_as_wrong_in_all_rows(result, shards):
    missing = pq.read_table(shards / "missing_faces.parquet").to_pandas()
    missing = missing[missing.split == "test"]
    assert len(missing) > 0
    metrics = read(result / "metrics.json")
    answered = metrics["rows"]
    assert metrics["all_rows"]["rows"] == answered + len(missing)
    expected = metrics["accuracy"] * answered / (answered + len(missing))
    assert metrics["all_rows"]["accuracy"] == pytest.approx(expected, abs=1e-5)
    summary = read(result / "summary.json")
    assert summary["rejected"] == {"no_face": len(missing)}
    assert summary["rows_in"] == answered + len(missing)


def test_people_are_drawn_not_rows(result, shards):
    table = pq.read_table(shards / "parquet", columns=["sample_id", "dataset", "subject_id"]).to_pandas()
    answered = pq.read_table(result / "predictions.parquet").to_pandas().sample_id
    table = table[table.sample_id.isin(answered)]
    one = table[table.dataset == "one"]
    found = read(result / "details.json")["per_dataset"]
    assert found["one"]["people"] == one.subject_id.nunique()
    assert found["two"]["people"] == found["two"]["rows"]


def test_a_person_with_and_without_a_face_is_one_person(tmp_path):
    """Else the interval of all rows is too narrow: what was not found would be drawn as people of their own."""
    inputs = make_inputs(tmp_path, rows=150)
    part = inputs.labels["one"] / "labels.parquet"
    table = pq.read_table(part)
    people = pa.array([f"s{inputs.rows[key]['n'] // 50}" for key in table["sample_id"].to_pylist()])
    place = table.schema.get_field_index("subject_id")
    write_table(part, table.set_column(place, table.schema.field(place), people))
    tested = [row["sample_id"] for row in inputs.rows.values() if row["dataset"] == "one" and row["split"] == "test"]
    ids = pq.read_table(inputs.selected["one"] / "selected.parquet")["sample_id"].to_pylist()
    write_selected(inputs.selected["one"], [key for key in ids if key not in tested[:2]])
    write_shards(
        *inputs.tables,
        tmp_path / "shards",
        shard_params(),
        seed=1,
        workers=1,
    )
    evaluate(tmp_path / "shards", make_run(tmp_path / "shards", tmp_path / "run"), tmp_path / "out", PARAMS, seed=3)
    one = read(tmp_path / "out/details.json")["per_dataset"]["one"]
    assert one["all_rows"]["rows"] > one["rows"]
    assert one["all_rows"]["people"] == one["people"] == 3


def test_the_confusion_plot_has_one_row_a_sample(result):
    with (result / "confusion.csv").open() as stream:
        pairs = [(row["actual"], row["predicted"]) for row in csv.DictReader(stream)]
    rows = pq.read_table(result / "predictions.parquet").to_pylist()
    assert sorted(pairs) == sorted((CLASSES[row["label"]], CLASSES[row["predicted"]]) for row in rows)


def test_metrics_name_the_snapshots_and_the_way_back(result, shards, run):
    metrics = read(result / "metrics.json")
    told = {"model": "proposed", "size_px": 32, "augment": "none", "pretrained": False, "validated_on": "val"}
    assert metrics["network"] == told
    assert metrics["snapshot"]["shards"] == metrics["snapshot"]["trained_on"] == read_snapshot(shards).id
    assert metrics["snapshot"]["run"] == read_snapshot(run).id
    ran = {"device": "cpu", "precision": "fp32", "tf32": False, "processes": 1}
    assert metrics["device"] == {"train": {}, "evaluate": ran}  # this run's snapshot does not say
    assert read_snapshot(result).ran == ran
    assert metrics["data"] == {}  # the faces here were made by the test, from no raw tree
    assert {node.stage for node in walk(result / "metrics.json").inputs} == {"shard", "train"}
    assert read_snapshot(result).contract["align"]["size_px"] == 48


@pytest.mark.parametrize("name", ["classes", "mistakes"])
def test_saliency_pictures_are_there_and_not_blank(result, name):
    with Image.open(result / "saliency" / f"{name}.png") as picture:
        assert picture.mode == "RGB"
        assert np.asarray(picture).std() > 20
        assert not picture.info


def test_again_it_is_the_same_bytes_whatever_the_threads(result, shards, run):
    before = {path.name: path.read_bytes() for path in sorted(result.rglob("*")) if path.is_file()}
    threads = torch.get_num_threads()
    torch.set_num_threads(3)
    evaluate(shards, run, shards.parent / "again", PARAMS, seed=3)
    assert torch.get_num_threads() == 3
    torch.set_num_threads(threads)
    after = {path.name: path.read_bytes() for path in sorted((shards.parent / "again").rglob("*")) if path.is_file()}
    assert after == before


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"align": {"size_px": 96, "template": "t", "margin": 0.25, "border": "constant"}}, "align.size_px = 96"),
        ({"equalize": {"method": "none"}}, 'equalize.method = "none"'),
        ({"classes": sorted(CLASSES, reverse=True)}, "classes = "),
    ],
)
def test_a_network_of_another_preprocessing_is_refused(shards, run, tmp_path, change, said):
    contract = dict(load_checkpoint(run).contract) | change
    other = make_run(shards, tmp_path / "other", contract=contract)
    with pytest.raises(ModelError, match="trained on") as error:
        evaluate(shards, other, tmp_path / "out", PARAMS, seed=3)
    assert said in str(error.value)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "out").exists()


def test_a_network_of_another_class_order_is_refused(shards, tmp_path):
    other = make_run(shards, tmp_path / "other", classes=tuple(reversed(CLASSES)))
    with pytest.raises(ModelError, match="they must be anger, contempt"):
        evaluate(shards, other, tmp_path / "out", PARAMS, seed=3)


def test_a_network_of_valence_beside_one_of_classes_is_named(shards, run, tmp_path):
    other = make_run(shards, tmp_path / "other", classes=("valence",), task="valence")
    with pytest.raises(UsageError, match=rf"^--beside: compares networks of classes; {tmp_path}/other answers valence"):
        evaluate(shards, run, tmp_path / "out", PARAMS, seed=3, others={"other": other})


def test_a_network_that_was_validated_on_the_test_set_says_so(shards, tmp_path):
    seen = make_run(shards, tmp_path / "run", validate_on="test")
    summary = evaluate(shards, seen, tmp_path / "out", PARAMS, seed=3)
    assert "flatter" in summary["warnings"]["validated on the test set"]
    assert read(tmp_path / "out/metrics.json")["network"]["validated_on"] == "test"
    card = build_model_card(load_checkpoint(seen), seen, "model.onnx", tmp_path / "out")
    assert "validated on this test set" in card


def test_labels_in_another_order_are_reported(shards, run):
    label = np.repeat(np.arange(8), 40)
    swapped = np.array([0, 1, 3, 2, 4, 5, 6, 7])[label]
    rows = HeldOut(
        [str(n) for n in range(320)],
        ["d"] * 320,
        label,
        np.zeros(320, int),
        None,
        np.zeros(0, int),
        np.ones(len(label), bool),
    )
    found = find_permutations(rows, np.eye(8, dtype=np.float32)[swapped])["d"]
    assert set(found.swapped) == {"disgust", "fear"}
    assert find_permutations(rows, np.eye(8, dtype=np.float32)[label]) == {}


def test_a_class_that_was_never_trained_does_not_look_swapped_with_one_that_is_not_there():
    """CK+48 has contempt and no neutral; a network that learned no contempt calls those faces neutral."""
    label = np.repeat([0, 1, 2, 3, 4, 6, 7], 40)
    rows = HeldOut(
        [str(n) for n in range(280)],
        ["d"] * 280,
        label,
        np.zeros(280, int),
        None,
        np.zeros(0, int),
        np.ones(len(label), bool),
    )
    said = np.eye(8, dtype=np.float32)
    trained = set(range(8)) - {1}
    assert find_permutations(rows, said[np.where(label == 1, 5, label)], trained) == {}
    planted = np.array([0, 5, 3, 2, 4, 5, 6, 7])[label]
    assert set(find_permutations(rows, said[planted], trained)["d"].swapped) == {"disgust", "fear"}


def test_rows_are_tied_by_person_and_by_group_of_the_split():
    columns = [["a", "b", "c", "d", "e", "f"], ["x", "x", "x", "y", "y", "x"], ["1", "1", None, "1", None, None]]
    rows = pa.table(columns, ["sample_id", "dataset", "subject_id"])
    groups = {"a": "g", "b": "h", "c": "h", "d": "i", "e": "j", "f": None}
    assert tie_rows(rows, groups).tolist() == [0, 0, 0, 1, 2, 3]


def test_groups_of_the_split_are_drawn_together(tmp_path):
    """Near-duplicates and sequences without a name are no more independent than the faces of one person."""
    inputs = make_inputs(tmp_path, rows=150)
    table = pq.read_table(inputs.split / "split.parquet").to_pylist()
    entries = [row | {"group_id": f"{row['split']}{n % 4}"} for n, row in enumerate(table)]
    write_table(inputs.split / "split.parquet", pa.Table.from_pylist(entries, SPLIT))
    write_shards(
        *inputs.tables,
        tmp_path / "shards",
        shard_params(),
        seed=1,
        workers=1,
    )
    evaluate(tmp_path / "shards", make_run(tmp_path / "shards", tmp_path / "run"), tmp_path / "out", PARAMS, seed=3)
    two = read(tmp_path / "out/details.json")["per_dataset"]["two"]
    assert two["people"] == two["all_rows"]["people"] == 4
    said = read(tmp_path / "out/summary.json")["warnings"]["two, intervals"]
    assert said == "two: its intervals are of 4 people or groups, and rough"


def test_faces_of_ckplus_are_shown_only_of_who_agreed(shards):
    """By the taxonomy that its labels were read with, whatever the dataset is called: none of s0 to s29 agreed."""
    folder = open_shards(shards)
    assert read_held_out(folder, shards).shown.all()
    named = {"one": {"name": "ckplus"}, "two": {"name": "affectnet"}}
    rows = read_held_out(replace(folder, contract={**folder.contract, "taxonomy": named}), shards)
    assert rows.shown.tolist() == [name == "two" for name in rows.dataset]
    assert not rows.shown.all()


def test_no_checkpoint_is_one_line(shards, tmp_path):
    (tmp_path / "run").mkdir()
    with pytest.raises(ModelError, match=r"model\.safetensors: cannot be read"):
        evaluate(shards, tmp_path / "run", tmp_path / "out", PARAMS, seed=3)


def test_other_networks_stand_beside_it(shards, run, tmp_path):
    other = make_run(shards, tmp_path / "other", seed=2)
    evaluate(shards, run, tmp_path / "out", PARAMS, seed=3, others={"other": other, "same": run})
    evaluate(shards, other, tmp_path / "alone", PARAMS, seed=3)
    metrics, alone = read(tmp_path / "out" / "metrics.json"), read(tmp_path / "alone" / "metrics.json")
    block = metrics["beside"]["other"]
    ends = read(tmp_path / "out" / "details.json")["beside"]["other"]["better_by"]["accuracy"]
    assert block["better_by_interval"]["accuracy"] == {end: ends[end] for end in ("low", "high")}
    assert metrics["seeds"]["bootstrap"] == 3
    assert block["accuracy"] == alone["accuracy"]
    assert block["better_by"]["accuracy"] == pytest.approx(metrics["accuracy"] - alone["accuracy"], abs=2e-6)
    beside = read(tmp_path / "out" / "details.json")["beside"]
    assert beside["other"]["per_dataset"]["one"]["macro_f1"]["value"] == alone["per_dataset"]["one"]["macro_f1"]
    assert beside["same"]["better_by"]["macro_f1"] == {"value": 0, "low": 0, "high": 0}


@pytest.fixture(scope="module")
def affects(shards):
    """An untrained network of valence and arousal, evaluated."""
    names = ("valence", "arousal")
    run = make_run(shards, shards.parent / "affect", classes=names, task="affect")
    evaluate(shards, run, shards.parent / "affects", PARAMS, seed=3)
    return shards.parent / "affects"


def test_values_are_measured_where_they_are_given(affects, shards):
    assert pq.read_table(affects / "predictions.parquet").num_rows == 0  # it answers no class
    table = pq.read_table(affects / "affect_predictions.parquet").to_pandas()
    files = sorted((shards / "parquet").glob("test-*"))
    given = pq.read_table(files, columns=["sample_id", "valence", "arousal"]).to_pandas().sort_values("sample_id")
    assert table.sample_id.tolist() == given.sample_id.tolist()
    metrics = read(affects / "metrics.json")
    for name in ("valence", "arousal"):
        rows = table[table[name].notna()]
        assert rows[name].tolist() == given[name].dropna().tolist()
        assert set(rows.dataset) == {"one"}
        true, answer = rows[name].astype(float), rows[f"predicted_{name}"].astype(float)
        assert metrics["per_dataset"]["one"][name] == metrics[name]
        assert name not in metrics["per_dataset"]["two"]
        assert metrics[name]["rows"] == len(rows)
        assert metrics[name]["rmse"] == pytest.approx(oracle.root_mean_squared_error(true, answer), abs=1e-6)
        signed = true != 0
        agreement = oracle.accuracy_score(true[signed] > 0, answer[signed] > 0)
        assert metrics[name]["sign_agreement"] == pytest.approx(agreement, abs=1e-6)
        spread = true.var(ddof=0) + answer.var(ddof=0) + (true.mean() - answer.mean()) ** 2
        assert metrics[name]["ccc"] == pytest.approx(2 * true.cov(answer, ddof=0) / spread, abs=1e-6)
    assert metrics["snapshot"]["shards"] == read_snapshot(shards).id


def test_values_come_with_signs_and_saliency(affects):
    with (affects / "confusion.csv").open() as stream:
        pairs = [(row["actual"], row["predicted"]) for row in csv.DictReader(stream)]
    agree = [actual == answered for actual, answered in pairs if actual.startswith("arousal")]
    assert np.mean(agree) == pytest.approx(read(affects / "metrics.json")["arousal"]["sign_agreement"], abs=1e-6)
    for name in ("classes", "mistakes"):
        with Image.open(affects / "saliency" / f"{name}.png") as picture:
            assert np.asarray(picture).std() > 20


def test_both_heads_are_measured_and_rows_without_a_class_count_for_values(tmp_path):
    inputs = make_inputs(tmp_path, rows=80, unclassed=20)
    shards = tmp_path / "shards"
    write_shards(*inputs.tables, shards, shard_params(), seed=1, workers=1)
    runs = {}
    for task in ("emotion", "affect", "all"):
        outputs = heads_of(task, ("valence", "arousal")).outputs
        run = make_run(shards, tmp_path / f"run-{task}", classes=outputs, task=task)
        runs[task] = evaluate(shards, run, tmp_path / task, PARAMS, seed=3), read(tmp_path / task / "metrics.json")
    tested = [row for row in inputs.rows.values() if row["split"] == "test" and row["n"] % 25 != 7]
    classed = [row for row in tested if row["label"] is not None]
    assert len(classed) < len(tested)
    summary, metrics = runs["all"]
    assert (summary["rows_out"], metrics["rows"]) == (len(tested), len(classed))
    assert metrics["valence"]["rows"] == sum(row["valence"] is not None for row in tested)
    assert {"low", "high"} == metrics["interval"]["mean_ccc"].keys() == metrics["valence"]["interval"]["pearson"].keys()
    assert metrics["mean_ccc"] == pytest.approx((metrics["valence"]["ccc"] + metrics["arousal"]["ccc"]) / 2, abs=1e-6)
    assert runs["emotion"][0]["rows_out"] == len(classed)
    assert runs["affect"][1]["valence"].keys() == metrics["valence"].keys()
    assert pq.read_table(tmp_path / "all/predictions.parquet").num_rows == len(classed)
    assert pq.read_table(tmp_path / "all/affect_predictions.parquet").num_rows == len(tested)
    assert sorted(path.name for path in (tmp_path / "emotion/affect").iterdir()) == []
    with Image.open(tmp_path / "all/affect/circumplex.png") as picture:
        assert np.asarray(picture).std() > 20


def test_arrows_lead_from_the_mean_annotation_to_the_mean_answer():
    true = np.array([[0.1, 0.1], [0.15, 0.05], [-0.9, 0.3], [0.1, np.nan]], np.float32)
    answers = np.array([[0.5, 0.1], [0.3, 0.3], [-0.7, -0.1], [1, 1]], np.float32)
    found = error_cells(true, answers)
    assert found == pytest.approx(np.array([[-0.9, 0.3, -0.7, -0.1, 1], [0.125, 0.075, 0.4, 0.2, 2]]))


def test_a_network_of_values_is_compared_with_none(shards, affects, run, tmp_path):
    with pytest.raises(UsageError, match="--beside: compares networks of classes; this one answers affect"):
        evaluate(shards, shards.parent / "affect", tmp_path / "out", PARAMS, seed=3, others={"other": run})
