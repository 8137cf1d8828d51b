"""Tests of pipeline.align."""
