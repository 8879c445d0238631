"""What standing statistics of batch norm change: the Frechet distance of runs with several seeds, and the seconds of a grid.

    python benchmarks/standing_statistics.py --config mnist_gan --width 16 --steps 938 --seeds 8 [--manual_dir=DIR]

Each run is trained once, and sampled with the running statistics and with those of 1, 4, 16 and 64 batches. The features are those
of the data set's own network, as in python -m wgan_jax.evaluate.
"""

import argparse
import contextlib
import io
import statistics
import sys
import tempfile
import time

import jax
import numpy as np
from measuring import deviation, load_config, machine

from wgan_jax.algorithm.state import GANState, generate
from wgan_jax.evaluate.scoring import Scoring
from wgan_jax.metrics.frechet import Moments, frechet_distance
from wgan_jax.runs.build import prepare
from wgan_jax.runs.experiment import Experiment
from wgan_jax.runs.saved_run import open_run
from wgan_jax.runs.terminal import keep_orbax_quiet
from wgan_jax.training import trainer

BATCHES = (0, 1, 4, 16, 64)
_REPEATS = 5  # of a grid, for its time


def trained(experiment: Experiment) -> GANState:
    """The state after the last step of a run that is kept nowhere."""
    with tempfile.TemporaryDirectory() as workdir:
        with contextlib.redirect_stdout(io.StringIO()):
            trainer.train(experiment, workdir)
        return open_run(workdir).state


def seconds_of_a_grid(experiment: Experiment, state: GANState) -> float:
    """Median seconds to generate the images of a grid, with the statistics."""
    grid = jax.jit(lambda state, latents: generate(experiment.for_images(state), latents))
    latents, seconds = experiment.sample_latents(), []
    for _ in range(_REPEATS + 1):
        start = time.perf_counter()
        np.asarray(grid(state, latents))
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[1:])  # the first includes compiling


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument('--config', default='mnist_gan')
    parser.add_argument('--width', type=int, help='num_features of both players')
    parser.add_argument('--steps', type=int, default=938)
    parser.add_argument('--seeds', type=int, default=8)
    parser.add_argument('--manual_dir')
    arguments = parser.parse_args()
    keep_orbax_quiet()
    config = load_config(arguments.config, None)
    config.update(num_steps=arguments.steps, eval_every=None, sample_every=arguments.steps, checkpoint_every=arguments.steps)
    config.data.manual_dir = arguments.manual_dir
    for player in (config.generator, config.critic):
        player.num_features = arguments.width or player.num_features
    print(f'{machine()}; {arguments.config}, {arguments.steps} rounds, width {arguments.width}: Frechet distance')
    print(f'{"seed":>14}' + ''.join(f'{f"{count} batches" if count else "running":>14}' for count in BATCHES), flush=True)
    found: dict[int, list[float]] = {count: [] for count in BATCHES}
    seconds: dict[int, float] = {}
    scoring = None
    for seed in range(arguments.seeds):
        config.seed = seed
        experiment = prepare(config)
        state = trained(experiment)
        scorer = None if scoring is None else scoring.scorer
        for count in BATCHES:
            config.standing_batches = count
            varied = prepare(config)._replace(create=experiment.create)
            scoring = Scoring(varied, varied.data.source.load(), scorer=scorer)
            scorer = scoring.scorer
            if scorer.network is None:
                sys.exit(f'{arguments.config} has no feature network in the package.')
            moments = Moments.of(scorer.network.apply(scoring.samples(state))[0])
            found[count].append(frechet_distance(moments, scorer.moments))
            seconds.setdefault(count, seconds_of_a_grid(varied, state))
        config.standing_batches = 0
        print(f'{seed:14}' + ''.join(f'{found[count][-1]:14.2f}' for count in BATCHES), flush=True)
    for name, of in (('mean', statistics.mean), ('deviation', deviation), ('median', statistics.median)):
        print(f'{name:>14}' + ''.join(f'{of(found[count]):14.2f}' for count in BATCHES))
    print(f'{"s of a grid":>14}' + ''.join(f'{seconds[count]:14.3f}' for count in BATCHES))


if __name__ == '__main__':
    main()
