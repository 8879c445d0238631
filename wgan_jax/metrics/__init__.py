"""How good a generator is, and how good its critic."""
