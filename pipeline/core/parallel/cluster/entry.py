"""What a node runs first. It is sent there by value, because the node need not have this project's code, or this code.

Therefore this module imports the standard library alone, and its arguments are plain values. A *place* is a dictionary:
`folder` (the project's), `path` (the driver's `sys.path`), `probe` (a file in the folder) and `token` (its content).
"""

import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_ENTERED = "PREP_ENTERED"  # in a process that works for a project: its probe


def enter(place: Mapping[str, str], environment: Mapping[str, str]) -> str:
    """Make this process work as one in the project's folder; return why that is impossible, or an empty text."""
    folder = place["folder"]
    try:
        token = Path(place["probe"]).read_text(encoding="utf-8")
        os.chdir(folder)
    except OSError as error:
        return f"cannot read {place['probe']} ({error.strerror})"
    if token != place["token"]:
        return f"reads another file at {place['probe']}"
    os.environ.update(environment)
    if os.environ.get(_ENTERED) != place["probe"]:
        # As in the driver, where the working folder's packages come right before those that they replace. Ray itself
        # puts the folder in front, where a `random.py` would replace the standard library's.
        given = [path for path in place["path"].split(os.pathsep) if Path(path).exists()]
        sys.path[:] = [*given, *(path for path in sys.path if path not in (*given, folder))]
        # multiprocessing would run the main module, which is Ray's here, once more in each process that it spawns.
        sys.modules["__main__"].__dict__.pop("__file__", None)
        os.environ[_ENTERED] = place["probe"]
    return ""


def check(place: Mapping[str, str], environment: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """Return why this node cannot work for the project, or an empty text; and the fingerprint of its code."""
    problem = enter(place, environment)
    if problem:
        return problem, {}
    try:
        from pipeline.core.parallel.cluster.code import fingerprint
    except ImportError as error:
        return f"cannot import the project's code ({error})", {}
    return "", fingerprint()


def do(
    place: Mapping[str, str], environment: Mapping[str, str], payload: bytes, board: Any, key: tuple[int, int]
) -> tuple[str, bytes]:
    """Do one part and return its pickled answer; or why this node cannot, as the first of the pair.

    Args:
        place: see the module.
        environment: variables to set before.
        payload: what `part.do_part` takes.
        board: the actor that is told of the progress; None to tell nobody.
        key: the part and the try.
    """
    problem = enter(place, environment)
    if problem:
        return problem, b""
    from pipeline.core.parallel.cluster.part import do_part

    if board is None:
        return "", do_part(payload, lambda _: None)
    board.post.remote(key, 0)
    return "", do_part(payload, lambda done: board.post.remote(key, done))


class Board:
    """The actor to which workers post the units that are done, and when each part began."""

    def __init__(self) -> None:
        self._parts: dict[tuple[int, int], tuple[float, int]] = {}

    def post(self, key: tuple[int, int], done: int) -> None:
        """Note how many units of a try are done."""
        self._parts[key] = self._parts.get(key, (time.monotonic(), 0))[0], done

    def read(self, ended: list[tuple[int, int]]) -> dict[tuple[int, int], tuple[float, int]]:
        """Forget the tries that ended and return the others: the seconds since each began, and its finished units."""
        for key in ended:
            self._parts.pop(key, None)
        now = time.monotonic()
        return {key: (now - began, done) for key, (began, done) in self._parts.items()}
