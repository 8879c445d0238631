"""Feature networks: distances between sets of images are computed on their features."""
