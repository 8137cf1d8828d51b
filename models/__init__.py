"""Networks, their data, training, metrics and saliency. Code only: weights go to runs/."""
