"""Diagnostics of a critic: estimates, the probe, slopes, weights and gradients by layer."""
