"""`make mutants` looks where the code and its tests are."""

import pytest

from benchmarks.mutants import AREAS
from tests.imports import ROOT


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
