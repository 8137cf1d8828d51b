"""Baselines without a network of their own."""
