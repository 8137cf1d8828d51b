"""Which of the faces that were found are good enough: `gates` judges one, `stage` a dataset."""
