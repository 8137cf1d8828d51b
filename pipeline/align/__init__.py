"""Find the face of every sample and warp it to the template."""
