"""How good a state is: the scores of its samples, the diagnostics of its critic, and the protocol that both depend on."""

import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from wgan_jax.algorithm.standing_statistics import BATCH
from wgan_jax.algorithm.state import GANState, generate, has_batch_norm
from wgan_jax.devices.compiling import compiled, in_batches
from wgan_jax.errors import LocalError, UserError
from wgan_jax.metrics import scores
from wgan_jax.metrics.critic import probe
from wgan_jax.metrics.critic.diagnostics import NUM_IMAGES, NUM_UPDATES, make_diagnostics
from wgan_jax.metrics.features import registry
from wgan_jax.runs.checkpoint import Score
from wgan_jax.runs.experiment import Experiment
from wgan_jax.runs.files import versions
from wgan_jax.sample.generator import to_uint8

_MAX_BATCH = 500  # images
_BATCH_PIXELS = _MAX_BATCH * 64 * 64 * 3  # of a batch: the generator's layers need some hundred times as many bytes
_LATENTS = 1  # no other key of an evaluation is folded from this number
_PILOT = 64  # images that are scored to find out which scores there are


def _within_memory(kind: type[UserError]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """A decorator that turns the errors of too little memory, of the host or of a device, into an error of this kind."""

    def decorate(method: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(method)
        def wrapped(*arguments: Any, **options: Any) -> Any:
            try:
                return method(*arguments, **options)
            except (MemoryError, jax.errors.JaxRuntimeError) as error:
                if not isinstance(error, MemoryError) and 'RESOURCE_EXHAUSTED' not in str(error):
                    raise
                raise kind(
                    'Scores need more memory than there is: set a smaller number of samples (config.eval_num_samples, or '
                    '--num_samples of evaluate), or train with config.eval_every=None.'
                ) from error

        return wrapped

    return decorate


class Scoring:
    """Scores the states of one run; what does not depend on the state is computed once."""

    @_within_memory(UserError)
    def __init__(
        self,
        experiment: Experiment,
        images: np.ndarray,
        *,
        seed: int = 0,
        best_metric: str | None = None,
        scorer: scores.Scorer | None = None,
        num_devices: int | None = None,
    ) -> None:
        """Computes the features of the real images, which may take minutes.

        Args:
          experiment: the run.
          images: its training images, uint8 [N, H, W, C].
          seed: of the latents, and of every other random choice.
          best_metric: the score of best_score, with its number of samples.
          num_devices: devices that share a batch of the run; None: all.
          scorer: that of another run with the same images, number of samples and seed, to save computing it again.

        Raises:
          UserError: there are too few images or too little memory, the weights of the feature network cannot be found, or there is
            no such best_metric.
        """
        if len(images) < scores.LEAST:
            raise UserError(
                f'{len(images)} images are too few for scores, which need {scores.LEAST}: train with config.eval_every=None.'
            )
        settings, held_out = experiment.scoring, _held_out(experiment)
        self._experiment, self._seed, self._best_metric = experiment, seed, best_metric
        if scorer is None:
            network = None if settings.features is None else registry.load(settings.features, settings.weights)
            scorer = scores.Scorer(images, held_out, network, num_samples=settings.num_samples, seed=seed)
        self.scorer = scorer
        if best_metric is not None:
            self._check_best_metric(images)
        self._num_parts = _parts(experiment, num_devices or jax.device_count())
        _, self._critic_optimizer = experiment.optimizers({})
        self._for_images = compiled(experiment.with_image_statistics, deterministic=experiment.deterministic)
        self._generate = compiled(generate, deterministic=experiment.deterministic)
        batch_size = experiment.batch_size
        self._diagnose = make_diagnostics(
            batch_size=batch_size,
            clip_value=experiment.clip_value,
            deterministic=experiment.deterministic,
            grad_accumulation=self._num_parts,
            **{name: value for name, value in experiment.round_settings.items() if name not in ('ema_decay', 'grad_accumulation')},
        )
        count = max(NUM_IMAGES, 2 * batch_size)
        parts = [(slice(None), count)]
        if len(images) < count:  # repeated images: the probe must still measure on other images than it trains on
            measured, quarter = probe.num_measured(count, batch_size), len(images) // 4
            parts = [(slice(quarter), measured), (slice(quarter, None), count - measured)]
        self._train_sample = np.concatenate([_sample(images, part, number, seed) for part, number in parts])
        self._held_out_sample = None
        if held_out is not None:
            self._held_out_sample = _sample(held_out, slice(None), max(min(len(held_out), NUM_IMAGES), batch_size), seed)

    @_within_memory(LocalError)  # one process scores, and the others would wait for it
    def samples(self, state: GANState, sample_key: jax.Array | None = None) -> np.ndarray:
        """The generated images to be scored: uint8 [num_samples, H, W, C]; `sample_key` as for the scores."""
        key, count = jax.random.fold_in(jax.random.key(self._seed), _LATENTS), self._experiment.scoring.num_samples
        size = max(1, min(_MAX_BATCH, _BATCH_PIXELS // math.prod(self._train_sample.shape[1:])))
        shape = size, self._experiment.latent_dim
        latents = [jax.random.normal(jax.random.fold_in(key, start), shape) for start in range(0, count, size)]
        state = self._for_images(state, self._experiment.sample_key if sample_key is None else sample_key)
        batches = in_batches(lambda batch: self._generate(state, batch), np.concatenate(latents)[:count], size)
        images, filled = np.empty((count, *self._train_sample.shape[1:]), np.uint8), 0  # in parts, they would be in memory twice
        for batch in batches:
            images[filled : filled + len(batch)] = to_uint8(batch)
            filled += len(batch)
        return images

    @_within_memory(LocalError)
    def __call__(
        self, state: GANState, samples: np.ndarray | None = None, *, sample_key: jax.Array | None = None
    ) -> dict[str, Any]:
        """Scores a state of arrays on this machine; the state does not change.

        Args:
          state: the state.
          samples: the result of self.samples for this state, if it is known.
          sample_key: that of the run of the state, if this is another run, whose config differs in seed, in `ema_decay` and in the
            generator's optimizer only.

        Returns:
          JSON: `scores`, one number each; `floor`, the scores of held-out real images in place of samples; `as_many`, the scores
          of only as many samples as there are held-out images, if these are fewer, since most scores depend on the number;
          `classes` and `classes_of_real`, the share of each class, if the feature network has the classes of the data set;
          `critic`, the results of metrics.critic.diagnostics; and `protocol`, what the numbers depend on.
        """
        samples = self.samples(state, sample_key) if samples is None else samples
        measured, details = self.scorer.score(samples)
        as_many = {}
        if self.scorer.held_out is not None and len(self.scorer.held_out) < len(samples):
            as_many, _ = self.scorer.score(samples[: len(self.scorer.held_out)], real=True)
        key = jax.random.key(self._seed)
        # In a group, the state may bring the optimizer of the first member.
        critic = state.critic.replace(tx=self._critic_optimizer)
        return {
            'scores': measured,
            'floor': self.scorer.floor,
            'as_many': as_many,
            **details,
            **{f'{name}_of_real': value for name, value in self.scorer.floor_details.items()},
            'critic': self._diagnose(state.replace(critic=critic), self._train_sample, self._held_out_sample, key),
            'protocol': self._protocol(),
        }

    def best_score(self, measured: dict[str, float]) -> Score | None:
        """The score that the checkpoint of this state is kept for."""
        name = self._best_metric
        if name is None:
            return None
        return Score(name, measured[name] if scores.lower_is_better(name) else -measured[name])

    def _check_best_metric(self, images: np.ndarray) -> None:
        pilot, _ = self.scorer.score(np.asarray(images[:_PILOT]))
        names = [scores.without_count(name) for name in pilot]
        count = self._experiment.scoring.num_samples
        known = [name for name in names if scores.can_choose(scores.with_count(name, count))]
        if self._best_metric not in [scores.with_count(name, count) for name in known]:
            raise UserError(
                f'config.best_metric={self._experiment.config["best_metric"]!r} is not a score that can rank the checkpoints of '
                f'this run; known: {", ".join(known)}.'
            )

    def _protocol(self) -> dict[str, Any]:
        experiment = self._experiment
        standing = experiment.outputs.standing_batches
        return {
            'data': experiment.data.settings,
            'image_shape': list(self._train_sample.shape[1:]),
            'num_samples': experiment.scoring.num_samples,
            **self.scorer.protocol,
            'generator': 'exponential moving average' if experiment.round_settings['ema_decay'] is not None else 'raw',
            'batch_statistics': f'of {standing} batches of {BATCH} latents' if standing else 'running',
            'num_for_critic': len(self._train_sample),
            'num_for_critic_held_out': 0 if self._held_out_sample is None else len(self._held_out_sample),
            'probe_updates': NUM_UPDATES,
            'critic_batch': [experiment.batch_size, f'in {self._num_parts} parts'],
            'versions': versions(),
            'device': jax.devices()[0].device_kind,
        }


def _held_out(experiment: Experiment) -> np.ndarray | None:
    """The held-out images, if there are any and they can be loaded."""
    if experiment.data.source.held_out is None:
        return None
    try:
        images = experiment.data.source.held_out().load()
    except UserError as error:
        if experiment.data.settings.get('strict'):
            raise
        print(f'Warning: the held-out images cannot be loaded, so the scores have no floor. {error}')
        return None
    if len(images) < scores.LEAST:
        print(f'Warning: {len(images)} held-out images are too few for a floor of the scores, which needs {scores.LEAST}.')
        return None
    return images


def _parts(experiment: Experiment, num_devices: int) -> int:
    """Parts of a batch for the diagnostics: as small as on one device of the run, unless that changes what is measured.

    Batch norm takes the statistics of the whole batch in a run, on any number of devices, and the run may have had other devices.
    """
    accumulation = experiment.round_settings['grad_accumulation']
    state, parts = jax.eval_shape(experiment.create_state), accumulation * num_devices
    mixes_examples = has_batch_norm(state.generator) or has_batch_norm(state.critic)
    return accumulation if mixes_examples or experiment.batch_size % parts else parts


def _sample(images: np.ndarray, part: slice, count: int, seed: int) -> np.ndarray:
    """`count` images of a part of them in random order, repeated if there are fewer."""
    order = np.random.Generator(np.random.Philox(key=seed)).permutation(len(images))[part]
    return np.asarray(images[order[np.arange(count) % len(order)]])
