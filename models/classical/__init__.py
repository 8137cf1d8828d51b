"""Classical baselines: fixed features and a classifier of scikit-learn."""
