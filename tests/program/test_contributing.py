"""What CONTRIBUTING.md adds to the code can be added and passes its tests; CITATION.cff and CHANGELOG.md fit pyproject.toml."""

import os
import re
import shutil
import subprocess
import sys
import tomllib

import pytest
import yaml

from tests.conftest import ROOT

SECTIONS = re.split(r'^## ', (ROOT / 'CONTRIBUTING.md').read_text(), flags=re.MULTILINE)[1:]
DIFFS = {
    section.split('\n', 1)[0]: found[1]
    for section in SECTIONS
    if (found := re.search(r'```diff\n(.*?)^```', section, re.DOTALL | re.MULTILINE))
}
TESTS = {
    'A loss': 'tests/algorithm/test_losses.py::test_smoothed_by_hand',
    'A network': 'tests/models/test_models.py::test_linear_has_a_weight_for_each_pixel_and_a_bias',
    'A data set': 'tests/data/test_toys.py::test_the_ring_has_a_radius_of_1_and_no_gap',
    'A metric': 'tests/metrics/test_scores.py::test_each_score_is_that_of_its_metric_under_a_name_with_the_count',
}
PROJECT = tomllib.loads((ROOT / 'pyproject.toml').read_text())['project']


@pytest.fixture
def copy(tmp_path):
    for name in ('wgan_jax', 'configs', 'papers', 'benchmarks', 'tests', 'docs'):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns('__pycache__', 'fixtures', '*.png'))
    for name in ('train.py', 'pyproject.toml', 'README.md'):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def apply(diff, directory, *options):
    environment = {**os.environ, 'GIT_CEILING_DIRECTORIES': str(directory.parent)}  # not as a part of a repository around it
    command = ['git', 'apply', *options, '-']
    return subprocess.run(command, input=diff, cwd=directory, env=environment, text=True, capture_output=True, check=False)


def test_each_section_has_a_diff_that_applies():
    assert set(DIFFS) == set(TESTS)
    for section, diff in DIFFS.items():
        result = apply(diff, ROOT, '--check')
        assert result.returncode == 0, f'{section}: {result.stderr}'


@pytest.mark.slow
def test_what_is_added_passes_its_tests(copy):
    """All four at once; with a wrong value in each, each of the tests fails."""
    for diff in DIFFS.values():
        assert apply(diff, copy).returncode == 0
    command = [sys.executable, '-m', 'pytest', '-n', '0', '-p', 'no:cacheprovider', *TESTS.values(), 'tests/test_architecture.py']
    result = subprocess.run(command, cwd=copy, text=True, capture_output=True, check=False)
    assert result.returncode == 0, result.stdout
    for path, right, wrong in (
        ('wgan_jax/algorithm/losses.py', '+ 0.1 * jnp.mean(real_logits)', '- 0.1 * jnp.mean(real_logits)'),
        ('wgan_jax/models/linear.py', 'nn.Dense(1)', 'nn.Dense(1, use_bias=False)'),
        ('wgan_jax/data/toys.py', 'random.normal(1, 0.05', 'random.normal(1, 0.5'),
        ('wgan_jax/metrics/score_table.py', 'sample.features.std() / train', 'sample.features.var() / train'),
    ):
        text = (copy / path).read_text()
        assert right in text
        (copy / path).write_text(text.replace(right, wrong))
    result = subprocess.run(command, cwd=copy, text=True, capture_output=True, check=False)
    assert len(re.findall(r'^FAILED', result.stdout, flags=re.MULTILINE)) == len(TESTS), result.stdout


def test_the_citation_is_of_this_project():
    citation = yaml.safe_load((ROOT / 'CITATION.cff').read_text())
    assert citation['cff-version'] == '1.2.0'
    assert {'message', 'title', 'authors'} <= set(citation)  # which the format needs
    assert (citation['version'], citation['license']) == (PROJECT['version'], PROJECT['license'])
    assert citation['authors'] == PROJECT.get('authors', [{'name': PROJECT['name']}])


def test_the_changelog_names_no_version_that_the_project_has_not():
    headings = re.findall(r'^## \[?([^\]\n ]+)', (ROOT / 'CHANGELOG.md').read_text(), flags=re.MULTILINE)
    assert headings == ['Unreleased'] or headings[:2] == ['Unreleased', PROJECT['version']], headings
