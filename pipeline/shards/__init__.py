"""Shards: balanced Parquet and WebDataset that any tool opens. Written by `stage`, read back by `read`.

Nothing is imported here, so that what only reads shards does not depend on the code that writes them.
"""
