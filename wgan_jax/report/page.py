"""The page: which sections there are, and what is said where there is nothing to show."""

import base64
import functools
import hashlib
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from wgan_jax.data.toys import TOYS
from wgan_jax.report import drawing, panels, pictures, runs, scores
from wgan_jax.report.records import Record, read_runs
from wgan_jax.runs import files

_WALKS = ('walk.mp4', 'walk.gif')  # the first that a page has room for: a film takes a tenth of the bytes


class Film(NamedTuple):
    """The pictures of samples of a run."""

    run: int
    frames: list[tuple[int, str]]  # step, data URI


class Missing(NamedTuple):
    """What is left out, and the command that would make it."""

    text: str
    command: str = ''


def write(paths: Sequence[Path], out: Path) -> int:
    """Writes the report of the runs in these directories to a file, whole or not at all; returns its size in bytes.

    Raises:
      UserError: one of them is no run, or cannot be read.
      OSError: the file cannot be written.
    """
    content = render(read_runs(paths)).encode('utf-8', 'replace')
    out.parent.mkdir(parents=True, exist_ok=True)
    files.replace_file(out, content)
    return len(content)


def render(records: Sequence[Record]) -> str:
    """The page of these runs; everything that comes from their files is escaped in it."""
    template = _template()
    # The page may run this one script, load nothing, and send nothing, whatever a file of a run has put into it.
    script = ''.join(template.blocks['script'](template.new_context()))
    script_hash = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    films, notes = _films(records)
    return template.render(
        records=records,
        colours=list(drawing.COLOURS.values()),
        places=[run % len(drawing.RUNS) for run in range(len(records))],
        script_hash=script_hash,
        facts=[runs.facts(record) for record in records],
        differing=runs.differing(records),
        keys=runs.keys(records),
        films=films,
        reals=_reals(records),
        steps=sorted({step for film in films for step, _ in film.frames}),
        notes=notes,
        training=panels.of_training(records),
        training_note=panels.note(records),
        tables=scores.tables(records),
        over_training=scores.over_training(records),
        critics=scores.of_critics(records),
        classes=scores.of_classes(records),
        nearest=_of_each(records, 'evaluation', ('nearest.png',)),
        walks=_of_each(records, 'generated', _WALKS),
        missing=_missing(records),
    )


@functools.cache
def _template() -> Template:
    loader = FileSystemLoader(Path(__file__).parent)
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.get_template('report.html')


def _films(records: Sequence[Record]) -> tuple[list[Film], list[str]]:
    """The pictures of samples, as many and as large as a page can bear, and what that has left out."""
    chosen = [pictures.steps_shown(list(record.pictures), len(records)) for record in records]
    budget = pictures.budget(sum(map(len, chosen)))
    films, notes = [], []
    for run, (record, steps) in enumerate(zip(records, chosen, strict=True)):
        uris = {step: pictures.embedded(record.pictures[step], budget) for step in steps}
        frames = [(step, uri) for step, uri in uris.items() if uri is not None]
        if frames:
            films.append(Film(run, frames))
        if len(steps) < len(record.pictures):
            notes.append(f'{record.name}: {len(steps)} of its {len(record.pictures):,} pictures are here, evenly chosen.')
        if len(frames) < len(steps):
            notes.append(f'{record.name}: {len(steps) - len(frames)} pictures are damaged and left out.')
        if smaller := sum(uri.startswith('data:image/webp') for _, uri in frames):
            notes.append(f'{record.name}: {smaller} pictures are compressed, so that the page stays small; the files are sharper.')
    return films, notes


def _reals(records: Sequence[Record]) -> list[tuple[str, list[int]]]:
    """Each picture of real images, and the runs that have it."""
    owners: dict[str, list[int]] = {}
    for run, record in enumerate(records):
        uri = pictures.embedded(record.path / 'samples' / 'real.png', pictures.LARGEST_OTHER // len(records))
        if uri is not None:
            owners.setdefault(uri, []).append(run)
    return list(owners.items())


def _of_each(records: Sequence[Record], folder: str, names: Sequence[str]) -> list[tuple[int, str]]:
    """The first of these files that each run has, as a data URI."""
    most = pictures.LARGEST_OTHER // len(records)
    found = []
    for run, record in enumerate(records):
        paths = [record.path / folder / name for name in names]
        uris = (pictures.moving(path, len(records)) if path.name in _WALKS else pictures.embedded(path, most) for path in paths)
        if uri := next(filter(None, uris), None):
            found.append((run, uri))
    return found


def _missing(records: Sequence[Record]) -> dict[str, list[Missing]]:
    """By section, a sentence for each run that has nothing to show there."""
    missing: dict[str, list[Missing]] = {
        section: [] for section in ('samples', 'training', 'scores', 'progress', 'nearest', 'walk')
    }
    for record in records:
        name, workdir = record.name, shlex.quote(str(record.path))
        evaluate = f'python -m wgan_jax.evaluate --workdir={workdir}'
        plane = str(record.config.get('data.name')) in TOYS
        if not record.pictures:
            missing['samples'].append(Missing(f'{name} has no pictures of samples.'))
        if not record.curves:
            missing['training'].append(Missing(f'{name} has no log point yet: there is one every config.log_every steps.'))
        if plane:
            missing['scores'].append(
                Missing(f'{name} has no scores: it is trained on points in the plane, where one can look instead.')
            )
        elif record.evaluation is None:
            missing['scores'].append(Missing(f'{name} has no scores yet; this makes them:', evaluate))
        elif len(record.evaluations) < 2:
            missing['progress'].append(
                Missing(f'{name} has no scores over the steps; a run that is given this key takes them:', '--config.eval_every=N')
            )
        if not (record.path / 'evaluation' / 'nearest.png').is_file() and not plane:
            missing['nearest'].append(Missing(f'{name} has no picture of nearest images yet; this makes it:', evaluate))
        walks = [path for file in _WALKS if (path := record.path / 'generated' / file).is_file()]
        if not walks and not plane:
            missing['walk'].append(
                Missing(
                    f'{name} has no walk among its latents yet; this makes it:',
                    f'python -m wgan_jax.sample --workdir={workdir} --walk',
                )
            )
        elif walks and not any(pictures.moving(walk, len(records)) for walk in walks):
            missing['walk'].append(Missing(f'{name} has a walk that is too large for this page:', str(walks[0])))
    return missing
