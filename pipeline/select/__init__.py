"""Quality gates: `gates` checks one face against the limits, `stage` checks all faces of a dataset."""
