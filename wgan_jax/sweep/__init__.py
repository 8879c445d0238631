"""Sweeps: a config with other settings and seeds, trained as a group."""
