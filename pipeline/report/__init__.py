"""The data card as a page with pictures, and sheets of faces as PNG."""
