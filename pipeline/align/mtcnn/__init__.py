"""MTCNN on large batches."""
