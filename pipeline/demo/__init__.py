"""Small raw trees of five datasets in their native layouts, rendered from the one portrait that scikit-image ships."""
