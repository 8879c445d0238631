"""What a long run holds on to: memory, open files and threads of the process, and bytes of what it writes, along the way.

    python benchmarks/endurance.py [--rounds 20000] [--config digits_wgan_gp] [--config.KEY=VALUE ...]

On Linux. The run is a process of its own, as a person would begin it; the numbers are read from /proc a few times a second, and
those of each tenth of the run are printed: the median of memory, the most of the others.
"""

import argparse
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from measuring import machine

ROOT = Path(__file__).parent.parent


def last_step(workdir: Path) -> int:
    """The step of the last complete line of metrics.jsonl."""
    path = workdir / 'metrics.jsonl'
    steps = re.findall(r'"step": (\d+).*\n', path.read_text()) if path.exists() else []
    return int(steps[-1]) if steps else 0


def of_process(process: subprocess.Popen) -> tuple[int, int, int]:
    """(bytes of its own memory, open files, threads)."""
    status = Path(f'/proc/{process.pid}/status').read_text()
    memory, threads = (int(re.search(rf'{name}:\s+(\d+)', status)[1]) for name in ('RssAnon', 'Threads'))
    return 1024 * memory, len(list(Path(f'/proc/{process.pid}/fd').iterdir())), threads


def size(directory: Path) -> int:
    """Bytes of all files below a directory; a file that goes away meanwhile does not count."""
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
                    numbers = of_process(process)
                except (FileNotFoundError, TypeError):  # it has just ended
                    break
                written = (workdir / 'metrics.jsonl').stat().st_size, size(workdir / 'tensorboard'), size(workdir)
                tenths.setdefault(min(9, 10 * step // arguments.rounds), []).append((*numbers, *written))
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
