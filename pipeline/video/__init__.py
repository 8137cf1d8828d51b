"""Video files: which of their frames become samples, and those frames as pixels."""
