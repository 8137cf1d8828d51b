"""params.yaml as it is read: the numbers that DVC writes, keys given twice, seeds, and the names of datasets."""

import re
from pathlib import Path

import pytest

from pipeline.core.errors import ParamsError
from pipeline.core.params import Params, SelectParams, read_params

OWN = Path(__file__).parents[3] / "params.yaml"


def read(folder: Path, old: str = "", new: str = "") -> Params:
    """Read the project's parameters with one text replaced."""
    text = OWN.read_text(encoding="utf-8")
    assert old in text
    path = folder / "params.yaml"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    return read_params(path)


@pytest.mark.parametrize(("written", "value"), [("3e-05", 3e-5), ("1E1", 10.0), ("+.5e1", 5.0), ("2.e0", 2.0)])
def test_numbers_of_yaml_1_2(tmp_path: Path, written: str, value: float) -> None:
    params = read(tmp_path, "tolerance_points: 1.0", f"tolerance_points: {written}")
    assert params.split.tolerance_points == value


def test_whole_numbers_stay_whole(tmp_path: Path) -> None:
    seed = read(tmp_path, "seed: 20", "seed: 4294967295").seed
    assert (type(seed), seed) == (int, 2**32 - 1)


def test_key_given_twice(tmp_path: Path) -> None:
    with pytest.raises(ParamsError, match="line 3: seed is given a second time, after line 2"):
        read(tmp_path, "seed: 20", "seed: 20\nseed: 21")


BILLION = "\n".join(["b0: &b0 [x, x]", *(f"b{n}: &b{n} [{', '.join([f'*b{n - 1}'] * 9)}]" for n in range(1, 13))])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("seed: " + "[" * 5000 + "]" * 5000, "nested more than 32 deep"),
        ("seed: " + "{a: " * 5000 + "}" * 5000, "nested more than 32 deep"),
        (BILLION, "more than 100000 values once its aliases are written out"),
        ("seed: &a [*a]", "an alias refers to what it is part of"),
        ("seed: &a {b: *a}", "an alias refers to what it is part of"),
    ],
)
def test_a_small_file_that_would_not_end_is_refused_at_once(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "params.yaml").write_text(text)
    with pytest.raises(ParamsError, match=said):
        read_params(tmp_path / "params.yaml")


def test_an_alias_means_what_it_stands_for(tmp_path: Path) -> None:
    text = OWN.read_text().replace("seed: 20", "seed: &s 20", 1).replace("  seed: 1", "  seed: *s", 1)
    (tmp_path / "params.yaml").write_text(text)
    params = read_params(tmp_path / "params.yaml")
    assert params.demo.seed == params.seed


@pytest.mark.parametrize("seed", ["-1", "4294967296"])
@pytest.mark.parametrize(("old", "key"), [("seed: 20", "seed"), ("  seed: 1", "demo.seed")])
def test_seed_out_of_range(tmp_path: Path, old: str, key: str, seed: str) -> None:
    with pytest.raises(ParamsError, match=rf"params\.yaml: {key}: .*{seed}"):
        read(tmp_path, old, f"{old.rstrip('0123456789')}{seed}")


@pytest.mark.parametrize("name", ["../x", ".x", "a b", "a/b", '""', "-x", "fer.v2"])
def test_dataset_name_that_is_none(tmp_path: Path, name: str) -> None:
    with pytest.raises(ParamsError, match=r"datasets\..*: a name begins with a letter or digit"):
        read(tmp_path, "  demo-ckplus: {", f"  {name}: {{")


@pytest.mark.parametrize("src", ["raw/demo/affectnet", "./raw/demo/../demo/affectnet/"])
def test_two_datasets_of_one_source(tmp_path: Path, src: str) -> None:
    with pytest.raises(ParamsError, match=r"datasets\.demo-ckplus\.src: .* is that of demo-affectnet too"):
        read(tmp_path, "src: raw/demo/ckplus", f"src: {src}")


