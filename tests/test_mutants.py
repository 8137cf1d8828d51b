"""`make mutants` looks where the code and its tests are."""

import ast

import pytest
import yaml

from benchmarks.mutants import AREAS
from tests.imports import PACKAGES, ROOT


@pytest.mark.parametrize("name", AREAS)
def test_an_area_names_code_and_tests_that_are_there(name):
    area = AREAS[name]
    assert all(list(ROOT.glob(pattern)) for pattern in area.files)
    for test in area.tests:
        if test.startswith("--deselect="):
            continue
        file, _, function = test.partition("::")
        assert (ROOT / file).exists(), test
        assert f"def {function.partition('[')[0]}(" in (ROOT / file).read_text() if function else True, test


def test_each_reason_is_of_functions_that_are_there():
    names = set()
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.FunctionDef):
                    names.add(f"{module}.{node.name}")
                elif isinstance(node, ast.ClassDef):
                    names |= {f"{module}.{node.name}.{item.name}" for item in node.body if hasattr(item, "name")}
    places = {entry["place"] for entry in yaml.safe_load((ROOT / "docs/mutants.yaml").read_text()) if "place" in entry}
    assert {place for place in places if not any(place in name for name in names)} == set()
