"""Raw trees: the files of a dataset as it ships, in folders and archives, under one interface (`tree`)."""
