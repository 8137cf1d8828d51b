"""MTCNN (Zhang et al. 2016): exactly as facenet-pytorch runs it, and arranged for speed on large batches."""
