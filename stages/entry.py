"""Where `prep` starts: so light that an interruption while the rest is imported is one line too."""

import sys
from typing import Final

INTERRUPTED: Final = "interrupted; the previous results are as they were"


def main() -> None:
    """Run the command line; see `stages.cli.main`."""
    try:
        from stages import cli

        cli.main()
    except KeyboardInterrupt:
        sys.stderr.write(f"error: {INTERRUPTED}\n")
        sys.exit(130)
