"""The structure of the repository: which wing may import which, no import circles, no long files, one place that expands ~."""

import ast

import pytest

from tests.conftest import ROOT

MAX_LINES = 250
# From the bottom up. A wing may import from its own level if it is the same wing, and from every lower level.
LEVELS = (
    ('errors', 'disk'),
    ('algorithm', 'convolutions'),
    ('models', 'data', 'devices'),
    ('metrics',),
    ('runs',),
    ('export',),
    ('sample',),
    ('evaluate',),
    ('report',),
    ('training',),
    ('sweep',),
    ('train', 'papers', 'benchmarks', '__main__'),
)
ENTRY_POINTS = ('wgan_jax.training.__main__', 'wgan_jax.sweep.__main__')  # the commands that train a config
LEVEL = {wing: level for level, wings in enumerate(LEVELS) for wing in wings}
FILES = [
    ROOT / 'train.py',
    *(path for folder in ('wgan_jax', 'papers', 'benchmarks') for path in sorted((ROOT / folder).rglob('*.py'))),
]


def module_of(path):
    parts = path.relative_to(ROOT).with_suffix('').parts
    return '.'.join(parts[:-1] if parts[-1] == '__init__' else parts)


MODULES = {module_of(path) for path in FILES}


def wing_of(module):
    """The second name of a module of wgan_jax, the first of any other; None for wgan_jax itself."""
    first, *others = module.split('.')
    return first if first != 'wgan_jax' else others[0] if others else None


def imports_of(path, modules=MODULES):
    """(line, module) of every import in a file, also inside functions, of a module in `modules` or of a config."""
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            submodules = [f'{node.module}.{alias.name}' for alias in node.names]
            names = [name if name in modules else node.module for name in submodules]
        for name in names:
            if name in modules or name.split('.')[0] == 'configs':
                yield node.lineno, name


def turned_back(module, imported):
    """Why a module may not import another, or None."""
    own, other = wing_of(module), wing_of(imported)
    if other == 'configs':
        return 'wgan_jax may not import configs/' if module.startswith('wgan_jax') and module not in ENTRY_POINTS else None
    if own is None or other is None or own == other:
        return None
    for wing in (own, other):
        assert wing in LEVEL, f'{wing} has no level in {__file__}'
    if LEVEL[own] == LEVEL[other] == len(LEVELS) - 1:  # papers and benchmarks may share helpers
        return None
    return None if LEVEL[other] < LEVEL[own] else f'{own} may not import {other}'


def circles(graph):
    """The modules that lie on a circle of imports."""
    graph = {module: set(imported) for module, imported in graph.items()}
    while leaves := [module for module, imported in graph.items() if not imported & graph.keys()]:
        for module in leaves:
            del graph[module]
    return sorted(graph)


@pytest.mark.parametrize('path', FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_never_turn_back(path):
    problems = [
        f'{path.relative_to(ROOT)}:{line}: {problem} ({name})'
        for line, name in imports_of(path)
        if (problem := turned_back(module_of(path), name))
    ]
    assert not problems, '\n'.join(problems)


def test_there_is_no_circle_of_imports():
    # `from package import module` also runs the package's __init__, which must not import the module's users.
    graph = {module_of(path): {name for _, name in imports_of(path) if name != module_of(path)} for path in FILES}
    assert circles(graph) == []


def test_the_rules_notice_what_they_forbid(tmp_path):
    assert turned_back('wgan_jax.data.cache', 'wgan_jax.runs.files') == 'data may not import runs'
    assert turned_back('wgan_jax.data.cache', 'wgan_jax.devices.parallel') == 'data may not import devices'
    assert turned_back('wgan_jax.runs.config', 'configs.default') == 'wgan_jax may not import configs/'
    assert turned_back('train', 'wgan_jax.training.trainer') is None
    assert circles({'a': {'b'}, 'b': {'c'}, 'c': {'b'}, 'd': {'a'}}) == ['a', 'b', 'c', 'd']
    assert circles({'a': {'b'}, 'b': {'c'}, 'c': set()}) == []
    source = 'def late():\n    from wgan_jax.runs import files\n    import wgan_jax.data.cache\n'
    (tmp_path / 'file.py').write_text(source)
    found = list(imports_of(tmp_path / 'file.py', {'wgan_jax.runs', 'wgan_jax.runs.files', 'wgan_jax.data.cache'}))
    assert found == [(2, 'wgan_jax.runs.files'), (3, 'wgan_jax.data.cache')]


def test_configs_import_nothing_else():
    for path in (ROOT / 'configs').glob('*.py'):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import | ast.ImportFrom):
                module = node.module if isinstance(node, ast.ImportFrom) else node.names[0].name
                assert module.split('.')[0] in ('configs', 'ml_collections'), f'{path}:{node.lineno}: imports {module}'


def test_no_file_is_longer_than_one_can_read():
    paths = [*FILES, *(ROOT / 'configs').glob('*.py'), *(ROOT / 'tests').rglob('*.py')]
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in paths}
    assert {name: length for name, length in lengths.items() if length > MAX_LINES} == {}


def test_the_top_of_the_package_has_at_most_fifteen_entries():
    entries = [path.name for path in (ROOT / 'wgan_jax').iterdir() if not path.name.startswith('__')]
    assert len(entries) <= 15, sorted(entries)
    assert len((ROOT / 'train.py').read_text().splitlines()) <= 80


def test_past_runs_no_function_takes_a_config():
    for path in FILES:
        if path.is_relative_to(ROOT / 'wgan_jax') and wing_of(module_of(path)) != 'runs' and module_of(path) not in ENTRY_POINTS:
            assert 'ConfigDict' not in path.read_text(), path


def test_one_function_expands_the_users_home():
    users = [str(path.relative_to(ROOT)) for path in FILES if 'expanduser' in path.read_text()]
    assert users == ['wgan_jax/runs/files.py']
