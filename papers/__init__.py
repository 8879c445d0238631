"""The figures and the table of the papers: `python -m papers NAME` makes each of them.

There is one module for each NAME; shared/ has what several of them use. It needs configs/, so it is run from the root of the clone.
"""
