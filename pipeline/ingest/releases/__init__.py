"""What is known about releases: their counts, and how to recognise a dataset that differs from them."""
