"""A general network, made a person's own."""
