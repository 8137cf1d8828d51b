"""What people decide: `decision` is one line, `book` the file, `settle` what counts, `stage` the tables of it."""
