"""Tests of pipeline.faces."""
