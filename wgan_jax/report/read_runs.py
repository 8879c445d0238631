"""Reads the files of a run for the report, even if some are damaged or missing, and without loading a checkpoint."""

import hashlib
import json
import math
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from wgan_jax.disk import read_bytes
from wgan_jax.errors import UserError
from wgan_jax.runs import checkpoint_format, own_code, record
from wgan_jax.runs.config import flatten
from wgan_jax.runs.starts import read_starts

_PARAMETERS = re.compile(r'\d+\.(generator|critic)\.params\.')
_LARGEST = 1e100  # larger values cannot be drawn; they count as not finite


class Curve(NamedTuple):
    """One column of metrics.jsonl, without the values that are not finite numbers."""

    steps: np.ndarray  # int64 [N]
    values: np.ndarray  # float64 [N], finite
    left_out: int  # number of values that were left out


class Record(NamedTuple):
    """Everything the report knows about a run. Values from files may have any type, except where a comment gives it."""

    path: Path
    name: str  # unique in the report
    config: dict[str, Any]  # flat; empty if config.json cannot be read
    curves: dict[str, Curve]
    step: int  # of the last line of metrics.jsonl; 0 if there is none
    seconds: float | None  # training time
    # The lines of evaluations.jsonl: `step` is an int, scores, floor and as_many are {str: float}, critic and protocol are dicts.
    evaluations: list[dict[str, Any]]
    afterwards: list[dict[str, Any]]  # those that a command made, with the same types
    starts: list[dict[str, Any]]  # the lines of starts.jsonl; `step` is an int; [] for old runs
    parameters: dict[str, int]  # trainable ones by player; {} without a checkpoint
    versions: dict[str, Any]  # by package
    data_set: dict[str, Any]  # the result of data.identity
    code: str  # checksum of the user's own code; '' without
    pictures: dict[int, Path]  # grids of samples, by step

    @property
    def evaluation(self) -> dict[str, Any] | None:
        """The latest evaluation: of the last step that has one, the one with most samples."""
        return max(reversed(self.evaluations + self.afterwards), key=_step_and_samples, default=None)


def expand(paths: Iterable[Path]) -> list[Path]:
    """The directories of runs: a directory that holds no run stands for the runs in its subdirectories."""
    found = []
    for path in paths:
        inside = [] if holds_run(path) or not path.is_dir() else sorted((p for p in path.iterdir() if holds_run(p)), key=_in_order)
        found += inside or [path]
    return found


def read_runs(paths: Sequence[Path]) -> list[Record]:
    """Reads the runs in these directories.

    Raises:
      UserError: a directory holds no run, or a file cannot be read.
    """
    records = []
    for path, name in zip(paths, _names(paths), strict=True):
        try:
            if not holds_run(path):
                raise UserError(f'{path} holds no run: it contains neither config.json nor metrics.jsonl.')
            records.append(_read(path, name))
        except OSError as error:
            raise UserError(f'{error.filename or path} cannot be read ({error.strerror}).') from error
    return records


