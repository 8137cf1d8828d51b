"""One short file a DVC stage, and `prep`, the command line made of them."""

from pipeline import __version__ as __version__
