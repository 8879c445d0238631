"""Memory, open files, threads and written bytes of a long run, along the way.

    python benchmarks/endurance.py [--rounds 20000] [--config digits_wgan_gp] [--config.KEY=VALUE ...]

Linux only. The run is a new process with the usual command. Its numbers are read from /proc a few times a second, and printed for
each tenth of the run: the median of its memory, and the maximum of the others.
"""

import argparse
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from measuring import ROOT, machine, process_status


def last_step(workdir: Path) -> int:
    """The step of the last complete line of metrics.jsonl."""
    path = workdir / 'metrics.jsonl'
    steps = re.findall(r'"step": (\d+).*\n', path.read_text()) if path.exists() else []
    return int(steps[-1]) if steps else 0


def size(directory: Path) -> int:
    """Bytes of all files below a directory; files that are removed meanwhile do not count."""
    total = 0
    for path in directory.rglob('*'):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except FileNotFoundError:
            continue
    return total


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--rounds', type=int, default=20_000)
    parser.add_argument('--config', default='digits_wgan_gp')
    arguments, flags = parser.parse_known_args()
    tenths: dict[int, list[tuple[int, ...]]] = {}
    with tempfile.TemporaryDirectory() as directory:
        workdir = Path(directory, 'run')
        command = [sys.executable, 'train.py', f'--config=configs/{arguments.config}.py', f'--workdir={workdir}', *flags]
        command.append(f'--config.num_steps={arguments.rounds}')
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while process.poll() is None:
            if step := last_step(workdir):
                try:
                    status = process_status(process.pid)
                    open_files = len(list(Path(f'/proc/{process.pid}/fd').iterdir()))
                except (FileNotFoundError, TypeError):  # it has just ended
                    break
                written = (workdir / 'metrics.jsonl').stat().st_size, size(workdir / 'tensorboard'), size(workdir)
                row = status['memory'], open_files, status['threads'], *written
                tenths.setdefault(min(9, 10 * step // arguments.rounds), []).append(row)
            time.sleep(0.2)
        if process.wait():
            raise SystemExit(f'{" ".join(command)} failed.')
    print(machine())
    print('   rounds  memory, MiB  open files  threads  metrics.jsonl, kB  tensorboard, kB  all files, kB')
    for tenth, rows in sorted(tenths.items()):
        memory, *others = zip(*rows, strict=True)
        files, threads, *written = map(max, others)
        sizes = '  '.join(f'{number / 1000:{width},.0f}' for number, width in zip(written, (17, 15, 13), strict=True))
        rounds = (tenth + 1) * arguments.rounds // 10
        print(f'{rounds:9,}  {statistics.median(memory) / 2**20:11,.1f}  {files:10}  {threads:7}  {sizes}')


if __name__ == '__main__':
    main()
