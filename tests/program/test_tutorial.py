"""The tutorial, as a page and as a notebook."""

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


def test_the_notebook_is_the_page():
    """If this fails, run docs/make_notebook.py."""
    assert nbformat.read(DOCS / 'tutorial.ipynb', as_version=4) == make_notebook.notebook()


@pytest.mark.parametrize('page', sorted(DOCS.rglob('*.md')), ids=lambda path: path.name)
def test_the_images_and_links_of_a_page_exist(page):
    links = re.findall(r'\]\(([^)#]+)(?:#[^)]*)?\)', page.read_text())
    missing = [link for link in links if not link.startswith('http') and not (page.parent / link).exists()]
    assert missing == []


@pytest.mark.slow
@pytest.mark.filterwarnings('ignore')  # of Jupyter
def test_the_notebook_runs_from_top_to_bottom(tmp_path, monkeypatch):
    """Every cell, in a copy of the project, with a few rounds instead of thousands."""
    for name in ('train.py', 'wgan_jax', 'configs', 'docs', 'papers'):
        (tmp_path / name).symlink_to(DOCS.parent / name)
    monkeypatch.setenv('PATH', f'{Path(sys.executable).parent}:{os.environ["PATH"]}')
    notebook = make_notebook.notebook()
    first, *cells = (cell for cell in notebook.cells if cell.cell_type == 'code')
    assert 'os.chdir' in first.source
    for cell in cells:
        cell.source = re.sub(r'(--config=\S+)', r'\1 --config.num_steps=40 --config.sample_every=20', cell.source)
    nbclient.NotebookClient(notebook, timeout=600, resources={'metadata': {'path': tmp_path}}).execute()
    texts = {cell.source: ''.join(output.get('text', '') for output in cell.outputs) for cell in cells}
    assert any('shovels times places: 42.0' in text for text in texts.values())
    left = [tmp_path / 'runs' / name for name in ('toys.html', 'digits_wgan_gp/report.html', 'digits_wgan_gp/evaluation.json')]
    pictures = re.findall(r'-m papers (\w+)', ' '.join(texts))
    left += [tmp_path / 'figures' / f'{name}.{kind}' for name in pictures for kind in ('png', 'csv')]
    assert [path for path in left if not path.exists()] == []
