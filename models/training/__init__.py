"""Training: the data of an epoch, the step, the engine around it, and how it went."""
