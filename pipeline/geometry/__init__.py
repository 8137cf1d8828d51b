"""Where a face lies: points, the template, the warp."""
