"""Shards: balanced Parquet and WebDataset files that other tools can open. `stage` writes them, `read` reads them.

This module imports nothing, so that code which only reads shards does not depend on the code that writes them.
"""
