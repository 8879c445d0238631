"""Images per second and memory of preparing CelebA, and the time that all of its images would take.

    python benchmarks/preparation.py --manual_dir=DIR [--image_size=64] [--runs=3]

DIR has CelebA's img_align_celeba.zip or some of its images. Each run prepares all of them in a new process, into a temporary
directory. Memory is the maximum of the process's own memory, without mapped files (Linux only).
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time

from measuring import process_status

from wgan_jax.data import celeba

CELEBA = 202_599  # images


def prepare(manual_dir: str, image_size: int) -> None:
    """Prepares once, and prints images, seconds, and memory before and at most."""
    before = most = process_status()['memory']
    done = threading.Event()

    def watch() -> None:
        nonlocal most
        while not done.wait(0.02):
            most = max(most, process_status()['memory'])

    watcher = threading.Thread(target=watch)
    watcher.start()
    with tempfile.TemporaryDirectory() as directory:
        start = time.perf_counter()
        images = celeba.source(directory, manual_dir, image_size, split='all').load()
        seconds = time.perf_counter() - start
        done.set()
        watcher.join()
        print('measured', len(images), seconds, before, most)


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument('--manual_dir', required=True)
    parser.add_argument('--image_size', type=int, default=64)
    parser.add_argument('--runs', type=int, default=3)
    parser.add_argument('--once', action='store_true', help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.once:
        prepare(arguments.manual_dir, arguments.image_size)
        return
    rates = []
    print(f'{os.cpu_count()} cores; {"images":>8}{"seconds":>9}{"per second":>12}{"MiB before":>12}{"MiB at most":>13}')
    command = [sys.executable, __file__, '--once', f'--manual_dir={arguments.manual_dir}', f'--image_size={arguments.image_size}']
    for _ in range(arguments.runs):
        output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        count, seconds, before, most = map(float, output.splitlines()[-1].split()[1:])
        rates.append(count / seconds)
        print(f'{"":9}{count:8.0f}{seconds:9.1f}{rates[-1]:12.0f}{before / 2**20:12.0f}{most / 2**20:13.0f}', flush=True)
    rate = statistics.median(rates)
    print(f'median {rate:.0f} images per second: all {CELEBA:,} images of CelebA in {CELEBA / rate:.0f} s')


if __name__ == '__main__':
    main()
