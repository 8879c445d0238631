"""The pages: their links and anchors, and the flags and keys of the commands that they give."""

import importlib.util
import re
import shlex

import pytest

from configs.default import get_config
from tests.conftest import ROOT
from wgan_jax.errors import UserError
from wgan_jax.runs import config_files
from wgan_jax.runs.config import flatten

PAGES = sorted([*ROOT.glob('*.md'), *(ROOT / 'docs').rglob('*.md')])
KEYS = flatten(get_config())
SOURCES = {'train.py': ['wgan_jax/training/__main__.py'], 'benchmarks/evaluation.py': ['wgan_jax/evaluate/__main__.py']}
LINK = re.compile(r'\]\(([^)#\s]*)(?:#([^)]*))?\)')


def label(path):
    return str(path.relative_to(ROOT))


def without_code(text):
    return re.sub(r'```.*?```|^    .*?$|`[^`\n]*`', '', text, flags=re.DOTALL | re.MULTILINE)


def anchors(page):
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r'^#+ (.*)$', re.sub(r'```.*?```', '', page.read_text(), flags=re.DOTALL), flags=re.MULTILINE)
    return {re.sub(r'[^\w\- ]', '', heading.lower()).replace(' ', '-') for heading in headings}


@pytest.mark.parametrize('page', PAGES, ids=label)
def test_the_images_and_links_of_a_page_exist(page):
    missing = []
    for link, anchor in LINK.findall(without_code(page.read_text())):
        if not link.startswith('http'):
            target = page.parent / link if link else page
            if not target.exists() or (anchor and anchor not in anchors(target)):
                missing.append(f'{link}#{anchor}')
    assert missing == []


def commands_of(page):
    """The commands of this project in the code blocks of a page, continued lines joined, without comments and `python`."""
    text = page.read_text()
    blocks = re.findall(r'^```bash\n(.*?)^```', text, flags=re.DOTALL | re.MULTILINE)
    blocks += re.findall(r'(?:^    .*\n)+', re.sub(r'```.*?```', '', text, flags=re.DOTALL), flags=re.MULTILINE)
    for block in blocks:
        for line in re.sub(r'\\\n\s*', '', block).splitlines():
            command = re.sub(r'\s#.*', '', line).strip().replace('[', '').replace(']', '').split('&&')[-1].strip()
            if re.match(r'\S*python3? (train\.py|-m (wgan_jax|papers)\b|benchmarks/)', command):
                yield shlex.split(command)[1:]
            elif re.match(r'wgan-\w+ ', command):  # the same, installed
                name, *arguments = shlex.split(command)
                yield ['train.py', *arguments] if name == 'wgan-train' else ['-m', name.replace('wgan-', 'wgan_jax.'), *arguments]


def source_of(command):
    """The code that declares the flags of a command, and the command's arguments."""
    script, *arguments = command
    if script == '-m':
        module, *arguments = arguments
        assert importlib.util.find_spec(module) is not None, module
        folder = ROOT / module.replace('.', '/')
        paths = sorted(folder.glob('*.py')) or [folder.with_suffix('.py')]
    else:
        paths = [ROOT / path for path in (script, *SOURCES.get(script, []))]
    source = ''.join(path.read_text() for path in paths)
    for call, file in (('command_line.add_run(', 'command_line.py'), ('flags.define_place(', 'flags.py')):
        source += (ROOT / 'wgan_jax' / 'runs' / file).read_text() if call in source else ''
    return source, arguments


def check(command):
    source, arguments = source_of(command)
    if command[:2] == ['-m', 'papers']:
        assert (ROOT / 'papers' / f'{arguments[0]}.py').exists() or arguments[0] == 'NAME', arguments
    for argument in arguments:
        name, _, value = argument.partition('=')
        if name.startswith('--config.'):
            key = name.removeprefix('--config.')
            assert key in KEYS, argument
            if type(KEYS[key]) in (int, float) and not value.isupper():
                type(KEYS[key])(value)
        elif name.startswith('--'):
            declared = f"'{name}'" in source or f"'{name[2:]}'" in source  # for argparse, for absl
            assert declared or name == '--help' or name.startswith('--data.'), argument
            if name == '--config' and value not in ('', 'FILE'):
                config_files.find(value)


def test_the_check_of_commands_notices_what_does_not_exist():
    for wrong in ('--config=digits', '--config.n_critc=5', '--config.n_critic=five', '--work_dir=runs/a'):
        with pytest.raises((AssertionError, ValueError, UserError)):
            check(['train.py', wrong])
    for module, wrong in (('wgan_jax.sample', '--walks'), ('papers', 'value_surface'), ('wgan_jax.sampler', '--walk')):
        with pytest.raises((AssertionError, ModuleNotFoundError)):
            check(['-m', module, wrong])
    with pytest.raises(AssertionError):
        check(['benchmarks/rounds.py', '--config=digits_wgan'])  # it has --configs


@pytest.mark.parametrize('page', PAGES, ids=label)
def test_the_flags_and_keys_of_every_command_exist(page):
    own = [f'--config={name}' for name in re.findall(r'^```python file=(\S+)$', page.read_text(), flags=re.MULTILINE)]
    for command in commands_of(page):
        if not set(own) & set(command):  # a config file that the page shows, with keys of its own
            check(command)
