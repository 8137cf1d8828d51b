"""Files of a dataset, in folders and archives."""
