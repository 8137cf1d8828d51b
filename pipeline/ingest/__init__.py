"""A raw tree as it ships, to one table of samples."""
