"""One short file a DVC stage, and `prep`, the command line made of them."""
