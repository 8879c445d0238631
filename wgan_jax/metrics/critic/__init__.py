"""What a critic's numbers are worth: estimates, the probe, slopes, and layers."""
