"""Cells with Python lists as text, as pandas writes them: they are parsed, never evaluated.

A csv made with NumPy may also contain `np.float64(0.3)`, `array([1, 2])`, `nan`, and `[86 58 564]` without commas.
"""

import ast
import math
import re
from typing import Any, Final

# Python's parser needs far more memory than the text itself.
_MAX_CELL_CHARS: Final = 4000
# Functions of NumPy and Python that wrap a value or a list, with any module name before them.
_WRAPPERS: Final = re.compile(
    r"(?:u?int|float)(?:\d+)?|u?(?:byte|short|longlong|intc|intp)|half|single|double|longdouble"
    r"|bool_?|str_?|bytes_|list|tuple|array|asarray"
)
_NUMBERS: Final = {"nan": math.nan, "NaN": math.nan, "NAN": math.nan, "inf": math.inf, "Infinity": math.inf}
_NO_COMMA_NUMBERS: Final = re.compile(r"(?:(?<=[\d.])|(?<=nan))\s+(?=[-+]?[\d.n])")
_NO_COMMA_TEXTS: Final = re.compile(r"(?<=['\"])\s+(?=['\"])")


def read_literal(text: str) -> Any:
    """Return the numbers, texts and lists in a cell; None if it contains anything else.

    NaN stays NaN, and wrappers around values are removed.
    """
    if len(text) > _MAX_CELL_CHARS:
        return None
    parted = _NO_COMMA_TEXTS.sub(", ", _NO_COMMA_NUMBERS.sub(", ", text.strip()))
    try:
        return _value(ast.parse(parted, mode="eval").body)
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
        return None


def _value(node: ast.expr) -> Any:
    """Return the value of a part of the syntax tree; anything that would have to be evaluated is refused."""
    match node:
        case ast.Constant(value=value) if value is None or isinstance(value, str | int | float):
            return value
        case ast.List(elts=inner) | ast.Tuple(elts=inner) | ast.Set(elts=inner):
            return [_value(one) for one in inner]
        case ast.UnaryOp(op=ast.USub() | ast.UAdd() as sign, operand=operand):
            value = _value(operand)
            return -value if isinstance(sign, ast.USub) else +value
        case ast.Name(id=name) | ast.Attribute(value=ast.Name(), attr=name) if name in _NUMBERS:
            return _NUMBERS[name]
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(value=ast.Name(), attr=name), args=[inside]):
            # Keyword arguments, such as dtype=float32, do not change the value.
            if _WRAPPERS.fullmatch(name):
                return _value(inside)
    raise ValueError(ast.dump(node)[:80])
