"""How good a state is: the scores of its samples, what its critic can tell, and the protocol that both depend on."""

import math
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from wgan_jax.algorithm.state import GANState, generate
from wgan_jax.data import held_out_of
from wgan_jax.devices import compiling
from wgan_jax.errors import UserError
from wgan_jax.metrics import scores
from wgan_jax.metrics.critic import probe
from wgan_jax.metrics.critic.diagnostics import NUM_IMAGES, NUM_UPDATES, make_diagnostics
from wgan_jax.metrics.features import registry
from wgan_jax.runs import files
from wgan_jax.runs.checkpoint import Score
from wgan_jax.runs.experiment import Experiment
from wgan_jax.sample import generator

_BATCH_PIXELS = 500 * 64 * 64 * 3  # of what goes through the generator together; its layers take some hundred times the bytes
_LATENTS = 1  # no other key of an evaluation is folded from this number
_PILOT = 64  # images that are scored to see which scores there are


class Evaluation:
    """Scores the states of one run; what does not depend on the state is computed once."""

    def __init__(
        self, config: ConfigDict, experiment: Experiment, images: np.ndarray, *, seed: int = 0, scorer: scores.Scorer | None = None
    ) -> None:
        """Takes the features of the real images, which may last minutes.

        Args:
          config: a config with the keys of configs/default.py.
          experiment: what it builds.
          images: what it trains on, uint8 [N, H, W, C].
          seed: of the latents, and of every other choice that is made at random.
          scorer: that of another run on the same images, with as many samples and the same seed, so that it is not made again.

        Raises:
          UserError: the weights of the feature network are not to be had, or config.best_metric is no score.
        """
        if len(images) < scores.LEAST:
            raise UserError(
                f'{len(images)} images are too few to compare with, at least {scores.LEAST}: set config.eval_every=None.'
            )
        held_out = _held_out(config)
        self._config, self._seed = config, seed
        if scorer is None:
            name = registry.name_for(config.eval_features, config.data.name, images.shape[1:])
            network = None if name is None else registry.load(name, config.eval_weights)
            scorer = scores.Scorer(images, held_out, network, num_samples=config.eval_num_samples, seed=seed)
        self.scorer = scorer
        if config.best_metric is not None:
            pilot, _ = self.scorer.score(np.asarray(images[:_PILOT]))
            known = [scores.with_count(scores.without_count(name), config.eval_num_samples) for name in pilot]
            known = [name for name in known if scores.can_choose(name)]
            if scores.full_name(config.best_metric, config.eval_num_samples) not in known:
                raise UserError(
                    f'config.best_metric={config.best_metric!r} is no score of this run by which one would choose; these are: '
                    f'{", ".join(map(scores.without_count, known))}.'
                )
        self._num_parts = _parts(config, experiment)
        self._generate = compiling.compiled(generate, deterministic=config.deterministic)
        self._diagnose = make_diagnostics(
            batch_size=config.batch_size,
            clip_value=config.clip_value,
            deterministic=config.deterministic,
            **{**experiment.round_settings, 'grad_accumulation': self._num_parts},
        )
        count = max(NUM_IMAGES, 2 * config.batch_size)
        # What the probe measures with must not be among what it learns from, also where a small set is gone through repeatedly.
        parts = [(slice(None), count)]
        if len(images) < count:
            measured, quarter = probe.num_measured(count, config.batch_size), len(images) // 4
            parts = [(slice(quarter), measured), (slice(quarter, None), count - measured)]
        self._train_sample = np.concatenate([_sample(images, part, number, seed) for part, number in parts])
        self._held_out_sample = None
        if held_out is not None:
            self._held_out_sample = _sample(held_out, slice(None), max(min(len(held_out), NUM_IMAGES), config.batch_size), seed)

    def samples(self, state: GANState) -> np.ndarray:
        """The generated images that are scored: uint8 [config.eval_num_samples, H, W, C]."""
        key, count = jax.random.fold_in(jax.random.key(self._seed), _LATENTS), self._config.eval_num_samples
        size = max(1, min(500, _BATCH_PIXELS // math.prod(self._train_sample.shape[1:])))
        batches = []
        for start in range(0, count, size):
            latents = jax.random.normal(jax.random.fold_in(key, start), (size, self._config.latent_dim))
            batches.append(generator.to_uint8(self._generate(state, latents)))
        return np.concatenate(batches)[:count]

    def __call__(self, state: GANState, samples: np.ndarray | None = None) -> dict[str, Any]:
        """Everything about a state of arrays on this machine, which stays as it is.

        Args:
          state: the state.
          samples: what self.samples gives for it, if that is at hand.

        Returns:
          `scores`, one number each; `floor`, those of real images in the place of samples; `as_many`, those of only as many
          samples as there are such images, if these are fewer, for most scores depend on the number; `classes` and
          `classes_of_real`, the share of each class, where the feature network knows them; `critic`, what metrics.diagnostics
          tells; and `protocol`, all that the numbers depend on and do not show. All JSON.
        """
        samples = self.samples(state) if samples is None else samples
        measured, details = self.scorer.score(samples)
        as_many = {}
        if self.scorer.held_out is not None and len(self.scorer.held_out) < len(samples):
            as_many, _ = self.scorer.score(samples[: len(self.scorer.held_out)], real=True)
        key = jax.random.key(self._seed)
        return {
            'scores': measured,
            'floor': self.scorer.floor,
            'as_many': as_many,
            **details,
            **{f'{name}_of_real': value for name, value in self.scorer.floor_details.items()},
            'critic': self._diagnose(state, self._train_sample, self._held_out_sample, key),
            'protocol': self._protocol(),
        }

    def best_score(self, measured: dict[str, float]) -> Score | None:
        """What the checkpoint of these scores is kept for."""
        name = scores.full_name(self._config.best_metric, self._config.eval_num_samples)
        if name is None:
            return None
        return Score(name, measured[name] if scores.lower_is_better(name) else -measured[name])

    def _protocol(self) -> dict[str, Any]:
        config = self._config
        return {
            'data': dict(config.data.items()),
            'image_shape': list(self._train_sample.shape[1:]),
            'num_samples': config.eval_num_samples,
            **self.scorer.protocol,
            'generator': 'exponential moving average' if config.ema_decay is not None else 'raw',
            'num_for_critic': len(self._train_sample),
            'num_for_critic_held_out': 0 if self._held_out_sample is None else len(self._held_out_sample),
            'probe_updates': NUM_UPDATES,
            'critic_batch': [config.batch_size, f'in {self._num_parts} parts'],
            'versions': files.versions(),
            'device': jax.devices()[0].device_kind,
        }


def _held_out(config: ConfigDict) -> np.ndarray | None:
    """Images that are not trained on, if they are to be had."""
    source = held_out_of(config.data)
    if source is None:
        return None
    try:
        images = source.load()
    except UserError as error:
        print(f'Warning: no images are held out, so there is no floor to the scores. {error}')
        return None
    if len(images) < scores.LEAST:
        print(f'Warning: {len(images)} images held out are too few for a floor to the scores: at least {scores.LEAST}.')
        return None
    return images


def _parts(config: ConfigDict, experiment: Experiment) -> int:
    """Parts of a batch for the diagnostics: as small as on one of the devices here, unless that would be another measurement.

    Batch norm has the statistics of the whole batch in a run, on however many devices, and these devices need not be the run's.
    """
    state, parts = jax.eval_shape(experiment.create_state), config.grad_accumulation * jax.device_count()
    has_batch_norm = state.generator.batch_stats or state.critic.batch_stats
    return config.grad_accumulation if has_batch_norm or config.batch_size % parts else parts


def _sample(images: np.ndarray, part: slice, count: int, seed: int) -> np.ndarray:
    """`count` images of a part of them in a random order; where there are fewer, all of these, again and again."""
    order = np.random.Generator(np.random.Philox(key=seed)).permutation(len(images))[part]
    return np.asarray(images[order[np.arange(count) % len(order)]])
