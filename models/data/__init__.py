"""Shards as batches."""
