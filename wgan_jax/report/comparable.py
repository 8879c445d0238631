"""Which runs are of one setting, and which of their scores may stand beside each other."""

from collections.abc import Mapping, Sequence
from typing import Any

from wgan_jax.report.read_runs import Record
from wgan_jax.runs.experiment import rounds_per_epoch
from wgan_jax.runs.resume import LOCAL

SEED_AND_PLACE = ('seed', *LOCAL)  # keys in which the runs of a setting may differ
# Entries of a protocol, and of its data set, that do not decide whether scores can be compared.
_IGNORED = ('versions', 'device', 'generator', 'critic_batch', 'num_for_critic', 'num_for_critic_held_out', 'probe_updates')
_IGNORED_OF_DATA = ('dir', 'manual_dir', 'folder', 'file', 'placement', 'strict')


def with_images(records: Sequence[Record]) -> list[Record]:
    """The runs. One without a checkpoint does not know its images, and counts as one on those of its setting."""
    known = {_config(run): run.data_set for run in records if run.data_set}
    return [run._replace(data_set=run.data_set or known.get(_config(run), {})) for run in records]


def setting_key(run: Record) -> str:
    """A text that is equal for runs on the same images whose configs differ in the seed only."""
    return f'{_config(run)} {sorted(run.data_set.items())}'


def last_evaluations(records: Sequence[Record], *, ended: bool = False) -> list[dict[str, Any] | None]:
    """The evaluation of each run at its last step; None for a run that has diverged, or is not there yet.

    While no run has come to its end, and where its end is not known, the last step is the latest that has scores among the runs of
    the same length.

    Args:
      records: the runs, from `with_images`.
      ended: no run is being trained any more, so that one that has not come to its end has diverged.
    """
    lengths, ends = [_length(run) for run in records], [_end(run) for run in records]
    steps = [run.evaluations[-1]['step'] if run.evaluations else None for run in records]
    ended = ended or any(step is not None and step == end for step, end in zip(steps, ends, strict=True))
    latest: dict[str, int] = {}
    for length, step in zip(lengths, steps, strict=True):
        latest[length] = max(latest.get(length, 0), step or 0)
    last = [end if ended and end is not None else latest[length] for end, length in zip(ends, lengths, strict=True)]
    return [
        run.evaluations[-1] if step is not None and step == wanted else None
        for run, step, wanted in zip(records, steps, last, strict=True)
    ]


def comparison_key(record: Record, evaluation: Mapping[str, Any]) -> dict[str, Any]:
    """The entries of a protocol that must be equal for scores to be comparable."""
    protocol = {name: value for name, value in evaluation['protocol'].items() if name not in _IGNORED}
    if isinstance(protocol.get('data'), dict):
        protocol['data'] = data_key(protocol['data'])
    return {**protocol, 'images': record.data_set}


def data_key(section: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a data set, without those that do not decide whether scores can be compared."""
    return {name: value for name, value in section.items() if name not in _IGNORED_OF_DATA}


def why_not_comparable(scored: Sequence[tuple[Record, Mapping[str, Any]]]) -> list[str]:
    """The entries of a protocol in which evaluations differ. A run that does not know its images differs in them from none."""
    keys = [comparison_key(run, evaluation) for run, evaluation in scored]
    images = next((key['images'] for key in keys if key['images']), {})
    return differing([{**key, 'images': key['images'] or images} for key in keys])


def points_key(record: Record) -> str:
    """A text that is equal for runs whose exact distances can be compared: on the same points, and of equally many."""
    kept = {name: value for name, value in record.config.items() if name.startswith('data.')}
    for name in _IGNORED_OF_DATA:
        kept.pop(f'data.{name}', None)
    return str([sorted(kept.items(), key=str), record.data_set, record.config.get('exact_points')])


def differing(keys: Sequence[Mapping[str, Any]]) -> list[str]:
    """The names of the entries in which comparison keys differ."""
    names = {name for key in keys for name in key}
    return sorted(name for name in names if any(key.get(name) != keys[0].get(name) for key in keys))


def _config(run: Record) -> str:
    """The config without the seed and the places of files, and the checksum of code of one's own."""
    kept = sorted((name, str(value)) for name, value in run.config.items() if name not in SEED_AND_PLACE)
    return f'{kept} {run.code}'


def _length(run: Record) -> str:
    """What decides how many rounds a run has."""
    if run.config.get('interval_unit') != 'epochs':
        return str(run.config.get('num_steps'))
    keys = ('num_steps', 'n_critic', 'batch_size', 'shared_images')
    return str([run.data_set.get('num_images'), *map(run.config.get, keys)])


def _end(run: Record) -> int | None:
    """The number of rounds of a run; None if it is not known."""
    numbers = [run.config.get('num_steps')]
    if in_epochs := run.config.get('interval_unit') == 'epochs':
        batches = 1 if run.config.get('shared_images') else run.config.get('n_critic')
        numbers += [run.data_set.get('num_images'), run.config.get('batch_size'), batches]
    if not all(isinstance(number, int) and number > 0 for number in numbers):
        return None
    if not in_epochs:
        return numbers[0]
    epochs, count, batch_size, batches = numbers
    return epochs * rounds_per_epoch(count, batch_size * batches)
