"""Assembles the page, and says what is missing from it."""

import base64
import functools
import hashlib
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from wgan_jax.disk import replace_file
from wgan_jax.metrics.scores import without_count
from wgan_jax.report import captions, groups, overview, pictures, score_panels, summary, training_panels
from wgan_jax.report.read_runs import Record, expand, read_runs
from wgan_jax.runs.terminal import as_typed
from wgan_jax.sample.colours import LIGHT_AND_DARK, RUNS

_WALKS = ('walk.mp4', 'walk.gif')  # the first that fits on the page: an MP4 has a tenth of the bytes of a GIF


class Film(NamedTuple):
    """The grids of samples of a run, over the steps."""

    run: int
    frames: list[tuple[int, str]]  # step, data URI


class Missing(NamedTuple):
    """A sentence about something that is missing, and the command that makes it."""

    text: str
    command: str = ''


def write(paths: Sequence[Path], out: Path) -> int:
    """Writes the report of the runs in these directories to a file, whole or not at all, and returns its size in bytes.

    A directory that holds no run stands for the runs in its subdirectories.

    Raises:
      UserError: a directory holds no run, or a file cannot be read.
      OSError: the file cannot be written.
    """
    content = render(read_runs(expand(paths))).encode('utf-8', 'replace')
    out.parent.mkdir(parents=True, exist_ok=True)
    replace_file(out, content)
    return len(content)


def render(records: Sequence[Record]) -> str:
    """Renders the page. Everything that comes from the files of a run is escaped."""
    num_runs, group = len(records), groups.group_of(records)
    if group is not None:
        records = groups.shown(group)
    template = _template()
    # The policy of the page allows this script alone, and no requests, whatever the files of a run contain.
    script = ''.join(template.blocks['script'](template.new_context()))
    script_hash = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    films, notes = _films(records)
    over_training, classes = [] if group else score_panels.over_training(records), score_panels.class_rows(records)
    if len(records) == 1 and over_training and classes:  # in one grid with the scores
        over_training[-1][1].panels.extend(classes.pop().panels)
    tables = score_panels.tables(records)
    return template.render(
        records=records,
        num_runs=num_runs,
        group=group,
        colours=list(LIGHT_AND_DARK.values()),
        places=[run % len(RUNS) for run in range(len(records))],
        script_hash=script_hash,
        result=_result(records, num_runs, group, tables),
        facts=overview.facts(records),
        typed=overview.TYPED,
        with_commas=captions.with_commas,
        without_count=without_count,
        in_words=lambda name: captions.heading(captions.score_in_words(name)),
        differing=overview.differing(records),
        keys=overview.keys(records),
        films=films,
        reals=_reals(records),
        real_name=captions.of_data('Real images', records[0].config),
        steps=sorted({step for film in films for step, _ in film.frames}),
        notes=notes,
        training=[group.training] if group else training_panels.rows(records),
        training_note='' if group else training_panels.note(records),
        tables=tables,
        over_training=over_training,
        critics=score_panels.critic_rows(records),
        classes=classes,
        nearest=[(run, uri) for run, record in enumerate(records) if (uri := _picture(record, 'evaluation/nearest.png', records))],
        walks=[(run, uri) for run, record in enumerate(records) if (uri := _walk(record.path, len(records)))],
        missing=_missing(records),
    )


def _result(records: Sequence[Record], num_runs: int, group: groups.Group | None, tables: Sequence[score_panels.Table]) -> str:
    """The sentence at the head of the page."""
    if group is not None:
        return summary.of_group(group, num_runs)
    return summary.of_run(records[0], tables) if num_runs == 1 else summary.of_runs(records, tables)


@functools.cache
def _template() -> Template:
    loader = FileSystemLoader(Path(__file__).parent)
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.get_template('report.html')


def _films(records: Sequence[Record]) -> tuple[list[Film], list[str]]:
    """The grids of samples that fit on the page, and notes about what was left out or compressed."""
    chosen = [pictures.steps_shown(list(record.pictures), len(records)) for record in records]
    budget = pictures.SAMPLES_BYTES // max(1, sum(map(len, chosen)))
    films, notes = [], []
    for run, (record, steps) in enumerate(zip(records, chosen, strict=True)):
        uris = {step: pictures.embedded(record.pictures[step], budget) for step in steps}
        frames = [(step, uri) for step, uri in uris.items() if uri is not None]
        if frames:
            films.append(Film(run, frames))
        if len(steps) < len(record.pictures):
            notes.append(f'{record.name}: {len(steps)} of {len(record.pictures):,} pictures are shown, evenly spaced.')
        if len(frames) < len(steps):
            notes.append(f'{record.name}: {len(steps) - len(frames)} of {len(steps)} pictures are damaged and not shown.')
        if smaller := sum(uri.startswith('data:image/webp') for _, uri in frames):
            notes.append(f'{record.name}: {smaller} pictures are compressed to keep the page small; the files are sharper.')
    return films, notes


def _reals(records: Sequence[Record]) -> list[tuple[str, list[int]]]:
    """The distinct pictures of real images, each with the runs that have it."""
    owners: dict[str, list[int]] = {}
    for run, record in enumerate(records):
        if (uri := _picture(record, 'samples/real.png', records)) is not None:
            owners.setdefault(uri, []).append(run)
    return list(owners.items())


def _picture(record: Record, file: str, records: Sequence[Record]) -> str | None:
    return pictures.embedded(record.path / file, pictures.OTHER_BYTES // len(records))


def _walk(run_dir: Path, num_runs: int) -> str | None:
    return next(filter(None, (pictures.moving(run_dir / 'generated' / name, num_runs) for name in _WALKS)), None)


def _missing(records: Sequence[Record]) -> list[Missing]:
    """What the runs lack, and the commands that make it."""
    missing = []
    for record in records:
        name, workdir = record.name, shlex.quote(str(record.path))
        evaluate = as_typed(f'python -m wgan_jax.evaluate {workdir}')
        if not record.config:
            missing.append(Missing(f'{name}: config.json is missing or damaged.'))
        if not record.pictures:
            missing.append(Missing(f'{name} has no pictures of samples.'))
        if not record.curves:
            missing.append(Missing(f'{name} has no log point yet; one is written every config.log_every steps.'))
        if captions.are_points(record.config):
            continue  # scores and walks exist for images only
        if record.evaluation is None:
            missing.append(Missing(f'{name} has no scores yet. To compute them:', evaluate))
        if record.config.get('eval_every') is None and not record.evaluations:
            text = f'{name} has no scores over training. To compute them during a run, set:'
            missing.append(Missing(text, '--config.eval_every=N'))
        if not (record.path / 'evaluation' / 'nearest.png').is_file():
            missing.append(Missing(f'{name} has no picture of nearest images yet. To make it:', evaluate))
        walks = [path for file in _WALKS if (path := record.path / 'generated' / file).is_file()]
        if not walks:
            command = as_typed(f'python -m wgan_jax.sample {workdir} --walk')
            missing.append(Missing(f'{name} has no latent walk yet. To make it:', command))
        elif _walk(record.path, len(records)) is None:
            missing.append(Missing(f'{name} has a latent walk that is too large for this page:', str(walks[0])))
    return missing
