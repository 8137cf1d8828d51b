"""What happens to the data. Knows no command line, no DVC and no path of the project."""
