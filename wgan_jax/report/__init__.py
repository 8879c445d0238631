"""The report of one run or several: one HTML file that needs nothing besides itself, neither a network nor the run."""
