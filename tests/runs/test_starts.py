"""What a run records of the processes that train it."""

import json
import subprocess
import sys

import jax

from wgan_jax.runs import starts


def git(directory, *arguments):
    who = ['-c', 'user.name=a', '-c', 'user.email=a@b.c', '-c', 'commit.gpgsign=false']
    return subprocess.run(['git', '-C', directory, *who, *arguments], check=True, capture_output=True, text=True).stdout.strip()


def test_each_start_adds_a_line_and_half_a_line_does_not_stay(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, 'orig_argv', ['/usr/bin/python3', 'train.py', '--config=digits_gan', '--workdir=my runs'])
    starts.record_start(tmp_path, 0)
    with (tmp_path / 'starts.jsonl').open('a') as file:
        file.write('{"step": 5, "comm')
    starts.record_start(tmp_path, 20)
    assert [json.loads(line)['step'] for line in (tmp_path / 'starts.jsonl').read_text().splitlines()] == [0, 20]
    first, second = starts.read_starts(tmp_path)
    assert first['command'] == "python train.py --config=digits_gan '--workdir=my runs'"
    assert first['devices'] == f'{jax.device_count()} x cpu'
    assert first['versions']['jax'] == jax.__version__
    assert first['date'] <= second['date']
    assert capsys.readouterr().out == ''


def test_a_run_without_the_file_has_no_starts(tmp_path):
    assert starts.read_starts(tmp_path) == []


def test_an_installed_command_is_named_as_it_is_typed(monkeypatch):
    monkeypatch.setattr(sys, 'orig_argv', ['/venv/bin/python', '/venv/bin/wgan-train', '--config=digits_gan'])
    assert starts.command() == 'wgan-train --config=digits_gan'


def test_the_commit_is_that_of_the_checkout_with_this_file(tmp_path):
    (tmp_path / 'starts.py').write_text('first')
    git(tmp_path, 'init', '-q')
    starts._commit.cache_clear()
    assert starts._commit(tmp_path) == {}  # installed inside of a checkout of something else
    git(tmp_path, 'add', 'starts.py')
    git(tmp_path, 'commit', '-qm', 'one')
    commit = git(tmp_path, 'rev-parse', 'HEAD')
    for text, changed in (('first', False), ('second', True)):
        (tmp_path / 'starts.py').write_text(text)
        starts._commit.cache_clear()
        assert starts._commit(tmp_path) == {'commit': commit, 'changed': changed}


def test_without_git_there_is_no_commit(tmp_path, monkeypatch):
    monkeypatch.setenv('PATH', str(tmp_path))
    starts._commit.cache_clear()
    assert starts._commit(tmp_path) == {}
    starts._commit.cache_clear()
