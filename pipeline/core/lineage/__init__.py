"""Snapshots: how a number finds its bytes. Made (`snapshot`), walked (`walk`) and checked (`verify`)."""
