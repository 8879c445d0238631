"""What the pages about tutorials and troubles take from the code: names, values of keys, and messages."""

import ast
import functools
import importlib
import re

import jax
import pytest

from configs.default import get_config
from tests.conftest import ROOT
from wgan_jax.runs.config import flatten

DOCS = ROOT / 'docs'
ABOUT_TUTORIALS = sorted((DOCS / 'tutorials').glob('*.md'))
WITH_CONFIGS = [page for page in ABOUT_TUTORIALS if list(ROOT.glob(f'configs/tutorial_{page.stem}*.py'))]
KEYS = flatten(get_config())
CODE = re.compile(r'`([^`]+)`')


def label(path):
    return str(path.relative_to(ROOT))


@functools.cache
def modules():
    """{'losses': {names}}: the names that each file of the code defines, with Class.method; files of one name are joined."""
    known = {}
    for folder in ('wgan_jax', 'papers', 'configs', 'benchmarks'):
        for path in (ROOT / folder).rglob('*.py'):
            name = path.parent.name if path.stem == '__init__' else path.stem
            known.setdefault(name, set()).update(defined_in(path))
    return known


@functools.cache
def defined_in(path):
    names = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {target.id for target in targets if isinstance(target, ast.Name)}
        if isinstance(node, ast.ClassDef):
            names |= {f'{node.name}.{inner.name}' for inner in node.body if isinstance(inner, ast.FunctionDef)}
    return names


@functools.cache
def words():
    """Every string of the code, such as the names of metrics, and every name of a file that a run writes."""
    trees = [ast.parse(path.read_text()) for folder in ('wgan_jax', 'configs') for path in (ROOT / folder).rglob('*.py')]
    strings = [node.value for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    return {text for text in strings if isinstance(text, str)}


def exists(name):
    """Whether a name on a page is a key or its last part, a module or something in one, a string of the code, or part of jax."""
    leaves = {key.rpartition('.')[2] for key in KEYS}
    key = name.removeprefix('config.')
    if key in KEYS or key in leaves or any(other.startswith(f'{key}.') for other in KEYS):
        return True
    first, _, rest = name.partition('.')
    if name in modules() or rest in modules().get(first, ()) or any(name in names for names in modules().values()):
        return True
    return name in words() or hasattr(jax, name.removeprefix('jax.'))


def names_on(page):
    """The identifiers in code on a page, except what its tables give in their first column as a tutorial's."""
    theirs, ours, in_table = '', [], False
    for line in re.sub(r'```.*?```', '', page.read_text(), flags=re.DOTALL).splitlines():
        in_table = line.startswith('|') and (in_table or line.startswith('| the tutorial |'))
        first, rest = line.split('|', 2)[1:] if in_table else ('', line)
        theirs += ' '.join(CODE.findall(first)) + ' '
        ours += CODE.findall(rest)
    names = [re.sub(r'^--(config\.)?', '', span).split('=')[0].strip() for span in ours]
    return [name for name in names if re.fullmatch(r'[A-Za-z_]\w*(\.\w+)*', name) and name not in theirs]


@pytest.mark.parametrize('page', [*ABOUT_TUTORIALS, DOCS / 'troubleshooting.md'], ids=label)
def test_every_name_on_a_page_exists(page):
    names = names_on(page)
    assert len(names) >= 10
    assert [name for name in names if not exists(name)] == []


@pytest.mark.parametrize('page', WITH_CONFIGS, ids=label)
def test_the_values_of_keys_on_a_page_are_those_of_its_configs(page):
    known = {}
    for path in ROOT.glob(f'configs/tutorial_{page.stem}*.py'):
        if page.stem != 'mnist_wgan' or path.stem == 'tutorial_mnist_wgan':
            for key, value in flatten(importlib.import_module(f'configs.{path.stem}').get_config()).items():
                for name in (key, key.rpartition('.')[2]):
                    known.setdefault(name, set()).add(str(value).replace('e-0', 'e-'))
    given = re.findall(r'`(?!--)([\w.]+)=([^`\s]+)`', page.read_text())
    given = [(key, value) for key, value in given if key in known and not value.isupper()]
    assert len(given) >= 5
    assert [f'{key}={value}' for key, value in given if value not in known[key]] == []


@pytest.mark.parametrize('page', ABOUT_TUTORIALS, ids=label)
def test_a_name_links_to_the_file_that_defines_it(page):
    links = re.findall(r'\[`([\w.]+)`\]\(([^)]+\.py)\)', page.read_text())
    for name, link in links:
        path = (page.parent / link).resolve()
        module = path.parent.name if path.stem == '__init__' else path.stem
        name = name.removeprefix(f'{module}.')
        assert name == module or name in defined_in(path), f'{name} is not in {link}'


def test_the_test_of_names_notices_what_does_not_exist():
    for name in ('losses.hinge', 'config.lerning_rate', 'Trainer', 'noise.ImageNoise.remove', 'fake_scores_sum', 'lose.txt'):
        assert not exists(name), name
    for name in ('losses.interpolate', 'config.gp_weight', 'eps', 'noise.ImageNoise', 'Run.train', 'real_score', 'mnist'):
        assert exists(name), name


@functools.cache
def messages():
    """The texts of the code with values in them, as patterns; those with few fixed letters say nothing and are left out."""
    patterns = []
    for folder in ('wgan_jax', '.'):
        for path in (ROOT / folder).rglob('*.py') if folder == 'wgan_jax' else [ROOT / 'train.py']:
            for node in ast.walk(ast.parse(path.read_text())):
                parts = node.values if isinstance(node, ast.JoinedStr) else [node]
                fixed = [part.value if isinstance(part, ast.Constant) and isinstance(part.value, str) else None for part in parts]
                if sum(len(text or '') for text in fixed) >= 12:
                    pattern = ''.join('.+?' if text is None else re.escape(re.sub(r'\s+', ' ', text)) for text in fixed)
                    patterns.append(re.compile(pattern.removesuffix('.+?').rstrip('\\ ')))  # a value at the end may be another text
    return patterns


def is_said(quote):
    """Whether the words of a quotation are those of texts in the code, but for a third: `Error:`, and lists put together."""
    rest = re.sub(r'\s+', ' ', quote).strip()
    longest = sorted((match[0] for pattern in messages() if (match := pattern.search(rest))), key=len, reverse=True)
    for text in longest:
        rest = rest.replace(text, '')
    return len(rest) <= len(quote) / 3


def test_the_messages_on_the_page_of_troubles_are_the_programs():
    page = re.sub(r'```.*?```', '', (DOCS / 'troubleshooting.md').read_text(), flags=re.DOTALL)
    quotes = re.findall(r'(?:^    \S.*\n)+', page, flags=re.MULTILINE)
    assert len(quotes) >= 12
    assert [quote for quote in quotes if not is_said(quote)] == []
    assert not is_said(
        'Error: config.clip_value=0.01 and config.gp_weight=10.0 are both there: use one of them, and it will be well.'
    )
