"""Run directories as training leaves them, written without training, and their page."""

import json
from html.parser import HTMLParser

import numpy as np
import pytest

from configs.default import get_config
from wgan_jax.report.page import render
from wgan_jax.report.read_runs import read_runs
from wgan_jax.runs.checkpoint_format import metadata_of
from wgan_jax.runs.files import save_png

CRITIC = {
    'layers': ['Dense_1', 'Dense_0'],
    'slope_counts': [1, 3],
    'slope_edges': [0.0, 1.0, 2.0],
    'slope_mean': 1.25,
    'slope_std': 0.5,
    'weight_counts': [2, 2],
    'weight_edges': [-0.1, 0.0, 0.1],
    'clipped_share': 0.0327,
    'gradient_norms': [1.0, 20.0, 300.0],
    'spectral_norms': [4.0, 2.0],
}


def evaluation(step, value, **protocol):
    counts = {'num_samples': 1000, 'num_real': 1500, 'num_held_out': 297}
    return {
        'step': step,
        'scores': {'fd_digits_cnn_1k': value, 'copying_1k': 0.4321},
        'floor': {'fd_digits_cnn_297': 0.1234},
        'as_many': {'fd_digits_cnn_297': value + 1},
        'classes': [0.25, 0.75],
        'classes_of_real': [0.5, 0.5],
        'critic': CRITIC,
        'protocol': {**counts, 'features': 'digits_cnn', 'device': 'TPU v9', **protocol},
    }


def write_lines(path, records):
    path.write_text(''.join(json.dumps(record) + '\n' for record in records))


def write_run(path, steps=(0, 10, 20), lines=20, scored=(10, 20), shape=(24, 24, 1), **changes):
    """Writes a run directory with `lines` log points, pictures at `steps`, and evaluations at the steps in `scored`."""
    path.mkdir(parents=True)
    config = get_config()
    config.update_from_flattened_dict({'num_steps': lines, **changes})
    (path / 'config.json').write_text(json.dumps(config.to_dict()))
    means = [{'wasserstein_estimate': 5 / k, 'critic_loss': -5 / k, 'generator_loss': 0.1 * k} for k in range(1, lines + 1)]
    timing = [{'seconds': k * 6.1, 'images_per_second': 2500.0 + k} for k in range(1, lines + 1)]
    penalty = {'gradient_penalty': 0.25} if config.gp_weight else {}
    write_lines(
        path / 'metrics.jsonl',
        [{'step': k, **a, **penalty, **b} for k, (a, b) in enumerate(zip(means, timing, strict=True), 1)],
    )
    write_lines(
        path / 'evaluations.jsonl',
        [evaluation(step, 30.0 / step, data={'name': 'digits', 'dir': str(path)}) for step in scored],
    )
    for number, picture in enumerate(['real', *(f'step_{step:06d}' for step in steps)]):
        save_png(np.full(shape, number, np.uint8), path / 'samples' / f'{picture}.png')
    return path


class Page(HTMLParser):
    """Elements with their attributes, the text, and the rows of tables."""

    def __init__(self, source):
        super().__init__()
        self.elements, self.words, self.rows, self.in_row = [], [], [], False
        self.feed(source)
        self.text = ' '.join(' '.join(self.words).split())

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag == 'tr':
            self.rows.append([])
            self.in_row = True

    def handle_endtag(self, tag):
        if tag == 'tr':
            self.in_row = False

    def handle_data(self, data):
        self.words.append(data)
        if self.in_row and data.strip():
            self.rows[-1].append(data.strip())

    def scores(self, name='fd_digits_cnn'):
        """The rows of a score in the tables: arrow, real, of as many samples, of all samples."""
        return [row[2:-1] for row in self.rows if row[1:2] == [name]]

    def all(self, tag, **wanted):
        return [found for name, found in self.elements if name == tag and wanted.items() <= found.items()]


def add_evaluation(path, name, content, text=None):
    """A file as wgan_jax.evaluate writes it."""
    (path / 'evaluation').mkdir(exist_ok=True)
    (path / 'evaluation' / f'{name}.json').write_text(text or json.dumps(content))


def add_checkpoint(path, **data_set):
    """The metadata of a checkpoint, with the identity of the images."""
    meta = path / 'checkpoints' / '20' / 'meta'
    meta.mkdir(parents=True)
    (meta / 'metadata').write_text(json.dumps(metadata_of({}, {'record': {'data_set': data_set}})))


def add_start(path, step=0, **changes):
    """A line of starts.jsonl."""
    start = {
        'step': step,
        'date': '2026-11-29T22:25:07+01:00',
        'command': 'python train.py',
        'devices': '2 x TPU v9',
        'processes': 1,
    }
    with (path / 'starts.jsonl').open('a') as file:
        file.write(json.dumps({**start, **changes}) + '\n')


def page_of(*paths):
    return Page(render(read_runs(paths)))


@pytest.fixture
def make_run(tmp_path):
    """Calls write_run on a directory under tmp_path."""
    return lambda name='run', **settings: write_run(tmp_path / name, **settings)
