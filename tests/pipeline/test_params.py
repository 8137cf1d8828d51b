"""params.yaml as it is read: the numbers that DVC writes, keys given twice, seeds, and the names of datasets."""

from pathlib import Path

import pytest

from pipeline.errors import ParamsError
from pipeline.params import Params, read_params

OWN = Path(__file__).parents[2] / "params.yaml"


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


@pytest.mark.parametrize("seed", ["-1", "4294967296"])
@pytest.mark.parametrize(("old", "key"), [("seed: 20", "seed"), ("  seed: 1", "demo.seed")])
def test_seed_out_of_range(tmp_path: Path, old: str, key: str, seed: str) -> None:
    with pytest.raises(ParamsError, match=rf"params\.yaml: {key}: .*{seed}"):
        read(tmp_path, old, f"{old.rstrip('0123456789')}{seed}")


@pytest.mark.parametrize("name", ["../x", ".x", "a b", "a/b", '""', "-x"])
def test_dataset_name_that_is_none(tmp_path: Path, name: str) -> None:
    with pytest.raises(ParamsError, match=r"datasets\..*: a name begins with a letter or digit"):
        read(tmp_path, "  ckplus: {", f"  {name}: {{")


@pytest.mark.parametrize("src", ["raw/demo/affectnet", "./raw/demo/../demo/affectnet/"])
def test_two_datasets_of_one_source(tmp_path: Path, src: str) -> None:
    with pytest.raises(ParamsError, match=r"datasets\.ckplus\.src: .* is that of affectnet too"):
        read(tmp_path, "src: raw/demo/ckplus", f"src: {src}")


def test_source_below_another(tmp_path: Path) -> None:
    assert read(tmp_path, "src: raw/demo/ckplus", "src: raw/demo").datasets["ckplus"].src == "raw/demo"
