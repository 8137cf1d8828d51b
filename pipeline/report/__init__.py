"""The data card as a page, and contact sheets of faces."""
