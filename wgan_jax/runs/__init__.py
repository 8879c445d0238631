"""A run and its files: what its config may say, what is built from it, and what it writes and reads."""
