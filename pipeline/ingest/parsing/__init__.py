"""What names, cells and columns say."""
