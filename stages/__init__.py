"""One short file per command, the helpers that they share, and `cli`, which makes the command line `prep` of them."""

from pipeline import __version__ as __version__
