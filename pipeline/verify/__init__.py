"""Verification: every link from the raw bytes to the results is hashed again."""
