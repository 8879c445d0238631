"""The tutorial and the theory, as pages and as notebooks."""

import contextlib
import io
import itertools
import os
import re
import sys
from pathlib import Path

import nbclient
import nbformat
import pytest

from tests.conftest import ROOT

sys.path.insert(0, str(ROOT / 'docs'))

import make_notebook

DOCS = ROOT / 'docs'


@pytest.mark.parametrize('page', make_notebook.PAGES)
def test_the_notebook_is_the_page(page):
    """If this fails, run docs/make_notebook.py."""
    assert nbformat.read(DOCS / f'{page}.ipynb', as_version=4) == make_notebook.notebook(page)


@pytest.mark.parametrize('page', make_notebook.PAGES)
@pytest.mark.parametrize(('has', 'package'), [('nvidia-smi', 'jax[cuda12]'), ('git', 'jax')])
def test_where_there_is_no_clone_the_first_cell_fetches_one(page, has, package, tmp_path, monkeypatch):
    """In Colab and Kaggle."""
    called = []

    def run(command, check):
        called.append(command)
        if command[0] == 'git':
            (tmp_path / command[-1]).mkdir()

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr('subprocess.run', run)
    monkeypatch.setattr('shutil.which', lambda name: name if name == has else None)
    monkeypatch.setattr(Path, 'glob', lambda directory, pattern: iter(()))  # no TPU
    first = next(cell for cell in make_notebook.notebook(page).cells if cell.cell_type == 'code')
    exec(first.source, {})
    clone, install = called
    assert clone == ['git', 'clone', '--depth=1', 'https://github.com/OWNER/wgan_jax', 'wgan_jax']
    assert install[1:] == ['-m', 'pip', 'install', '--quiet', '-r', f'{tmp_path}/wgan_jax/requirements.txt', package]
    assert Path.cwd() == tmp_path / 'wgan_jax'


def test_the_theory_shows_what_its_code_prints(monkeypatch):
    """The text block after a cell is the cell's output, and every decimal number of the prose stands in a cell or an output."""
    monkeypatch.chdir(DOCS)  # as a notebook starts; the first cell goes to the root
    cells, names, printed = make_notebook.notebook('theory').cells, {}, ''
    for cell, after in itertools.pairwise(cells):
        if cell.cell_type == 'code':
            with contextlib.redirect_stdout(io.StringIO()) as output:
                exec(cell.source, names)
            shown = re.match(r'```text\n(.*?)```', after.source, flags=re.DOTALL)
            assert output.getvalue() == (shown[1] if shown else ''), cell.source
            printed += cell.source + output.getvalue()
    assert 'cost: 42; the cheapest: 42' in printed
    text = '\n'.join(cell.source for cell in cells if cell.cell_type == 'markdown')
    prose = re.sub(r'```.*?```|\]\(.*?\)|arXiv \S+|theorem \S+', '', text, flags=re.DOTALL)
    decimals = re.compile(r'\d+\.\d+')
    assert set(decimals.findall(prose)) - set(decimals.findall(printed)) == set()


@pytest.mark.slow
@pytest.mark.filterwarnings('ignore')  # of Jupyter
def test_the_notebook_runs_from_top_to_bottom(tmp_path, monkeypatch):
    """Every cell, in a copy of the project, with a few rounds instead of thousands; one of the figures of papers/ is drawn.

    The others have tests of their own: their commands are parsed here.
    """
    for name in ('train.py', 'wgan_jax', 'configs', 'docs', 'papers'):
        (tmp_path / name).symlink_to(DOCS.parent / name)
    monkeypatch.setenv('PATH', f'{Path(sys.executable).parent}:{os.environ["PATH"]}')
    notebook = make_notebook.notebook('tutorial')
    first, *cells = (cell for cell in notebook.cells if cell.cell_type == 'code')
    assert 'os.chdir' in first.source
    for cell in cells:
        cell.source = re.sub(
            r'(--config=\S+)', r'\1 --config.num_steps=40 --config.sample_every=20 --config.eval_every=None', cell.source
        )
        cell.source = re.sub(r'(-m papers (?!two_gaussians).*)', r'\1 --help', cell.source)
    nbclient.NotebookClient(notebook, timeout=600, resources={'metadata': {'path': tmp_path}}).execute()
    texts = {cell.source: ''.join(output.get('text', '') for output in cell.outputs) for cell in cells}
    assert any('shovels times places: 42.0' in text for text in texts.values())
    left = [
        tmp_path / 'runs' / name
        for name in ('toys.html', 'digits_wgan_gp/report.html', 'digits_wgan_gp/evaluation/step_000040_digits_cnn_1k.json')
    ]
    assert ' '.join(texts).count('-m papers ') == ' '.join(texts.values()).count('usage: python -m papers') + 1
    left += [tmp_path / 'figures' / f'two_gaussians.{kind}' for kind in ('png', 'csv')]
    assert [path for path in left if not path.exists()] == []
