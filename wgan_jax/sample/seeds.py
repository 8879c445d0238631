"""Seeds on a command line: each is one latent vector, and so one picture, that can be named by it."""

import argparse
import re

END = 2**32  # seeds are less
MOST = 1_000_000  # at a time


def parse(text: str) -> list[int]:
    """Seeds from a text such as '0,1,5-9', in its order.

    Raises:
      argparse.ArgumentTypeError: it holds what is no seed, or too many.
    """
    ranges = []
    for part in text.split(','):
        match = re.fullmatch(r' *([0-9]+)(?:-([0-9]+))? *', part, re.ASCII)
        if match is None:
            raise argparse.ArgumentTypeError(f'{part!r} is no seed: give numbers and ranges, such as 0,1,5-9')
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first:
            raise argparse.ArgumentTypeError(f'{part!r} is no range: the smaller seed comes first')
        if last >= END:
            raise argparse.ArgumentTypeError(f'{last} is no seed: they are less than 2^32')
        ranges.append(range(first, last + 1))
    if (count := sum(map(len, ranges))) > MOST:
        raise argparse.ArgumentTypeError(f'{count} seeds are too many: at most {MOST}')
    return [seed for seeds in ranges for seed in seeds]
