"""Which setting of a sweep is the best, and whether that holds with fresh seeds."""

import math
import signal
import statistics
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from wgan_jax.devices import processes
from wgan_jax.errors import UserError
from wgan_jax.metrics.scores import can_choose, full_name, lower_is_better, rankable, with_count, without_count
from wgan_jax.report.comparable import data_key, differing, last_evaluations, why_not_comparable, with_images
from wgan_jax.report.read_runs import holds_run, read_runs
from wgan_jax.runs import extend
from wgan_jax.runs.experiment import Experiment
from wgan_jax.runs.members import setting_of
from wgan_jax.runs.tracking import Tracking
from wgan_jax.training.group import train_group


class Rated(NamedTuple):
    """The scores of one setting."""

    setting: str  # the name of its runs without the seed
    values: list[float]  # one for each seed that was scored at the last step
    missing: int  # seeds that were not: they have diverged, or are not complete

    @property
    def mean(self) -> float:
        """Mean over the seeds."""
        return statistics.mean(self.values)

    def __str__(self) -> str:
        if not self.values:
            return f'no score of the last step, {self.missing} seed{"s" if self.missing > 1 else ""}'
        spread = f' ± {statistics.stdev(self.values):.3g}' if len(self.values) > 1 else ''
        lost = f', {self.missing} without a score' if self.missing else ''
        return f'{self.mean:.4g}{spread} over {len(self.values)} seed{"s" if len(self.values) > 1 else ""}{lost}'


def check_metric(by: str | None, experiments: Mapping[str, Experiment], *, confirm: bool = False) -> None:
    """Refuses, before anything is trained, what cannot rank the runs.

    Args:
      by: name of a score, with or without the number of samples; None: the first score.
      experiments: the runs.
      confirm: whether the best setting will be trained anew.

    Raises:
      UserError: there is no such score, or the runs will be scored in different ways.
    """
    differs = differing([_measured(experiment) for experiment in experiments.values()])
    if differs and (by is not None or confirm):
        option = '--confirm' if by is None else f'--by={by}'
        raise UserError(
            f'{option} cannot rank these runs: their scores cannot be compared, since they differ in {", ".join(differs)}.'
        )
    if by is None or any(kind == 'score' for kind, _ in extend.OWN):  # what a score of one's own measures is known when it has run
        return
    for experiment in experiments.values():
        settings = experiment.scoring
        known = rankable(settings.features, experiment.data.source.image_shape)
        if full_name(by, settings.num_samples).removesuffix(with_count('', settings.num_samples)) not in known:
            raise UserError(f'--by={by} is not a score that can rank these runs; known: {", ".join(known)}.')


def _measured(experiment: Experiment) -> dict[str, Any]:
    """What decides how a run is scored."""
    return {
        'data': data_key(experiment.data.settings),
        'image_shape': tuple(experiment.data.source.image_shape),
        'standing_batches': experiment.outputs.standing_batches,
        **experiment.scoring._asdict(),
    }


def rate(directory: Path, names: Collection[str], metric: str | None) -> tuple[str, list[Rated]]:
    """(metric, settings), the best setting first, by the scores of the last step.

    A setting of which a run is missing comes after those that are complete: the mean of the runs that have survived flatters it.

    Args:
      directory: of the group.
      names: its runs.
      metric: a score, such as fd_mnist_cnn_10k or fd_mnist_cnn; None: the first one that ranks samples.

    Raises:
      UserError: no run has such a score, or the runs have none in common that was measured in the same way.
    """
    present = [name for name in names if holds_run(directory / name)]
    records = with_images(read_runs([directory / name for name in present]))
    evaluations = last_evaluations(records, ended=True)
    scored = [(run, evaluation) for run, evaluation in zip(records, evaluations, strict=True) if evaluation is not None]
    scores = {run.path.name: evaluation['scores'] for run, evaluation in scored}
    known = [name for name in next(iter(scores.values()), {}) if can_choose(name) and all(name in own for own in scores.values())]
    if not known:
        why = 'have no score in common' if scores else 'have no score, since none is complete'
        raise UserError(f'The settings cannot be ranked: the runs in {directory} {why}.')
    if differs := why_not_comparable(scored):
        raise UserError(
            f'The settings cannot be ranked: their scores cannot be compared, since the protocols differ in {", ".join(differs)}.'
        )
    chosen = next((name for name in known if metric in (None, name, without_count(name))), None)
    if chosen is None:
        raise UserError(f'--by={metric} is not a score of these runs; known: {", ".join(known)}.')
    metric = chosen
    by_setting: dict[str, list[float]] = {setting_of(name): [] for name in names}
    for name, of_run in scores.items():
        if math.isfinite(of_run[metric]):
            by_setting[setting_of(name)].append(of_run[metric])
    seeds = Counter(map(setting_of, names))
    rated = [Rated(setting, values, seeds[setting] - len(values)) for setting, values in by_setting.items()]
    sign = 1 if lower_is_better(metric) else -1
    return metric, sorted(rated, key=lambda one: (not one.values, one.missing > 0, sign * one.mean if one.values else 0))


def rank_and_confirm(
    directory: Path,
    names: Collection[str],
    by: str | None,
    anew: Callable[[str], Mapping[str, Experiment]] | None,
    tracking: Tracking | None = None,
) -> signal.Signals | None:
    """Prints the settings of a sweep by their scores, and trains the best one anew.

    Args:
      directory: of the sweep.
      names: its runs.
      by: the score that ranks; None: the first one.
      anew: gives the runs with fresh seeds of a setting, which are trained in `directory`/confirmed; None trains none.
      tracking: the tracker of these.

    Returns:
      The signal that has stopped the training, or None.

    Raises:
      UserError: no run has such a score.
    """
    settings = [*dict.fromkeys(map(setting_of, names))]
    metric, rated, number = '', [], 0
    with processes.all_or_none():
        if processes.is_first():  # the others may not see the directory
            try:
                metric, rated = rate(directory, names, by)
            except UserError as error:
                if by is not None or anew is not None:
                    raise
                print(error)
                return None
            print(f'{metric}, the best setting first:')
            print('\n'.join(f'  {one.setting}: {one}' for one in rated), flush=True)
            number = settings.index(rated[0].setting)
    if anew is None:
        return None
    best = settings[int(processes.from_first(np.int32(number)))]
    print(f'{best} with fresh seeds:')
    runs = {name: run.tracked_by(tracking) for name, run in anew(best).items()}
    stopped_by = train_group(runs, str(directory / 'confirmed'), ends_process=True)
    if stopped_by is None and processes.is_first():
        _, confirmed = rate(directory / 'confirmed', runs, metric)
        print(f'{metric} of {best}: {confirmed[0]}; in the search {rated[0]}.')
    return stopped_by
