"""All errors, in one hierarchy. Every message is one line that names the file, the row and the remedy.

PrepError                 caught by the command line, printed as one line
├── UsageError            exit 2: the command or the parameters are wrong
│   └── ParamsError       a key or value of params.yaml
├── ExtraError            exit 1: a library is not installed; names the extra that includes it
└── DataError             exit 1: the data cannot be used
    ├── SourceError       a raw tree: unknown layout, missing table, hostile archive
    ├── ImageError        one picture; carries its status, becomes a reject
    ├── TableError        one of our own tables is missing, torn or of another schema
    ├── OutputError       a result cannot be written: disk full, folder in use
    ├── LineageError      a link between a result and its bytes does not hold
    └── ModelError        a checkpoint or network that does not fit the data
"""

import errno
from typing import ClassVar, Final

# What C++ libraries say for want of memory instead of raising MemoryError: OpenCV, ONNX Runtime, the standard library.
_NO_MEMORY: Final = ("insufficient memory", "failed to allocate", "bad allocation", "bad_alloc", "out of memory")


def is_short_of_memory(error: BaseException) -> bool:
    """Return whether an error says that the process could not get memory."""
    if isinstance(error, PrepError):
        return False
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    return isinstance(error, MemoryError) or any(words in str(error).lower() for words in _NO_MEMORY)


class PrepError(Exception):
    """Any foreseen failure. The message is one line for the person who typed the command."""

    exit_code: ClassVar[int] = 1


class UsageError(PrepError):
    """The command was used wrongly."""

    exit_code: ClassVar[int] = 2


class ParamsError(UsageError):
    """params.yaml has an unknown key or a value that is not allowed."""


class OutputUseError(UsageError):
    """The output folder holds foreign files, belongs to another stage, or is itself an input."""


class ExtraError(PrepError):
    """A library that only an extra includes is not installed."""


class DataError(PrepError):
    """The data cannot be used as it is."""


class SourceError(DataError):
    """A raw tree does not have the layout its reader needs, or tries to reach outside itself."""


class ImageError(DataError):
    """A picture that cannot be used. `status` is the reject reason, a value of `schema.Reason`."""

    def __init__(self, status: str, detail: str) -> None:
        super().__init__(f"{status}: {detail}")
        self.status = status
        self.detail = detail

    def __reduce__(self) -> tuple[type["ImageError"], tuple[str, str]]:
        """Pickle with both arguments: by default an exception is rebuilt from its message alone, which would fail."""
        return type(self), (self.status, self.detail)


class TableError(DataError):
    """One of our own tables is missing, torn or has other columns."""


class OutputError(DataError):
    """A result cannot be written."""


class LineageError(DataError):
    """A link between a result and the bytes it came from does not hold."""


class ModelError(DataError):
    """A checkpoint or network does not fit the data it is asked to read."""
