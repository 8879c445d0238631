"""Feature networks and the distances between images that are taken with them."""
