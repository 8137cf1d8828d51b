"""Cells that hold lists as text: whatever wrote them, the same values; and nothing is run."""

import math

import numpy as np
import pytest

from pipeline.ingest.parsing.literals import read_literal


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("[86, 58, 564, 628]", [86, 58, 564, 628]),
        ("(1.5, -2, +3e1)", [1.5, -2, 30.0]),
        ("[np.int64(86), np.float64(0.3), numpy.float32(-1.5)]", [86, 0.3, -1.5]),
        ("[int64(7), float(2)]", [7, 2]),
        ("np.int64(5)", 5),
        ("array([1, 2, 3])", [1, 2, 3]),
        ("np.array([1., 2.], dtype=float32)", [1.0, 2.0]),
        ("array(['Peace', 'Fear'], dtype='<U5')", ["Peace", "Fear"]),
        ("[np.str_('Peace')]", ["Peace"]),
        ("['Doubt/Confusion' 'Peace'\n 'Fear']", ["Doubt/Confusion", "Peace", "Fear"]),
        ("[  86   58 564.  628.5]", [86, 58, 564.0, 628.5]),
        ("[ 1. -2.\n  3.]", [1.0, -2.0, 3.0]),
        ("['banana', \"nan\"]", ["banana", "nan"]),
        ("[[1, 2], (3, None)]", [[1, 2], [3, None]]),
        ("[]", []),
    ],
)
def test_the_same_values_whatever_wrote_them(text, value):
    assert read_literal(text) == value


@pytest.mark.parametrize(
    "text", ["[nan, 5.5, np.nan]", "[np.float64(nan), 5.5, NaN]", "[nan 5.5 nan]", "[nan, 5.5, float('nan')]"]
)
def test_nan_stays_nan(text):
    first, second, third = read_literal(text)
    assert math.isnan(float(first))
    assert second == 5.5
    assert math.isnan(float(third))


@pytest.mark.parametrize("values", [np.arange(30), np.linspace(-1, 1, 30), np.array([1e-9, 2e20, -3.5])])
def test_what_numpy_itself_prints_is_read_back(values):
    assert read_literal(str(values)) == pytest.approx(values.tolist(), rel=1e-6)
    assert read_literal(repr(values)) == pytest.approx(values.tolist(), rel=1e-6)
    assert read_literal(str(list(values))) == pytest.approx(values.tolist())


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')", "open('x')", "np.load('x')", "[x for x in ()]", "1 + 1", "{'a': 1}",
        "lambda: 1", "np.array(__import__('os'))", "a.b.float64(1)", "f'{1}'", "b'x'", "1j", "-'x'", "", "  ", "[1, 2",
        "5 apples", "(" * 900, "-" * 3900 + "1", "[" * 2000 + "]" * 2000, "[" + "1, " * 2000 + "1]", "\0", "...",
    ],
)  # fmt: skip
def test_nothing_is_run_and_what_is_no_literal_is_none(text):
    assert read_literal(text) is None
