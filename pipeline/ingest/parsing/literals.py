"""Cells that hold Python's lists as text, as pandas writes them: parsed, never run.

A csv that was made with NumPy also says `np.float64(0.3)`, `array([1, 2])`, `nan`, and `[86 58 564]` without commas.
"""

import ast
import math
import re
from typing import Any, Final

# Python's parser needs much more memory than the text has.
_MAX_CELL_CHARS: Final = 4000
# NumPy's and Python's makers of one value or of a list, whatever module stands before them.
_WRAPPERS: Final = re.compile(
    r"(?:u?int|float)(?:\d+)?|u?(?:byte|short|longlong|intc|intp)|half|single|double|longdouble"
    r"|bool_?|str_?|bytes_|list|tuple|array|asarray"
)
_NUMBERS: Final = {"nan": math.nan, "NaN": math.nan, "NAN": math.nan, "inf": math.inf, "Infinity": math.inf}
_NO_COMMA_NUMBERS: Final = re.compile(r"(?:(?<=[\d.])|(?<=nan))\s+(?=[-+]?[\d.n])")
_NO_COMMA_TEXTS: Final = re.compile(r"(?<=['\"])\s+(?=['\"])")


def read_literal(text: str) -> Any:
    """Return the numbers, texts and lists that a cell holds; None where it holds no such thing.

    NaN stays NaN, and a wrapper around a value is taken off.
    """
    if len(text) > _MAX_CELL_CHARS:
        return None
    parted = _NO_COMMA_TEXTS.sub(", ", _NO_COMMA_NUMBERS.sub(", ", text.strip()))
    try:
        return _value(ast.parse(parted, mode="eval").body)
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
        return None


def _value(node: ast.expr) -> Any:
    """Return what a part of the syntax tree says; anything that would have to be run is refused."""
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
            # What stands after the value, such as dtype=float32, changes nothing.
            if _WRAPPERS.fullmatch(name):
                return _value(inside)
    raise ValueError(ast.dump(node)[:80])
