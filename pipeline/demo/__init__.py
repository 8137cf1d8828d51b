"""Small raw trees of four datasets in their native layouts, rendered from the one portrait that scikit-image ships."""
