"""Shards: balanced Parquet and WebDataset that any tool opens: written, described in Croissant, read back."""

from pipeline.shards.write import write_shards

__all__ = ["write_shards"]
