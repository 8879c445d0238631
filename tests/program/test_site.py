"""The site that Sphinx builds from docs/: no warning, whole links, every key and every module."""

import functools
import importlib.util
import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from urllib.parse import unquote, urlsplit

import pytest

from configs.default import get_config
from tests.conftest import ROOT
from wgan_jax.runs.config import flatten

FILES = [path.relative_to(ROOT).with_suffix('') for path in (ROOT / 'wgan_jax').rglob('*.py')]
MODULES = {'.'.join(path.parts).removesuffix('.__init__') for path in FILES}


class Page(HTMLParser):
    """The anchors, the links and the text of an HTML file, and what a browser loads to show it."""

    def __init__(self, path):
        super().__init__()
        self.path, self.anchors, self.links, self.loaded, self.text = path, set(), [], [], ''
        self.feed(path.read_text(encoding='utf-8'))

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.anchors.add(found.get('id'))
        if tag == 'a' and 'href' in found:
            self.links.append(found['href'])
        elif tag in ('script', 'img', 'iframe', 'source') and 'src' in found:
            self.loaded.append(found['src'])
        elif tag == 'link' and found.get('rel') in ('stylesheet', 'icon', 'preload'):
            self.loaded.append(found['href'])

    def handle_data(self, data):
        self.text += data


@functools.cache
def read(path):
    return Page(path)


def missing(page):
    """The links of a page to files, or to anchors in files, that do not exist."""
    wrong = []
    for link in [*page.links, *page.loaded]:
        scheme, host, name, _, anchor = urlsplit(link)
        if scheme or host:
            continue
        path = (page.path.parent / unquote(name)).resolve() if name else page.path
        if not path.is_file() or (anchor and path.suffix == '.html' and unquote(anchor) not in read(path).anchors):
            wrong.append(link)
    return wrong


def test_the_check_of_links_notices_what_does_not_exist(tmp_path):
    (tmp_path / 'a.html').write_text('<h1 id="here">A &amp; B</h1><a href="#here"></a><a href="b.html#there"></a><img src="c.png">')
    (tmp_path / 'b.html').write_text(
        '<a href="a.html#here"></a><a href="https://example.org/x"></a><a href="a.html#elsewhere"></a>'
    )
    assert missing(read(tmp_path / 'a.html')) == ['b.html#there', 'c.png']
    assert missing(read(tmp_path / 'b.html')) == ['a.html#elsewhere']
    assert read(tmp_path / 'a.html').text == 'A & B'


@pytest.fixture(scope='module')
def generated_pages():
    spec = importlib.util.spec_from_file_location('generated_pages', ROOT / 'docs' / 'generated_pages.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_docstring_as_restructuredtext(generated_pages):
    docstring = 'Bounds |w| by `c` and `a | b`:\n\n    |w|  x_\n\n    `c`\n\nArgs:\n  w_: x * y.\n\n    More.\n'
    expected = 'Bounds \\|w\\| by `c` and ``a | b``:\n\n::\n\n    |w|  x_\n\n    `c`\n\nArgs:\n  w\\_: x \\* y.\n\n    More.'
    assert generated_pages.as_rst(docstring) == expected


def test_the_page_of_keys(generated_pages):
    page = generated_pages.config_page()
    entries = dict(re.findall(r'^\.\. confval:: ((?:.|\n +(?=\S))*)\n\n   (.*)$', page, flags=re.MULTILINE))
    entries = {name: text for names, text in entries.items() for name in names.split()}
    assert flatten(get_config()).keys() == entries.keys() - {'boost'}
    assert entries['n_critic'] == 'int, default ``5``: critic updates per generator update'
    assert entries['data.holdout'] == 'float, default ``None``: share of the images held out of training (array, folder)'
    assert entries['critic.num_layers'] == entries['generator.num_layers'] == 'int, default ``None``: hidden layers (mlp)'
    assert entries['generator_optimizer.learning_rate'] == 'float, default ``0.0001``'
    assert entries['data.fraction'].startswith('float, default ``1.0``: Share of the images to train on: exactly this share')
    assert '\nThe objective. GAN, WGAN and WGAN-GP differ in loss, clip\\_value and gp\\_weight.\n' in page.replace('_', '\\_')


@pytest.fixture(scope='module')
def site(tmp_path_factory):
    """The directory of the built site."""
    pytest.importorskip('furo', reason='pip install -r requirements-docs.txt')
    out = tmp_path_factory.mktemp('site')
    command = [sys.executable, '-m', 'sphinx', '-W', '--keep-going', '-q', '-d', out / 'read', ROOT / 'docs', out / 'html']
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, '')
    return out / 'html'


@pytest.mark.slow
def test_the_site(site):
    pages = {str(path.relative_to(site)): read(path) for path in site.rglob('*.html')}
    assert {name: wrong for name, page in pages.items() if (wrong := missing(page))} == {}
    assert {name: page.loaded for name, page in pages.items() if any('//' in link for link in page.loaded)} == {}

    keys = pages['reference/config.html']
    assert {f'confval-{key}' for key in flatten(get_config())} - keys.anchors == set()
    anchors = set().union(*(page.anchors for name, page in pages.items() if name.startswith('reference/')))
    assert {f'module-{module}' for module in MODULES} - anchors == set()

    losses = pages['reference/wgan_jax.algorithm.html']
    assert 'wgan_jax.algorithm.losses.gradient_penalty' in losses.anchors
    assert 'interpolates -- points at which the slopes are computed, [B, ...].' in losses.text
    tutorials = pages['tutorials/README.html']
    assert '../reference/wgan_jax.algorithm.html#wgan_jax.algorithm.steps.train_round' in tutorials.links
    assert '<mi>∇</mi>' in (site / 'tutorials' / 'wgan_theory.html').read_text(encoding='utf-8')  # a formula, as MathML

    index = (site / 'searchindex.js').read_text(encoding='utf-8')
    index = json.loads(index.removeprefix('Search.setIndex(').removesuffix(')'))
    for kind, word, page in (('terms', 'shovel', 'tutorial'), ('titleterms', 'kantorovich', 'theory')):
        numbers = index[kind][word]  # one number, or several
        assert index['docnames'].index(page) in (numbers if isinstance(numbers, list) else [numbers])