def number(value: Any) -> float:
    """The value as a float, or NaN if it is not a number that can be drawn."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < _LARGEST:
        return math.nan
    return float(value)


def _is_step(value: Any) -> bool:
    return isinstance(value, int) and 0 <= value < 10**12


def _read(path: Path, name: str) -> Record:
    lines = [line for line in record.read_metrics(path) if _is_step(line['step'])]
    evaluations = [_evaluation(line) for line in record.read_evaluations(path) if _is_step(line['step'])]
    contents = [_json(file) for file in sorted((path / 'evaluation').glob('*.json'))]
    meta = _meta(path / 'checkpoints')
    names = dict.fromkeys(key for line in lines for key in line)
    return Record(
        path=path,
        name=name,
        config=_config(path),
        curves={key: _curve(lines, key) for key in names if key not in ('step', 'seconds')},
        step=lines[-1]['step'] if lines else 0,
        seconds=number(lines[-1]['seconds']) if lines else None,
        evaluations=evaluations,
        afterwards=[_evaluation(content) for content in contents if _is_evaluation(content)],
        starts=[line for line in read_starts(path) if _is_step(line['step'])],
        parameters=_parameters(_dict(meta.get('arrays'))),
        versions=_dict(meta.get('versions')),
        data_set=_dict(_dict(meta.get('record')).get('data_set')),
        code=_checksum(path / own_code.FILE),
        pictures=dict(sorted(record.sample_pictures(path).items())),
    )


def _curve(lines: list[dict[str, Any]], key: str) -> Curve:
    """The column of a key, from the lines that contain it."""
    pairs = np.array([(line['step'], number(line[key])) for line in lines if key in line])
    finite = np.isfinite(pairs[:, 1])
    return Curve(pairs[finite, 0].astype(np.int64), pairs[finite, 1], int(np.sum(~finite)))


def _is_evaluation(content: dict[str, Any]) -> bool:
    return _is_step(content.get('step')) and all(
        isinstance(content.get(part), dict) for part in ('scores', 'floor', 'critic', 'protocol')
    )


def _step_and_samples(evaluation: dict[str, Any]) -> tuple[int, float]:
    num_samples = number(evaluation['protocol'].get('num_samples'))
    return evaluation['step'], 0.0 if math.isnan(num_samples) else num_samples


def _evaluation(line: dict[str, Any]) -> dict[str, Any]:
    scores = {
        part: {name: number(value) for name, value in _dict(line.get(part)).items()} for part in ('scores', 'floor', 'as_many')
    }
    return {**line, **scores}


def _meta(checkpoints: Path) -> dict[str, Any]:
    """The metadata of the newest checkpoint whose metadata is undamaged; {} if there is none."""
    for directory in sorted(checkpoints.glob('[0-9]*'), key=lambda path: (len(path.name), path.name), reverse=True):
        try:
            return checkpoint_format.checked(_json(directory / 'meta' / 'metadata'))
        except (ValueError, KeyError):
            continue
    return {}


def _parameters(arrays: dict[str, Any]) -> dict[str, int]:
    """Numbers of parameters by player, from the names and shapes of the arrays of a checkpoint."""
    counts: dict[str, int] = {}
    for name, (_, shape, _) in arrays.items():
        if match := _PARAMETERS.match(name):
            counts[match[1]] = counts.get(match[1], 0) + math.prod(shape)
    return counts


def _json(path: Path) -> dict[str, Any]:
    """The object in a JSON file; {} if it cannot be read."""
    try:
        return _dict(json.loads(read_bytes(path).decode('utf-8', 'replace')))
    except (OSError, ValueError, RecursionError):
        return {}


def _checksum(path: Path) -> str:
    """Of a file; '' if it cannot be read."""
    try:
        return hashlib.sha256(read_bytes(path)).hexdigest()
    except OSError:
        return ''


def _config(path: Path) -> dict[str, Any]:
    try:
        return flatten(_json(path / 'config.json'))
    except RecursionError:  # too deeply nested to be a config
        return {}


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _names(paths: Sequence[Path]) -> list[str]:
    """The shortest endings of the paths that differ from each other; a repeated path gets a number."""
    parts = [path.resolve().parts[1:] for path in paths]
    names = []
    for own in parts:
        length = 1
        while length < len(own) and any(other != own and other[-length:] == own[-length:] for other in parts):
            length += 1
        names.append('/'.join(own[-length:]))
    earlier = [names[:place].count(name) for place, name in enumerate(names)]
    return [f'{name} ({count + 1})' if count else name for name, count in zip(names, earlier, strict=True)]


def holds_run(path: Path) -> bool:
    """Whether a directory is that of a run."""
    return any((path / file).is_file() for file in ('config.json', 'metrics.jsonl'))


def _in_order(path: Path) -> list[Any]:
    """Numbers in a name count as numbers: seed_2 comes before seed_10."""
    parts = ''.join(char if char.isdecimal() else f' {char} ' for char in path.name).split()
    return [(part.isdecimal(), int(part) if part.isdecimal() else part) for part in parts]
