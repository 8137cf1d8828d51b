"""Every link from the raw bytes to the results, hashed again."""
