"""Every face of a raw tree, found and brought to the template."""
