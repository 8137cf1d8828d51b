"""Withdrawal: `digests` of what shows a sample, `places` that still hold it, `commands` that remove it from them."""
