"""Seeds on a command line; a seed stands for one latent vector, and so for one image."""

import argparse
import re

END = 2**32  # seeds are smaller
MAX_SEEDS = 1_000_000  # at a time


def parse(text: str) -> list[int]:
    """The seeds in a text such as '0,1,5-9', in the same order.

    Raises:
      argparse.ArgumentTypeError: the text has something else, or too many seeds.
    """
    ranges = []
    for part in text.split(','):
        match = re.fullmatch(r' *([0-9]+)(?:-([0-9]+))? *', part, re.ASCII)
        if match is None:
            raise argparse.ArgumentTypeError(f'{part!r} is not a seed: give numbers and ranges, such as 0,1,5-9')
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first:
            raise argparse.ArgumentTypeError(f'{part!r} is not a range: give the smaller seed first')
        if last >= END:
            raise argparse.ArgumentTypeError(f'{last} is too large: seeds are less than 2^32')
        ranges.append(range(first, last + 1))
    if (count := sum(map(len, ranges))) > MAX_SEEDS:
        raise argparse.ArgumentTypeError(f'{count} seeds are too many: at most {MAX_SEEDS}')
    return [seed for seeds in ranges for seed in seeds]
