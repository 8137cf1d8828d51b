"""What people look at: the data card as a page, and contact sheets of faces."""
