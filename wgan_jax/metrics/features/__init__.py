"""Feature networks, on whose features the distances between sets of images are taken."""
