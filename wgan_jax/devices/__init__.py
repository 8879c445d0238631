"""Devices and processes: pmap over the devices, compiling, and what the processes of a run agree on."""
