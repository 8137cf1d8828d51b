"""The parts of `models.data`: the order of an epoch, rows in memory, and decoding over threads."""
