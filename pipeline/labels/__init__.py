"""Native labels to the eight classes."""
