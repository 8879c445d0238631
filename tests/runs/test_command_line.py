"""The run as an argument of the commands that look at one."""

import sys

import pytest

from wgan_jax.evaluate import __main__ as evaluate
from wgan_jax.export import __main__ as export
from wgan_jax.report import __main__ as report
from wgan_jax.sample import __main__ as sample

OF_A_RUN = {'evaluate': evaluate, 'export': export, 'sample': sample}


@pytest.mark.parametrize('program', OF_A_RUN.values(), ids=OF_A_RUN)
@pytest.mark.parametrize(
    'arguments', [['RUN'], ['--workdir=RUN'], ['--workdir', 'RUN'], ['--step=3', 'RUN'], ['RUN', '--step', '3'], ['--raw', 'RUN']]
)
def test_the_run_is_given_by_its_place_or_by_its_option(program, arguments):
    assert program.parse(arguments).workdir == 'RUN'


@pytest.mark.parametrize('name', OF_A_RUN)
@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ([], 'error: one of the arguments RUN --workdir '),
        (['RUN', '--workdir=OTHER'], 'error: argument --workdir: not allowed with argument RUN\n'),
        (['RUN', 'OTHER'], 'error: unrecognized arguments: OTHER\n'),
    ],
)
def test_exactly_one_run(name, arguments, message, capsys):
    with pytest.raises(SystemExit) as caught:
        OF_A_RUN[name].parse(arguments)
    assert caught.value.code == 2
    assert f'python -m wgan_jax.{name}: {message}' in capsys.readouterr().err


def test_a_generator_takes_the_place_of_the_run(capsys):
    assert sample.parse(['--generator=FILE']).workdir is None
    with pytest.raises(SystemExit):
        sample.parse(['RUN', '--generator=FILE'])
    assert 'error: argument --generator: not allowed with argument RUN' in capsys.readouterr().err


@pytest.mark.parametrize('name', [*OF_A_RUN, 'report'])
def test_the_help_names_the_command_as_it_was_typed(name, monkeypatch, capsys):
    program = {**OF_A_RUN, 'report': report}[name]
    for typed, shown in ((f'/bin/wgan-{name}', f'wgan-{name} RUN'), ('__main__.py', f'python -m wgan_jax.{name} RUN')):
        monkeypatch.setattr(sys, 'argv', [typed])
        with pytest.raises(SystemExit) as caught:
            program.parse(['--help'])
        assert caught.value.code == 0
        assert f'\n    {shown} ' in capsys.readouterr().out