def test_source_below_another(tmp_path: Path) -> None:
    assert read(tmp_path, "src: raw/demo/ckplus", "src: raw/demo").datasets["demo-ckplus"].src == "raw/demo"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("  demo-ckplus: {", "  on: {", "datasets: the name True is no text; write it in quotes"),
        ("src: raw/demo/ckplus", 'src: ""', "datasets.demo-ckplus.src: expected the path of a raw tree"),
        ("src: raw/demo/ckplus", 'src: "raw/it\'s"', "datasets.demo-ckplus.src: expected the path of a raw tree"),
        (
            "role: test}",
            "role: test, columns: {pfad: x}}",
            "datasets.demo-ckplus.columns.pfad: unknown key; expected 'file'",
        ),
        (
            "role: test}",
            "role: test, columns: {path: x}}",
            "datasets.demo-ckplus.columns.path: ckplus has no such column",
        ),
        ("role: test}", "role: test, columns: {}}", "datasets.demo-ckplus.columns: expected at least one"),
        (
            "role: test}",
            "role: test, columns: {subject_pattern: (}}",
            "columns.subject_pattern: not a regular expression",
        ),
        (
            "train_per_class: 1500",
            "train_per_class: 1500\n  test_per_class: 500",
            "shard.test_per_class: test sets are whole now; to cap one give datasets.NAME.test_per_class",
        ),
        (
            "role: test}",
            "role: test, test_per_class: 0}",
            "datasets.demo-ckplus.test_per_class: input should be greater",
        ),
        ("train_on: null", "train_on: []", "shard.train_on: expected at least one"),
        (
            "train_on: null",
            "train_on: [demo-ckplus]",
            "shard.train_on: no dataset demo-ckplus of role train or both; there are demo-affectnet",
        ),
        ("classes: null", "classes: [happy]", "harmonize.classes: "),
        ("classes: null", "classes: [happy, joy]", "harmonize.classes: expected some of anger, contempt, "),
        ("folds: 0 ", "folds: persons ", "split.folds: expected a number or 'people', not 'persons'"),
        (
            "{src: raw/demo/ckplus, format: ckplus, role: test}",
            "1",
            "datasets.demo-ckplus: expected keys and values, not 1",
        ),
    ],
)
def test_each_error_says_what_would_be_right(tmp_path: Path, old: str, new: str, said: str) -> None:
    with pytest.raises(ParamsError) as error:
        read(tmp_path, old, new)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_a_protocol_may_cap_the_test_rows_of_a_dataset(tmp_path: Path) -> None:
    datasets = read(tmp_path, "role: test}", "role: test, test_per_class: 50}").datasets
    assert (datasets["demo-ckplus"].test_per_class, datasets["demo-rafdb"].test_per_class) == (50, None)


def test_a_dataset_may_be_aligned_in_its_own_way(tmp_path: Path) -> None:
    entry = "demo-rafdb: {src: raw/demo/rafdb, format: rafdb, role: test"
    params = read(tmp_path, entry, entry + ", align: {max_picture_share: 0.5, cascade: [mtcnn-full]}")
    own, shared = params.align_of("demo-rafdb"), params.align_of("demo-emotic")
    assert (own.max_picture_share, own.cascade) == (0.5, ["mtcnn-full"])
    assert own.size_px == shared.size_px
    assert shared == params.align == params.align_of("of no entry")


@pytest.mark.parametrize(
    ("section", "key", "said"),
    [
        ("align", "size_px: 96", "datasets.demo-rafdb.align.size_px: one for all datasets; set align.size_px"),
        ("align", "max_pixel: 5", "datasets.demo-rafdb.align.max_pixel: unknown key"),
        ("align", "max_picture_share: 0.0", "datasets.demo-rafdb.align.max_picture_share: "),
        ("select", "min_scores: 0.5", "datasets.demo-rafdb.select.min_scores: unknown key"),
        ("select", "min_score: 5.0", "datasets.demo-rafdb.select.min_score: "),
    ],
)
def test_settings_of_one_dataset_are_checked_as_those_of_all(tmp_path: Path, section: str, key: str, said: str) -> None:
    entry = "demo-rafdb: {src: raw/demo/rafdb, format: rafdb, role: test"
    with pytest.raises(ParamsError, match=re.escape(said)):
        read(tmp_path, entry, f"{entry}, {section}: {{{key}}}")


def test_a_dataset_may_have_gates_of_its_own(tmp_path: Path) -> None:
    entry = "demo-rafdb: {src: raw/demo/rafdb, format: rafdb, role: test"
    params = read(tmp_path, entry, entry + ", select: {min_score: 0.5}")
    own, shared = params.select_of("demo-rafdb"), params.select_of("demo-emotic")
    assert own.plain() == shared.plain() | {"min_score": 0.5}
    assert shared == params.select == params.select_of("of no entry")


@pytest.mark.parametrize("key", sorted(SelectParams.model_fields))
def test_a_gate_that_stands_where_it_stood_is_told_where_it_stands_now(tmp_path: Path, key: str) -> None:
    said = f"align.{key}: unknown key; it is select.{key} now"
    with pytest.raises(ParamsError, match=re.escape(said)):
        read(tmp_path, "\nalign:\n", f"\nalign:\n  {key}: 0.5\n")
    entry = "demo-rafdb: {src: raw/demo/rafdb, format: rafdb, role: test"
    said = f"datasets.demo-rafdb.align.{key}: unknown key; it is {key} of select, beside align, now"
    with pytest.raises(ParamsError, match=re.escape(said)):
        read(tmp_path, entry, f"{entry}, align: {{{key}: 0.5}}")


