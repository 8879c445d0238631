"""What several figures use: output files, critics against a fixed generator, whole runs and their curves."""
