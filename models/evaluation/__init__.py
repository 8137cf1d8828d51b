"""What a network is worth on rows that it never saw."""
