"""Histogram equalization of aligned faces."""
