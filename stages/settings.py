"""Options for where a command runs and how much it prints, which never change its result. Each has a variable, too.

They are added here rather than in the files of the stages, so that the stages do not depend on this code. None of them
may be used in dvc.yaml: DVC runs a stage again if its command changes.
"""

import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import Annotated, Any, Final

import typer

from pipeline.core.environment import environment
from pipeline.core.parallel.engine import telling
from stages.say import note, quieted


@dataclass(frozen=True, slots=True)
class Setting:
    """One option, the variable that says the same, and its help; the value is checked where the variable is read."""

    name: str
    variable: str
    metavar: str
    help: str


WORKERS: Final = Setting("workers", "PREP_WORKERS", "N", "Processes; one for each core unless set.")
DEVICE: Final = Setting("device", "PREP_DEVICE", "NAME", "Where networks run: cpu, cuda, cuda:N, mps or auto.")
CLUSTER: Final = Setting(
    "cluster", "PREP_CLUSTER", "ADDRESS", "Ray cluster: auto, HOST:PORT or ray://HOST:PORT; this machine unless set."
)
_TRAINING: Final = (
    Setting("devices", "PREP_DEVICES", "N", "GPUs of this machine that train together, or auto; 1 unless set."),
    Setting("nodes", "PREP_NODES", "N", "Machines that train together, each started by a launcher; 1 unless set."),
    Setting("strategy", "PREP_STRATEGY", "NAME", "How they share gradients: a strategy of Lightning."),
)
# The settings of each command besides --quiet.
SETTINGS: Final[Mapping[str, tuple[Setting, ...]]] = {
    "demo": (WORKERS,),
    "ingest": (WORKERS, CLUSTER),
    "align": (WORKERS, CLUSTER, DEVICE),
    "equalize": (WORKERS, CLUSTER),
    "split": (WORKERS, CLUSTER),
    "shard": (WORKERS, CLUSTER),
    "train": (WORKERS, DEVICE, *_TRAINING),
    "evaluate": (WORKERS, DEVICE),
    "personalize": (WORKERS, DEVICE),
    "predict": (DEVICE,),
}
_QUIET: Final = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but answers, warnings and errors.")]


def with_settings(command: Callable[..., None]) -> Callable[..., None]:
    """Return a command with --quiet and its settings as options."""
    settings = SETTINGS.get(command.__name__, ())

    @wraps(command)
    def run(*, quiet: bool, **given: Any) -> None:
        chosen = {setting.variable: given.pop(setting.name) for setting in settings}
        with environment({name: value for name, value in chosen.items() if value}), quieted(on=quiet), telling(note):
            command(**given)
            sys.stdout.flush()  # here, where a closed output, as with `| head`, is no error

    signature = inspect.signature(command)
    extra = [_parameter(setting.name, _annotation(setting), None) for setting in settings]
    extra.append(_parameter("quiet", _QUIET, default=False))
    parameters = [*signature.parameters.values(), *extra]
    run.__signature__ = signature.replace(  # type: ignore[attr-defined]  # typer takes the options from it
        parameters=[part.replace(kind=inspect.Parameter.KEYWORD_ONLY) for part in parameters]
    )
    run.__annotations__ = {part.name: part.annotation for part in parameters}
    return run


def _annotation(setting: Setting) -> Any:
    option = typer.Option(
        f"--{setting.name}", envvar=setting.variable, metavar=setting.metavar, help=setting.help, show_default=False
    )
    return Annotated[str | None, option]


def _parameter(name: str, annotation: Any, default: bool | None) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