def test_a_source_may_have_spaces_and_dots(tmp_path: Path) -> None:
    assert (
        read(tmp_path, "src: raw/demo/ckplus", "src: raw/my data.v2.zip").datasets["demo-ckplus"].src
        == "raw/my data.v2.zip"
    )


def test_a_preset_begins_with_the_one_that_it_names() -> None:
    train = read_params(OWN).train
    chosen = train.model_validate({**train.plain(), "preset": "thesis-transfer-augmented"}).resolved()
    assert (chosen.augment, chosen.weights, chosen.epochs, chosen.frozen_epochs) == ("thesis", "hub", 20, 10)
    assert (chosen.size_px, chosen.optimizer, chosen.ema) == (224, "adam", 0)  # of `thesis`, two presets below


# What a protocol leaves to whoever runs it: the network, how it is carried out, what presets and augmentations mean.
FREE = {
    "preset",
    "model",
    "compile",
    "channels_last",
    "cache_mb",
    "checkpoint_minutes",
    "loggers",
    "augmentations",
    "presets",
}
# Another value for each key of `train`, so that none agrees with the thesis's by accident.
OTHER = {
    "task": "valence", "size_px": 96, "margin": 0.2, "weights": "mine.pt", "weights_sha256": "0123456789abcdef",
    "epochs": 77, "frozen_epochs": 3, "unfreeze_blocks": 1, "fine_tune_rate": 0.5, "batch_size": 7, "optimizer": "sgd",
    "learning_rate": 0.7, "weight_decay": 0.3, "schedule": "constant", "decay": 0.2, "warmup_epochs": 9,
    "clip_norm": 8.0, "label_smoothing": 0.4, "soft_labels": True, "class_weights": 0.6, "mixup": 0.1, "ema": 0.35,
    "tta_flip": True, "affect_loss": "ccc", "select": "last", "patience": 5, "augment": "strong", "precision": "bf16",
    "threads": 9, "accumulate": 3, "scale_rate": "linear", "sync_batchnorm": True, "input_scale": "unit",
    "validate_on": "test",
}  # fmt: skip


@pytest.mark.parametrize("name", ["thesis", "thesis-augmented", "thesis-transfer", "thesis-transfer-augmented"])
def test_a_protocol_pins_every_key(name: str) -> None:
    train = read_params(OWN).train
    assert set(OTHER) | FREE == set(type(train).model_fields), "a new key: does a protocol depend on it?"
    expected = train.model_validate({**train.plain(), "preset": name}).resolved()
    moved = train.model_validate({**train.plain(), **OTHER, "preset": name}).resolved()
    assert moved == expected
    assert all(getattr(moved, key) != value for key, value in OTHER.items())


def test_a_preset_never_names_the_network() -> None:
    train = read_params(OWN).train
    assert all("model" not in preset for preset in train.presets.values())
    chosen = train.model_validate({**train.plain(), "preset": "thesis", "model": "vgg16"}).resolved()
    assert chosen.model == "vgg16"
    presets = {**train.presets, "mine": {"preset": "thesis", "model": "vgg19"}}
    with pytest.raises(ValueError, match=r"mine names a model, but a preset is for any; give train\.model"):
        train.model_validate({**train.plain(), "presets": presets})


def test_a_preset_that_begins_with_none_that_is_there_is_refused() -> None:
    train = read_params(OWN).train
    presets = {**train.presets, "thesis": {**train.presets["thesis"], "preset": "nowhere"}}
    with pytest.raises(ValueError, match="thesis has no other preset to begin with"):
        train.model_validate({**train.plain(), "presets": presets})


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("head_epochs", "frozen_epochs", "frozen_epochs: 0 "),
        ("open_blocks", "unfreeze_blocks", "unfreeze_blocks: null "),
        ("flips", "tta_flip", "tta_flip: true "),
        ("max_pixels", "max_decode_mb", "max_decode_mb: 512 "),
        ("mixed", "compound", "compound: distribution "),
        ("several", "multi_label", "multi_label: vote "),
        ("processes", "world_size", "world_size: 1 "),
    ],
)
def test_a_key_that_was_renamed_is_named_with_its_successor(tmp_path: Path, old: str, new: str, line: str) -> None:
    with pytest.raises(ParamsError, match=rf"\.{old}: unknown key; it is called {new} now"):
        read(tmp_path, f"  {line}", f"  {old}: {line.partition(': ')[2]}")


def test_a_renamed_key_of_a_preset_is_named_too(tmp_path: Path) -> None:
    with pytest.raises(ParamsError, match=r"presets\.thesis\.flips: unknown key; it is called tta_flip now"):
        read(tmp_path, "tta_flip: false,", "flips: false,")
