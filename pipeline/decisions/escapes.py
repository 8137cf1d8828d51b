r"""Names of samples as text of one line that an editor shows, and back.

Files may be named with line breaks, with no-break spaces (as macOS names screenshots) or with marks that turn the
direction of text. What cannot be printed is written as Python and C write it, `\n` or `\u202f`, and a backslash as two.
"""

import re
from typing import Final

_ESCAPE: Final = re.compile(r"\\(?:[\\nrt]|x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8})?")


def escape(text: str) -> str:
    """Return text in which every character can be printed; `unescape` gives the original back."""
    if text.isprintable() and "\\" not in text:  # as nearly all are
        return text
    return "".join(mark if mark.isprintable() and mark != "\\" else _escape_mark(mark) for mark in text)


def unescape(text: str) -> str:
    """Return the original of what `escape` wrote.

    Raises:
        ValueError: it wrote no such text; says what it would have written.
    """
    if text.isprintable() and "\\" not in text:
        return text
    try:
        given = _ESCAPE.sub(lambda found: found[0].encode("ascii").decode("unicode_escape"), text)
    except UnicodeDecodeError:
        given = text
    if (wanted := escape(given)) != text:
        raise ValueError(f"write {wanted!a} for {text!a}")
    return given


def _escape_mark(mark: str) -> str:
    return mark.encode("unicode_escape").decode("ascii")
