"""How long an evaluation takes, part by part, on the machine as it is.

    python benchmarks/evaluation.py --workdir=RUN [--num_samples=10000] [any other flag of wgan_jax.evaluate]

Scores the newest checkpoint of a run twice: the first time holds what is done once per run (the real images' features, and
compiling), the second what every evaluation costs.
"""

import functools
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.measuring import machine
from wgan_jax.data import source_of
from wgan_jax.evaluate import __main__, scoring
from wgan_jax.metrics import frechet, kernel, neighbours, scores, sliced, ssim
from wgan_jax.runs import terminal
from wgan_jax.runs.saved_run import open_run

PARTS = {
    'frechet_distance': frechet,
    'frechet_infinity': frechet,
    'kernel_distance': kernel,
    'precision_recall': neighbours,
    'copying': neighbours,
    'sliced_wasserstein': sliced,
    'diversity': ssim,
}


def timed(function: Callable[..., Any], seconds: dict[str, float], name: str) -> Callable[..., Any]:
    """The function, whose time is added to what `seconds` has under a name."""

    @functools.wraps(function)
    def run(*arguments: Any, **options: Any) -> Any:
        began = time.perf_counter()
        result = function(*arguments, **options)
        seconds[name] += time.perf_counter() - began
        return result

    return run


def main() -> None:
    arguments = __main__.parse(sys.argv[1:])
    terminal.keep_orbax_quiet()
    changes = {'eval_num_samples': arguments.num_samples, 'eval_features': arguments.features, 'eval_weights': arguments.weights}
    run = open_run(arguments.workdir, arguments.step, changes)
    images = source_of(run.config.data).load()
    seconds: dict[str, float] = defaultdict(float)
    for name, module in PARTS.items():
        setattr(module, name, timed(getattr(module, name), seconds, name))
    began = time.perf_counter()
    evaluate_state = scoring.Evaluation(run.config, run.experiment, images, seed=arguments.seed)
    columns = {'once': {**seconds, 'all': time.perf_counter() - began}}
    scorer: scores.Scorer = evaluate_state.scorer
    if scorer.network is not None:
        scorer.network = scorer.network._replace(apply=timed(scorer.network.apply, seconds, 'features'))
    evaluate_state.samples = timed(evaluate_state.samples, seconds, 'samples')
    evaluate_state._diagnose = timed(evaluate_state._diagnose, seconds, 'critic')
    for column in ('first', 'second'):
        seconds.clear()
        began = time.perf_counter()
        evaluate_state(run.state)
        columns[column] = {**seconds, 'all': time.perf_counter() - began}
    print(f'{machine()}; {run.config.eval_num_samples} samples, {len(images)} images of {images.shape[1:]}')
    print('| seconds | once per run | first evaluation | every other |\n|---|---|---|---|')
    for name in [*PARTS, 'samples', 'features', 'critic', 'all']:
        cells = [f'{column[name]:.1f}' if name in column else '' for column in columns.values()]
        print(f'| {name} | {" | ".join(cells)} |')


if __name__ == '__main__':
    main()
