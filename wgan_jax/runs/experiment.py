"""A run before it starts: all that training, sampling and scoring need of a config, as typed objects."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import optax

from wgan_jax.algorithm.schedule import Schedule
from wgan_jax.algorithm.state import GANState
from wgan_jax.algorithm.steps import Carry, zero_sums
from wgan_jax.data.source import Source
from wgan_jax.runs.config import check_num_updates
from wgan_jax.runs.own_code import Code
from wgan_jax.runs.tracking import Tracking

Numbers = Mapping[str, Any]  # values of numeric keys of a config, such as 'critic_optimizer.b1': floats, or traced scalars


class Data(NamedTuple):
    """The images of a run."""

    name: str
    source: Source
    placement: str  # auto, device or host: see data.feed
    settings: dict[str, Any]  # the section `data` of the config, for the protocol of a score


class Outputs(NamedTuple):
    """What a run writes, and how many rounds lie between, or epochs, see Experiment.in_rounds."""

    log_every: int
    sample_every: int
    num_samples: int  # images in a grid
    exact_points: int | None  # generated and real points whose exact distance each log point has; None: no exact distances
    standing_batches: int  # of latents, for the statistics of batch norm when images are made; 0: they are the running ones
    checkpoint_every: int
    checkpoints_to_keep: int
    eval_every: int | None
    best_metric: str | None  # the score by which the best checkpoint is kept, with its number of samples
    on_log: Callable[[int, dict[str, Any]], None] | None = None  # called with the step and a line of metrics.jsonl
    on_sample: Callable[[int, np.ndarray], None] | None = None  # called with the step and the grid, uint8 [H, W, C]
    tracking: Tracking | None = None  # a tracker that gets it too; no key of the config, since no result depends on it


class ScoreSettings(NamedTuple):
    """How generated images are scored."""

    num_samples: int
    features: str | None  # name of the feature network
    weights: Path | None  # file with its weights; None: where they are usually kept


class Experiment(NamedTuple):
    """A run before it starts."""

    config: dict[str, Any]  # resolved and nested, JSON: what config.json says, and what a resumed run is compared with
    code: Code | None  # the user's own, which a copy in the run's directory keeps
    init_key: jax.Array
    create: Callable[[jax.Array], GANState]  # makes the first state from a key; compiled
    optimizers: Callable[[Numbers], tuple[optax.GradientTransformation, optax.GradientTransformation]]  # generator's, critic's
    round_settings: dict[str, Any]  # keyword arguments of algorithm.steps.train_round
    clip_value: float | None
    schedule: Schedule
    train_key: jax.Array  # the run's key, the same at every step
    sample_key: jax.Array  # of the latents of all grids, and of those for batch statistics
    with_image_statistics: Callable[[GANState, jax.Array], GANState]  # see `for_images`; the key is sample_key
    data: Data
    num_steps: int
    in_epochs: bool  # whether num_steps and the intervals of `outputs` are epochs; see `in_rounds`
    batch_size: int  # over all devices
    shared_images: bool  # whether the critic updates of a round share one batch
    seed: int
    deterministic: bool
    max_rewinds: int  # how often training may go back when it diverges
    outputs: Outputs
    scoring: ScoreSettings

    def create_state(self) -> GANState:
        """The state before the first round."""
        return self.create(self.init_key)

    def create_carry(self) -> Carry:
        """What rounds carry from call to call, and checkpoints save, before the first round."""
        return self.create_state(), zero_sums(self.round_settings['gp_weight'])

    def sample_latents(self) -> jax.Array:
        """The fixed latents of all grids, [num_samples, latent_dim]."""
        return jax.random.normal(self.sample_key, (self.outputs.num_samples, self.latent_dim))

    def tracked_by(self, tracking: Tracking | None) -> 'Experiment':
        """The same run, which a tracker follows too."""
        return self._replace(outputs=self.outputs._replace(tracking=tracking))

    def for_images(self, state: GANState) -> GANState:
        """Gives the generator the batch statistics with which images are made."""
        return self.with_image_statistics(state, self.sample_key)

    def with_numbers(self, state: GANState, numbers: Numbers) -> tuple[GANState, dict[str, Any]]:
        """The state with optimizers, and `round_settings`, in which some numbers of the config are replaced.

        The arrays of the state stay the same. Numbers may be traced, so that one program serves many runs.
        """
        generator, critic = self.optimizers(numbers)
        state = state.replace(generator=state.generator.replace(tx=generator), critic=state.critic.replace(tx=critic))
        return state, {name: numbers.get(name, value) for name, value in self.round_settings.items()}

    @property
    def latent_dim(self) -> int:
        """Size of a latent vector."""
        return self.round_settings['latent_dim']

    def batches_before(self, step: int) -> int:
        """Batches of images that the first `step` rounds read."""
        return step if self.shared_images else self.schedule.updates_before(step)

    def rounds_per_epoch(self, num_images: int) -> int:
        """The fewest rounds, none of them boosted, that read as many images as there are."""
        return rounds_per_epoch(num_images, self.batch_size * (1 if self.shared_images else self.schedule.n_critic))

    def images_before(self, step: int) -> int:
        """Real images that the critic sees in the first `step` rounds."""
        return self.schedule.updates_before(step) * self.batch_size

    def epochs_before(self, step: int, num_images: int) -> float:
        """How often the first `step` rounds read the whole data set."""
        return self.batches_before(step) * self.batch_size / num_images

    def in_rounds(self, num_images: int) -> 'Experiment':
        """This run, with its length and its intervals in rounds.

        Raises:
          UserError: the critic would have too many updates.
        """
        if not self.in_epochs:
            return self
        rounds = self.rounds_per_epoch(num_images)
        outputs = self.outputs._asdict()
        outputs |= {name: value * rounds for name, value in outputs.items() if name.endswith('_every') and value is not None}
        check_num_updates(self.schedule, self.num_steps * rounds)
        return self._replace(num_steps=self.num_steps * rounds, outputs=Outputs(**outputs), in_epochs=False)


def rounds_per_epoch(num_images: int, images_per_round: int) -> int:
    """The fewest rounds that read as many images as there are."""
    return -(-num_images // images_per_round)
