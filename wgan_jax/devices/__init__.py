"""Devices and processes: placing and splitting arrays, compiling, and agreement between processes."""
