"""The table of the games: what becomes of a run that fails."""

import argparse

import pytest

from papers import games_on_mnist


def test_a_training_that_fails_ends_the_whole(tmp_path, monkeypatch):
    class Failed:
        pid, returncode = 0, 1

        def __init__(self, *arguments, **options):
            pass

        def wait(self):
            return self.returncode

    monkeypatch.setattr(games_on_mnist.subprocess, 'Popen', Failed)
    monkeypatch.setattr(games_on_mnist.os, 'sched_setaffinity', lambda *arguments: None, raising=False)
    arguments = argparse.Namespace(data='mnist', size='small', seeds=2, jobs=2, out=tmp_path, dir=None, manual_dir=None)
    with pytest.raises(SystemExit, match=r'training of .*, seed 0, ended with status 1'):
        games_on_mnist.train_all(arguments)
