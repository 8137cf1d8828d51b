"""Sets of DVC experiments that belong together: the cross-dataset matrix, and the folds of a split."""
