"""`prep`: the stages as commands. A command imports heavy modules itself, so that `prep --help` answers at once."""

import signal
import sys
from collections.abc import Callable
from contextvars import ContextVar
from typing import Annotated, Final

import typer
from typer.exceptions import TyperException

from pipeline.core.errors import PrepError, UsageError, is_short_of_memory
from pipeline.core.extras import missing_extra
from pipeline.core.tables import pass_pandas_over
from stages import __version__
from stages.align import align
from stages.code import check_code, code
from stages.decide import decide
from stages.demo import demo
from stages.doubt import doubt
from stages.entry import INTERRUPTED
from stages.equalize import equalize
from stages.evaluate import evaluate
from stages.export import export
from stages.fiftyone import fiftyone
from stages.folds import folds
from stages.forget import forget
from stages.formats import formats
from stages.harmonize import harmonize
from stages.ingest import ingest
from stages.inspect import inspect
from stages.matrix import matrix
from stages.models import models
from stages.personalize import personalize
from stages.predict import predict
from stages.report import report
from stages.review import review
from stages.say import say, show
from stages.select import select
from stages.settings import with_settings
from stages.shard import shard
from stages.sheet import sheet
from stages.split import split
from stages.tables import tables
from stages.trace import trace
from stages.train import train
from stages.verify import verify

app: Final = typer.Typer(
    name="prep",
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

DEBUG: Final = "PREP_DEBUG"
_INTERRUPTED: Final = 130
_SHORT: Final = (
    "out of memory; the previous results are as they were: give the process more, or start fewer (PREP_WORKERS=1)"
)
_debugging: Final[ContextVar[bool]] = ContextVar("debugging", default=False)

# In the order of the pipeline, with the line for `prep --help`, which would cut a docstring off.
_COMMANDS: Final[tuple[tuple[Callable[..., None], str], ...]] = (
    (code, "Take down what the code of each stage means."),
    (demo, "Render small raw trees to try everything on."),
    (ingest, "Read a raw tree into a table: one row a face."),
    (decide, "Read what people decided about samples."),
    (align, "Find every face and warp it to the template."),
    (select, "Reject faces that do not pass the quality gates."),
    (equalize, "Equalize the histogram of every face."),
    (harmonize, "Give every sample one of the eight classes."),
    (split, "Keep people and pictures out of two sets."),
    (shard, "Balance the classes; write Parquet and WebDataset."),
    (train, "Train the network that params.yaml names."),
    (evaluate, "Test a network: metrics, confusion, saliency."),
    (doubt, "Rank samples by how doubtful they are, and why."),
    (report, "Write the data card: one page with the figures, the rows and the faces."),
    (review, "Decide about doubtful samples on a page."),
    (fiftyone, "Look at a dataset in FiftyOne, and read what was decided there."),
    (predict, "Say which expression every face of a photo has."),
    (export, "Export a network to ONNX."),
    (personalize, "Fine-tune on a few faces of a person, and say what it brings."),
    (folds, "Cross-validate: run every fold, score all answers together."),
    (matrix, "Train on each dataset and test on all: the cross-dataset matrix."),
    (sheet, "Draw a sheet of training faces, plain or augmented."),
    (tables, "Fill the thesis's two tables from experiments."),
    (forget, "Withdraw people; name what still holds them."),
    (inspect, "Say what a raw tree is, and what to type for it."),
    (formats, "List the datasets that can be read, and their terms."),
    (models, "List the networks that can be trained."),
    (trace, "Show which raw bytes a result came from."),
    (verify, "Hash every link again, from raw bytes to results."),
)


def _print_version(asked: bool) -> None:
    if asked:
        show(f"prep {__version__}")
        raise typer.Exit


@app.callback(
    epilog="Exit codes: 0 done, or the reader of the output went away; 1 the data cannot be used, or a result does not "
    "hold; 2 wrong use or parameters; 130 interrupted."
)
def _common(
    version: Annotated[  # noqa: ARG001 - its callback ends the command
        bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=_print_version)
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", envvar=DEBUG, help="Show where in the code an error arose.")
    ] = False,
) -> None:
    """Prepare facial expression datasets: faces aligned, labels harmonized, people kept apart, numbers traced."""
    _debugging.set(debug)


for _command, _line in _COMMANDS:
    app.command(short_help=_line)(with_settings(_command))


def main() -> None:
    """Run the command line; `prep --help` says what the exit codes mean."""
    # SIGTERM ends the command as Ctrl-C does, so that the unfinished folder is removed.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    pass_pandas_over()
    sys.exit(run(sys.argv[1:] or ["--help"]))


def run(arguments: list[str]) -> int:
    """Run one command and return its exit code; every failure is one line on stderr."""
    _debugging.set(False)
    try:
        check_code(arguments)
        status = typer.main.get_command(app).main(arguments, prog_name="prep", standalone_mode=False)
        if status == _INTERRUPTED:  # what typer silently makes of a KeyboardInterrupt
            say(f"error: {INTERRUPTED}", err=True)
    except SystemExit as stop:
        if not isinstance(stop.__context__, BrokenPipeError):
            raise
        status = 0  # typer exits with 1 if the reader of the output has closed it, as `| head` does; that is no error
    except (Exception, KeyboardInterrupt) as error:
        if _debugging.get():
            raise
        message, status = _explain(error)
        say(f"error: {' '.join(message.split())}", err=True)
    return status if isinstance(status, int) else 0


def _explain(error: BaseException) -> tuple[str, int]:  # noqa: PLR0911 -- one for each kind
    """Return the one line for the person who typed the command, and the exit code."""
    match error:
        case PrepError():
            return str(error), error.exit_code
        case TyperException():
            return f"{error.format_message()} See prep --help", UsageError.exit_code
        case typer.Abort() | KeyboardInterrupt():
            return INTERRUPTED, _INTERRUPTED
        case OSError() if not is_short_of_memory(error):
            return f"{error.filename or 'input or output'}: {error.strerror or error}", PrepError.exit_code
        case ModuleNotFoundError() if missing := missing_extra(error):
            return str(missing), missing.exit_code
        case _ if is_short_of_memory(error):
            return _SHORT, PrepError.exit_code
        case _:
            return f"unforeseen {type(error).__name__}: {error}; {DEBUG}=1 shows where", PrepError.exit_code
