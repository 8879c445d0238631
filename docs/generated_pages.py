"""The pages of the site that are made of code: the keys of a config, and the package by its docstrings."""

import ast
import inspect
import re
from pathlib import Path

from configs import default

ROOT = Path(__file__).resolve().parents[1]
_MARKUP = re.compile(r'`([^`]*)`|[\\*|]|(?<=\w)_(?!\w)')  # what reStructuredText takes for markup


def write(folder: Path) -> None:
    """Writes all pages into a folder. A page that has not changed is left alone, so that Sphinx does not read it again."""
    pages = {'config': config_page(), **package_pages()}
    folder.mkdir(exist_ok=True)
    for name, text in pages.items():
        path = folder / f'{name}.rst'
        if not path.exists() or path.read_text(encoding='utf-8') != text:
            path.write_text(text, encoding='utf-8')
    for path in folder.glob('*.rst'):
        if path.stem not in pages:
            path.unlink()


def config_page() -> str:
    """Every key of configs/default.py, with its type, its default, and the comment beside it or above it."""
    source = inspect.getsource(default)
    prefixes = {'get_config': ['']}  # of the keys that a function makes: {'_network': ['generator.', 'critic.'], ...}
    for name, function in re.findall(r'config\.(\w+) = (_\w+)\(\)', source):
        prefixes.setdefault(function, []).append(f'{name}.')
    blocks = [
        _heading('Keys of a config', '='),
        'Every key of a config, with its type, its default and what it does, from ``configs/default.py``.\n'
        '``--config.KEY=VALUE`` on the command line sets it.\n',
    ]
    for function, body in re.findall(r'^def (\w+)\(.*\n((?:    .*\n|\n)+)', source, re.MULTILINE):
        if function != 'get_config':
            blocks.append(_heading(' and '.join(prefix[:-1] for prefix in prefixes[function]), '-'))
        above: list[str] = []
        for line in body.splitlines():
            if comment := re.fullmatch(r' +# (.*)', line):
                above.append(comment[1])
                continue
            if key := re.fullmatch(r' +\w+\.([\w.]+) = (?!_)[^#]*?(?:  # (.*))?', line):
                if key[2] and above:  # a comment about this key and those after it
                    blocks.append(as_rst(' '.join(above)) + '\n')
                blocks.append(_key([prefix + key[1] for prefix in prefixes[function]], key[2] or ' '.join(above)))
            above = []
    return '\n'.join(blocks)


def _key(names: list[str], comment: str) -> str:
    """Keys that share a comment. Those of the generator and the critic have the same types and defaults."""
    config, text = default.get_config(), as_rst(comment)
    *path, last = names[0].split('.')
    for part in path:
        config = config[part]
    if not isinstance(config[last], default.ConfigDict):
        text = f'{config.get_type(last).__name__}, default ``{config[last]!r}``{": " if text else ""}{text}'
    directive = '.. confval:: '
    return directive + f'\n{" " * len(directive)}'.join(names) + f'\n\n   {text}\n'


def package_pages() -> dict[str, str]:
    """The pages by name: one with the modules that lie directly in wgan_jax, and one for each package in it."""
    package = ROOT / 'wgan_jax'
    wings = re.findall(r'^    (\w+)  ', _docstring(package / '__init__.py'), re.MULTILINE)  # in the order of the house
    folders = [wing for wing in wings if (package / wing).is_dir()]
    toctree = '\n'.join(['.. toctree::', '   :maxdepth: 1', '', *(f'   wgan_jax.{wing}' for wing in folders), ''])
    blocks = [_heading('The package wgan_jax', '='), _automodule('wgan_jax'), toctree]
    blocks += [_heading('__main__', '-'), _command('wgan_jax.__main__', package / '__main__.py')]
    for wing in wings:
        if wing not in folders:
            blocks += [_heading(wing, '-'), _automodule(f'wgan_jax.{wing}')]
    return {'wgan_jax': '\n'.join(blocks)} | {f'wgan_jax.{wing}': _package_page(package / wing) for wing in folders}


def _package_page(folder: Path) -> str:
    blocks = [_heading(folder.name, '='), _automodule(f'wgan_jax.{folder.name}')]
    for path in sorted(folder.rglob('*.py'), key=lambda path: (len(path.parts), path)):
        module = '.'.join(path.relative_to(ROOT).with_suffix('').parts).removesuffix('.__init__')
        if path.parent != folder or path.stem != '__init__':
            blocks.append(_heading(module.removeprefix(f'wgan_jax.{folder.name}.'), '-'))
            blocks.append(_command(module, path) if path.stem == '__main__' else _automodule(module))
    return '\n'.join(blocks)


def _automodule(module: str) -> str:
    return f'.. automodule:: {module}\n   :members:\n'


def _command(module: str, path: Path) -> str:
    """The docstring of a command. It is not imported: two commands declare flags of the same names."""
    return f'.. py:module:: {module}\n\n{as_rst(_docstring(path))}\n'


def _docstring(path: Path) -> str:
    return ast.get_docstring(ast.parse(path.read_text(encoding='utf-8'))) or ''


def _heading(title: str, line: str) -> str:
    return f'{title}\n{line * len(title)}\n'


def as_rst(text: str) -> str:
    """A docstring, which is plain text with `code` and indented blocks, as reStructuredText.

    A block is indented by four spaces or more and follows an empty line and a line without indentation. Sections such as Args,
    which napoleon reads, have no empty line before their first line.
    """
    lines: list[str] = []
    in_block, at_margin = False, False
    for line in text.splitlines():
        if line.startswith('    ') and at_margin and not lines[-1]:
            in_block = True
            lines += ['::', '']
        if line:
            at_margin = not line.startswith(' ')
            in_block = in_block and not at_margin
        lines.append(line if in_block else _MARKUP.sub(_escape, line))
    return '\n'.join(lines)


def _escape(match: re.Match[str]) -> str:
    code = match[1]
    if code is None:
        return '\\' + match[0]
    return match[0] if re.fullmatch(r'[\w.]+', code) else f'``{code}``'  # a name may become a link
