"""A progress bar on stderr, drawn only if stderr is a terminal."""

import math
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from pipeline.core.parallel.pool import Progress, no_progress
from stages.say import is_quiet

# Progress may be reported for every face, but the bar is drawn at most ten times a second.
_STEP_S: Final = 0.1


@contextmanager
def bar(description: str) -> Iterator[Progress]:
    """Yield a callback (done, total, note) that draws a bar with rate and time left, if stderr is a terminal."""
    if is_quiet() or not sys.stderr.isatty():
        yield no_progress
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Bars(*columns, console=Console(stderr=True)) as bars:
        task = bars.add_task(description, total=None, note="")
        drawn = -math.inf

        def advance(done: int, total: int, note: str) -> None:
            nonlocal drawn
            if 0 < done < total and time.monotonic() - drawn < _STEP_S:
                return
            drawn = time.monotonic()
            speed = bars.tasks[0].speed
            rate = f"{speed:.0f}/s " if speed else ""
            bars.update(task, completed=done, total=total, note=rate + note)

        yield advance
