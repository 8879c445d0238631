"""The user's own Python file: executed once, kept with the run, and never executed for a stranger."""

import sys

import numpy as np
import pytest

from tests.runs.test_extend import forget
from tests.tiny_runs import lines, tiny, train
from wgan_jax.errors import UserError
from wgan_jax.runs import own_code
from wgan_jax.runs.build import build
from wgan_jax.runs.saved_run import open_run

SOURCE = """
import pathlib
import jax.numpy as jnp
from wgan_jax import extend

with open({log!r}, 'a') as file:
    file.write('x')
extend.loss('squared', lambda real, fake: jnp.mean(fake) - jnp.mean(real), lambda fake: {factor} * jnp.mean(fake))
"""


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    monkeypatch.setattr(own_code, '_executed', {})
    yield tmp_path
    forget()


def write(home, factor=-1.0, name='mine.py'):
    path = home / name
    path.write_text(SOURCE.format(log=str(home / 'log'), factor=factor))
    return str(path)


def executions(home):
    return len((home / 'log').read_text())


def new_process(monkeypatch):
    monkeypatch.setattr(own_code, '_executed', {})
    forget()
    for name in [name for name in sys.modules if name.startswith('wgan_jax_own_code')]:
        del sys.modules[name]


def test_a_run_brings_its_code_to_whoever_has_trained_with_it(home, monkeypatch):
    code = write(home)
    config = tiny(code=code, loss='squared', num_steps=2)
    train(config, home / 'run')
    assert (home / 'run' / 'code.py').read_text() == (home / 'mine.py').read_text()
    assert executions(home) == 1
    (home / 'mine.py').unlink()
    new_process(monkeypatch)
    run = open_run(str(home / 'run'))
    assert executions(home) == 2
    assert run.experiment.round_settings['loss'].generator(3.0) == -3.0
    open_run(str(home / 'run'))
    assert executions(home) == 2


def test_the_code_of_a_stranger_is_executed_only_if_it_is_trusted(home, monkeypatch):
    train(tiny(code=write(home), loss='squared', num_steps=2), home / 'run')
    new_process(monkeypatch)
    monkeypatch.setenv('XDG_CACHE_HOME', str(home / 'elsewhere'))
    for _ in range(2):
        with pytest.raises(UserError, match=r'run/code\.py, which has not run here before: read it .*--trust_code'):
            open_run(str(home / 'run'))
    assert executions(home) == 1
    assert open_run(str(home / 'run'), trust_code=True).step == 2
    assert executions(home) == 2
    new_process(monkeypatch)
    assert open_run(str(home / 'run')).step == 2  # it is known from now on
    (home / 'run' / 'code.py').write_text((home / 'run' / 'code.py').read_text() + '# changed\n')
    new_process(monkeypatch)
    with pytest.raises(UserError, match='has not run here before'):
        open_run(str(home / 'run'))
    (home / 'run' / 'code.py').unlink()
    with pytest.raises(UserError, match=r'code\.py, cannot be read \(No such file or directory\): copy it from where'):
        open_run(str(home / 'run'))


def test_where_others_may_write_nothing_is_remembered(home, monkeypatch, capsys):
    train(tiny(code=write(home), loss='squared', num_steps=2), home / 'run')
    (home / 'cache' / 'wgan_jax').chmod(0o777)
    new_process(monkeypatch)
    with pytest.raises(UserError, match='has not run here before'):
        open_run(str(home / 'run'))
    assert 'other users can write to' in capsys.readouterr().out


def test_two_runs_with_different_code_keep_theirs(home):
    factors = {}
    experiments = {factor: build(tiny(code=write(home, factor, f'mine{factor}.py'), loss='squared')) for factor in (-1.0, -2.0)}
    for factor in (-1.0, -2.0, -1.0):
        experiment = build(tiny(code=str(home / f'mine{factor}.py'), loss='squared'))
        factors[factor] = experiment.round_settings['loss'].generator(1.0)
        assert experiment.round_settings['loss'] == experiments[factor].round_settings['loss']
    assert factors == {-1.0: -1.0, -2.0: -2.0}
    assert executions(home) == 2


def test_code_that_has_changed_is_said(home, capsys):
    train(tiny(code=write(home), loss='squared', num_steps=2), home / 'run')
    write(home, -2.0)
    train(tiny(code=str(home / 'mine.py'), loss='squared', num_steps=3), home / 'run')
    assert 'mine.py has changed since this run started' in capsys.readouterr().out
    assert '-2.0' in (home / 'run' / 'code.py').read_text()
    for name, factor in (('one', -1.0), ('other', -2.0)):  # and it is what trains
        train(tiny(code=write(home, factor), loss='squared', num_steps=1), home / name)
    (one,), (other,) = lines(home / 'one'), lines(home / 'other')
    np.testing.assert_allclose(other['generator_loss'], 2 * one['generator_loss'], rtol=1e-5)


@pytest.mark.parametrize(
    ('source', 'message'),
    [
        ('x = 1\nundefined\n', r"mine\.py, line 2 fails \(NameError: name 'undefined' is not defined\): correct it\."),
        ('x = (\n', r'mine\.py fails \(SyntaxError: '),
        (
            'from wgan_jax import extend\nextend.loss("hinge", lambda r, f: r.mean(), lambda f: f.mean())\n',
            r"mine\.py: wgan_jax has a loss 'hinge' already: give yours another name\.",
        ),
    ],
)
def test_mistakes_in_it_are_one_sentence(home, source, message):
    (home / 'mine.py').write_text(source)
    with pytest.raises(UserError, match=message):
        build(tiny(code=str(home / 'mine.py')))


def test_a_file_that_does_not_exist(home):
    with pytest.raises(UserError, match=r'^The code of this run, no\\nthing, cannot be read'):
        build(tiny(code='no\nthing'))
    with pytest.raises(UserError, match=r'nothing\.py, cannot be read \(No such file or directory\): set config\.code to the path'):
        build(tiny(code=str(home / 'nothing.py')))
