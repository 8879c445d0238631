import importlib

import pytest

import papers
from papers import __main__ as command
from tests.conftest import ROOT


def test_every_module_makes_a_figure_or_a_table():
    modules = {path.stem for path in (ROOT / 'papers').glob('*.py')} - {'__init__', '__main__'}
    assert modules == {*command.FIGURES, *command.COMMANDS}
    assert papers.__doc__
    for name in command.FIGURES:
        assert callable(importlib.import_module(f'papers.{name}').draw)


def test_options(tmp_path, capsys):
    name, options = command.parse(['--quick', 'overfitting', f'--out={tmp_path}', '--manual_dir=DIR'])
    assert (name, options.out, options.quick, options.dir, options.manual_dir) == ('overfitting', tmp_path, True, None, 'DIR')
    with pytest.raises(SystemExit, match=r'^0$'):
        command.main(['games_on_mnist', '--help'])
    assert '--seeds' in capsys.readouterr().out
    with pytest.raises(SystemExit, match=r'^Error: ~\w+/x starts with'):
        command.main(['overfitting', '--out=~nobody_here/x'])


def test_the_files_of_a_figure_are_named(tmp_path, monkeypatch, capsys):
    (tmp_path / 'other.png').write_text('of another figure')
    (tmp_path / 'overfitting.csv').write_text('of an earlier time')

    def draw(options):
        for kind in ('csv', 'png'):
            (options.out / f'new.{kind}').write_text(kind)
            (options.out / f'new.{kind}').replace(options.out / f'overfitting.{kind}')

    monkeypatch.setattr('papers.overfitting.draw', draw)
    monkeypatch.setattr('wgan_jax.devices.compiling.use_compilation_cache', lambda: None)
    command.main(['overfitting', f'--out={tmp_path}'])
    assert capsys.readouterr().out == f'Written: {tmp_path}/overfitting.csv, {tmp_path}/overfitting.png\n'
