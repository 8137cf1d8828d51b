"""Detectors of others behind one protocol."""
