"""Seconds of an evaluation, part by part.

    python benchmarks/evaluation.py RUN [--num_samples=10000] [other flags of wgan_jax.evaluate, except --raw, --out and --images]

Scores the newest checkpoint of a run twice. The first evaluation includes compiling; the features of the real images are computed
once per run, before it.
"""

import sys
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from measuring import machine

from wgan_jax.evaluate import __main__
from wgan_jax.evaluate.scoring import Scoring
from wgan_jax.metrics import frechet, kernel, neighbours, sliced, ssim
from wgan_jax.runs import terminal
from wgan_jax.runs.saved_run import open_run

PARTS = {  # function: its module, where it is replaced by a timed one
    'frechet_distance': frechet,
    'frechet_infinity': frechet,
    'kernel_distance': kernel,
    'precision_recall': neighbours,
    'copying': neighbours,
    'sliced_wasserstein': sliced,
    'diversity': ssim,
}


def timed(function: Callable[..., Any], seconds: dict[str, float], name: str) -> Callable[..., Any]:
    """The function, which also adds the time of each call to seconds[name]."""

    def run(*arguments: Any, **options: Any) -> Any:
        start = time.perf_counter()
        result = function(*arguments, **options)
        seconds[name] += time.perf_counter() - start
        return result

    return run


def main() -> None:
    """Prints the table."""
    arguments = __main__.parse(sys.argv[1:])
    if arguments.raw or arguments.out or arguments.images:
        sys.exit('--raw, --out and --images do not apply: this program writes nothing.')
    terminal.keep_orbax_quiet()
    changes = {'eval_num_samples': arguments.num_samples, 'eval_features': arguments.features, 'eval_weights': arguments.weights}
    changes |= {f'data.{name}': getattr(arguments, name) for name in ('dir', 'manual_dir', 'folder', 'file')}
    run = open_run(arguments.workdir, arguments.step, changes)
    images = run.experiment.data.source.load()
    seconds: dict[str, float] = defaultdict(float)
    for name, module in PARTS.items():
        setattr(module, name, timed(getattr(module, name), seconds, name))
    scoring = timed(Scoring, seconds, 'all')(run.experiment, images, seed=arguments.seed)
    columns = [dict(seconds)]
    scorer = scoring.scorer
    if scorer.network is not None:
        scorer.network = scorer.network._replace(apply=timed(scorer.network.apply, seconds, 'features'))
    scoring.samples = timed(scoring.samples, seconds, 'samples')
    scoring._diagnose = timed(scoring._diagnose, seconds, 'critic')
    for _ in range(2):
        seconds.clear()
        timed(scoring, seconds, 'all')(run.state)
        columns.append(dict(seconds))
    print(f'{machine()}; {run.experiment.scoring.num_samples} samples, {len(images)} images of {images.shape[1:]}')
    print('| seconds | once per run | first evaluation | every other |\n|---|---|---|---|')
    for name in [*PARTS, 'samples', 'features', 'critic', 'all']:
        cells = [f'{column[name]:.1f}' if name in column else '' for column in columns]
        print(f'| {name} | {" | ".join(cells)} |')


if __name__ == '__main__':
    main()
