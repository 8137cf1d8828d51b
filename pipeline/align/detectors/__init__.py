"""The protocol of a detector, and detectors of other projects behind it."""
