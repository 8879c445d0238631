"""Reads the CSV files of figures."""

import csv

import numpy as np


def rows_of(path):
    """A dictionary of strings for each line."""
    with path.open() as file:
        return list(csv.DictReader(file))


def columns_of(path):
    """{name: array of float}."""
    rows = rows_of(path)
    return {name: np.array([float(row[name]) for row in rows]) for name in rows[0]}
